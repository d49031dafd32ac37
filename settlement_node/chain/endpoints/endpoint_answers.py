"""What one endpoint answers to the larger questions, before anybody else was asked."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.domain.observations import Block, Receipt
from settlement_node.units import Address, Hex32


@dataclass(frozen=True, slots=True)
class EndpointHead:
    """One endpoint's own view of the chain; the tags are `None` where it does not have them."""

    chain_id: int
    head: Block
    safe: Block | None
    finalized: Block | None


@dataclass(frozen=True, slots=True)
class ReceiptsReport:
    """Receipts by hash, `None` for null; a hash whose lookup failed is in `failures` only.

    `block_at_head` is the endpoint's own block at the height that was asked about, `None` if it
    has none there: only an endpoint that has the agreed head can say that a receipt is absent.
    """

    receipts: dict[Hex32, Receipt | None]
    failures: dict[Hex32, str]
    block_at_head: Block | None


@dataclass(frozen=True, slots=True)
class TransactionPlace:
    """Who sent a transaction and with which nonce; `is_proven` when its own hash says so."""

    sender: Address
    nonce: int
    is_proven: bool
