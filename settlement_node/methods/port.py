"""The port through which the rest of the node knows how a fund settles.

A batch goes out as one transaction, which carries one leg. What makes a batch itself and no other,
where it stands among the others and what a receipt says of it are the method's own; so are the
bytes. Nobody above this room knows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from settlement_node.chain.client import ChainClient
from settlement_node.domain.batching import Outlook
from settlement_node.domain.observations import (
    Receipt,
    RedemptionSettledEvent,
    SettleItem,
    SettlerEvent,
    SkipReason,
)
from settlement_node.domain.planning import ChainView, EncodedBatch, GasRule, InFlight
from settlement_node.domain.waiting import Obstacle
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import SettlementRow, TransactionRow
from settlement_node.units import Hex32


@dataclass(frozen=True, slots=True)
class ItemSkipped:
    """An item that was neither burned nor paid, and why in words for people."""

    reason: SkipReason
    words: str


@dataclass(frozen=True, slots=True)
class ReceiptSays:
    """What a batch's receipt says: of each item that it was paid, with the figures, or skipped; and
    every event, for the book's memory of the chain."""

    items: Mapping[Hex32, RedemptionSettledEvent | ItemSkipped]
    events: Sequence[SettlerEvent]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A receipt that lacks some of its logs: it says nothing, and is asked for again."""


class Method(Protocol):
    """How one fund settles."""

    def state(self, client: ChainClient) -> ChainView:
        """Treasury, limits and what is in every order's way, at the agreed head. Refused when there
        is nothing of the kind at the fund's addresses."""
        ...

    def preview(
        self, client: ChainClient, items: Sequence[SettleItem]
    ) -> Sequence[Outlook] | Obstacle:
        """What each item would do if the batch ran now, in the items' order, or what keeps all of
        them back. A cause that they share blames none of them: where it may be one, that is asked
        before anything is said of an item. Refused when the chain cannot say."""
        ...

    def encode(
        self,
        following: Hex32,
        items: Sequence[SettleItem],
        outlooks: Sequence[Outlook],
        rule: GasRule,
    ) -> EncodedBatch:
        """The bytes of a batch that follows the one of that mark, and the gas to ask for it."""
        ...

    def read_receipt(self, settlement: SettlementRow, receipt: Receipt) -> ReceiptSays | Incomplete:
        """What the receipt of a batch that succeeded says of its items."""
        ...

    def may_follow(self, in_flight: InFlight) -> bool:
        """Whether a further batch can follow those in flight."""
        ...

    def fitted(self, tx: ReadTx, settlement: SettlementRow) -> bool:
        """Whether a batch that reverted came right behind the one it follows. If it did not, it
        had to revert, and none of its items can be blamed."""
        ...

    def refused_whole(self, client: ChainClient, row: TransactionRow) -> bool:
        """Whether a reverted batch would be refused, at the end of its own block, for a reason that
        lies in none of its items. An endpoint that has no such old state counts as a no."""
        ...
