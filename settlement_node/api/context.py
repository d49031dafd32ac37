"""What the endpoints work with, made once by `create_app`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from settlement_node.api.hub import EventHub
from settlement_node.api.keys import KeyRing
from settlement_node.api.metrics import Metrics
from settlement_node.chain.context import ChainContext
from settlement_node.config.sections import ApiSettings
from settlement_node.desk.door import SeenCapacity, see_capacity
from settlement_node.node.context import NodeContext
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts an endpoint may need.

    `chains` is used for questions to a chain and only while `chain_turn` is held, since a chain
    client is one caller's at a time. `watched` are the chains whose endpoints' health is shown:
    those of the stages, where they run in this process. `head_stale_seconds` is by chain; 0 never
    calls a head stale.
    """

    store: Store
    settings: ApiSettings
    node: NodeContext
    keys: KeyRing
    hub: EventHub
    metrics: Metrics
    watched: Mapping[int, ChainContext]
    head_stale_seconds: Mapping[int, float] = field(default_factory=dict)
    chain_turn: threading.Lock = field(default_factory=threading.Lock)

    def capacity_now(self, fund: FundRow) -> SeenCapacity | None:
        """What the chain shows the fund can settle at most; None when it cannot say."""
        with self.chain_turn:
            return see_capacity(self.store, self.node.chains, fund)


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]
