"""Settlements: batches of redemptions, each with the transaction that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from settlement_node.chain.context import ChainContext
from settlement_node.domain.lifecycle import Leg, TransactionOutcome, TransactionStatus
from settlement_node.errors import NotFound
from settlement_node.reads.pages import CursorOut, Listing
from settlement_node.reads.shapes import AddressOut, Answer, BaseUnitsOut, HashOut
from settlement_node.reads.transactions import TransactionOut, tell_transactions
from settlement_node.store.book import redemptions
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements
from settlement_node.store.rows import SettlementRow, TransactionRow
from settlement_node.store.tables import ItemOutcome, SettlementStatus
from settlement_node.store.telling.overview import transactions_by_id

__all__ = ["SettlementStatus"]


class SettlementOut(Answer):
    """One batch. Its transaction's status and hash are given along."""

    settlement_id: int
    fund_id: str
    settler_address: AddressOut
    leg: Leg
    status: SettlementStatus
    items_count: int
    shares_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    previous_batch_hash: HashOut
    batch_hash: HashOut
    planned_at_utc: datetime
    ended_at_utc: datetime | None
    transaction_id: int
    transaction_status: TransactionStatus
    transaction_outcome: TransactionOutcome | None
    transaction_hash: HashOut | None = Field(description="Of the attempt that was mined.")


class SettlementPage(Answer):
    """Newest first."""

    items: list[SettlementOut]
    next_cursor: CursorOut


class ItemOut(Answer):
    """One redemption in the batch."""

    item_position: int
    redemption_id: HashOut
    external_id: str
    shares_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    outcome: ItemOutcome
    skip_reason: str | None
    skip_detail: str | None


class SettlementDetailOut(SettlementOut):
    """A batch with its items and its whole transaction."""

    items: list[ItemOut]
    transaction: TransactionOut


def page_of_settlements(
    store: Store,
    *,
    fund_id: str | None,
    status: SettlementStatus | None,
    limit: int,
    cursor: str | None,
) -> SettlementPage:
    """Newest first, a page at a time. Raises NotFound for an unknown fund, InvalidInput for a
    cursor of another listing."""
    listing = Listing("settlements", (fund_id, status), [int])
    position = listing.position(cursor)
    with store.read() as tx:
        rows = settlements.page(
            tx,
            fund_id=fund_id,
            status=status,
            before_id=None if position is None else position[0],
            limit=limit + 1,
        )
        shown, following = listing.cut(rows, limit=limit, place=lambda row: [row.settlement_id])
        carried = transactions_by_id(tx, [row.transaction_id for row in shown])
    items = [_told(row, carried[row.transaction_id]) for row in shown]
    return SettlementPage(items=items, next_cursor=following)


def _told(row: SettlementRow, transaction: TransactionRow | TransactionOut) -> SettlementOut:
    return SettlementOut.of(
        row,
        transaction_status=transaction.status,
        transaction_outcome=transaction.outcome,
        transaction_hash=transaction.mined_attempt_hash,
    )


def read_settlement(
    store: Store, chains: Mapping[int, ChainContext], settlement_id: int
) -> SettlementDetailOut:
    """A batch with its items in the order of the chain, and its transaction; raises NotFound."""
    with store.read() as tx:
        row = settlements.get(tx, settlement_id)
        if row is None:
            raise NotFound(f"there is no settlement {settlement_id}", field="settlement_id")
        items = settlements.items_of(tx, settlement_id)
        orders = redemptions.get_many(tx, [item.redemption_id for item in items])
        (transaction,) = tell_transactions(tx, chains, [row.transaction_id]).values()
    return SettlementDetailOut(
        **dict(_told(row, transaction)),
        items=[
            ItemOut.of(item, external_id=orders[item.redemption_id].external_id) for item in items
        ],
        transaction=transaction,
    )
