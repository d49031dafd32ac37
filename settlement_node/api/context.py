"""What the endpoints work with, made once by `create_app`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from settlement_node.api.events.hub import EventHub
from settlement_node.api.keys import KeyRing
from settlement_node.api.metrics import Metrics
from settlement_node.config import ApiSettings
from settlement_node.domain.finality import FinalityPolicy
from settlement_node.node.context import NodeContext
from settlement_node.store.database import Store, Tx
from settlement_node.store.leases import lane_key
from settlement_node.store.overview import heads_by_lane
from settlement_node.store.rows import FundRow


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts an endpoint may need.

    `chains` is used for questions to a chain and only while `chain_turn` is held, since a chain
    client is one caller's at a time. `head_stale_seconds` is by chain; 0 never calls a head stale.
    """

    store: Store
    settings: ApiSettings
    node: NodeContext
    keys: KeyRing
    hub: EventHub
    metrics: Metrics
    head_stale_seconds: Mapping[int, float] = field(default_factory=dict)
    chain_turn: threading.Lock = field(default_factory=threading.Lock)

    def finality(self, chain_id: int) -> FinalityPolicy | None:
        """The chain's rule, or None for a chain this process is not configured for."""
        chain = self.node.chains.get(chain_id)
        return None if chain is None else chain.finality


def head_number_of(tx: Tx, fund: FundRow) -> int | None:
    """The head as the fund's lane last saw it."""
    head = heads_by_lane(tx).get(lane_key(fund.chain_id, fund.lane_address))
    return None if head is None else int(head["block_number"])


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]
