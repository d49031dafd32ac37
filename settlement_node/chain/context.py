"""One chain as the rest of the node has it: a client, and the rules of the chain."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.chain.client import ChainClient
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityPolicy


@dataclass(frozen=True, slots=True)
class ChainContext:
    """One chain and its rules."""

    client: ChainClient
    finality: FinalityPolicy
    fees: FeePolicy
