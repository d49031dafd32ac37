"""Settlements and their items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from settlement_node.domain.lifecycle import Leg, RedemptionStatus, TransactionStatus
from settlement_node.domain.planning import UndecidedBatch
from settlement_node.store import tables as t
from settlement_node.store.book.funds import get_fund
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow, ItemRow, RedemptionRow, SettlementRow
from settlement_node.store.tables import ItemOutcome, SettlementStatus
from settlement_node.store.types import word
from settlement_node.units import Address, Hex32

s = t.settlements
i = t.settlement_items
_SET_ITEM = i.update().where(
    i.c.settlement_id == sa.bindparam("of_settlement_id"),
    i.c.item_position == sa.bindparam("of_item_position"),
)


def shares_in_flight(tx: ReadTx, fund_id: str) -> dict[Address, int]:
    """What each investor's redemptions in batches not yet seen mined are going to burn; investors
    with none are left out."""
    r = t.redemptions
    # Summed here: grouped by investor, SQLite would read every redemption there ever was.
    query = sa.select(r.c.investor_address, r.c.shares_base_units).where(
        r.c.fund_id == fund_id, r.c.status == RedemptionStatus.SETTLING.value
    )
    shares: dict[Address, int] = defaultdict(int)
    for investor, base_units in tx.connection.execute(query):
        shares[investor] += base_units
    return dict(shares)


def add_settlement(
    tx: Tx,
    fund: FundRow,
    *,
    leg: Leg,
    transaction_id: int,
    previous_batch_hash: Hex32,
    batch_hash: Hex32,
    items: Sequence[RedemptionRow],
) -> SettlementRow:
    """Record a batch of priced redemptions, in the order of its items on the chain."""
    priced = [(row, row.payout_base_units) for row in items]
    row = (
        tx.connection.execute(
            s.insert()
            .values(
                fund_id=fund.fund_id,
                settler_address=fund.settler_address,
                leg=leg.value,
                transaction_id=transaction_id,
                previous_batch_hash=previous_batch_hash,
                batch_hash=batch_hash,
                items_count=len(items),
                shares_base_units=sum(r.shares_base_units for r in items),
                payout_base_units=sum(p or 0 for _, p in priced),
                status=SettlementStatus.LIVE.value,
                planned_at_utc=tx.now_utc,
            )
            .returning(*s.c)
        )
        .mappings()
        .one()
    )
    tx.connection.execute(
        i.insert(),
        [
            {
                "settlement_id": row["settlement_id"],
                "item_position": position,
                "redemption_id": redemption.redemption_id,
                "shares_base_units": redemption.shares_base_units,
                "payout_base_units": payout,
                "outcome": ItemOutcome.PENDING.value,
                "live": True,
            }
            for position, (redemption, payout) in enumerate(priced)
        ],
    )
    tx.emit(
        "settlement.live",
        str(row["settlement_id"]),
        {
            "settlement_id": row["settlement_id"],
            "fund_id": fund.fund_id,
            "items_count": len(items),
            "status": SettlementStatus.LIVE.value,
        },
    )
    return SettlementRow.of(row)


def end_settlement(tx: Tx, settlement: SettlementRow, status: SettlementStatus) -> None:
    """Settle or void a settlement; void frees every item of it."""
    tx.connection.execute(
        s.update()
        .where(s.c.settlement_id == settlement.settlement_id)
        .values(status=status.value, ended_at_utc=tx.now_utc)
    )
    if status is SettlementStatus.VOID:
        tx.connection.execute(
            i.update().where(i.c.settlement_id == settlement.settlement_id).values(live=False)
        )
    tx.audit(f"settlement_{status.value}", "settlement", str(settlement.settlement_id))
    tx.emit(
        f"settlement.{status.value}",
        str(settlement.settlement_id),
        {
            "settlement_id": settlement.settlement_id,
            "fund_id": settlement.fund_id,
            "items_count": settlement.items_count,
            "status": status.value,
        },
    )


def set_items(tx: Tx, items: Sequence[ItemRow]) -> None:
    """Write what came of items down, as these rows say it."""
    if items:
        tx.connection.execute(
            _SET_ITEM,
            [
                {
                    "of_settlement_id": item.settlement_id,
                    "of_item_position": item.item_position,
                    "outcome": item.outcome.value,
                    "live": item.live,
                    "skip_reason": item.skip_reason,
                    "skip_detail": item.skip_detail,
                }
                for item in items
            ],
        )


def of_transaction(tx: ReadTx, transaction_id: int) -> SettlementRow | None:
    """The settlement a transaction carries; None for a transaction that carries none."""
    row = (
        tx.connection.execute(sa.select(s).where(s.c.transaction_id == transaction_id))
        .mappings()
        .first()
    )
    return None if row is None else SettlementRow.of(row)


def get(tx: ReadTx, settlement_id: int) -> SettlementRow | None:
    """One settlement."""
    row = (
        tx.connection.execute(sa.select(s).where(s.c.settlement_id == settlement_id))
        .mappings()
        .first()
    )
    return None if row is None else SettlementRow.of(row)


def items_of(tx: ReadTx, settlement_id: int) -> list[ItemRow]:
    """Items in the order of the batch."""
    query = sa.select(i).where(i.c.settlement_id == settlement_id).order_by(i.c.item_position)
    return [ItemRow.of(row) for row in tx.connection.execute(query).mappings()]


def items_of_redemption(tx: ReadTx, redemption_id: Hex32, *, limit: int = 100) -> list[ItemRow]:
    """Every settlement a redemption was ever in, oldest first."""
    query = (
        sa.select(i)
        .where(i.c.redemption_id == redemption_id)
        .order_by(i.c.settlement_id)
        .limit(limit)
    )
    return [ItemRow.of(row) for row in tx.connection.execute(query).mappings()]


def last_live(tx: ReadTx, fund_id: str) -> SettlementRow | None:
    """The newest settlement of a fund whose transaction is not final."""
    query = (
        sa.select(s)
        .where(s.c.fund_id == fund_id, s.c.status == word(SettlementStatus.LIVE))
        .order_by(s.c.settlement_id.desc())
        .limit(1)
    )
    row = tx.connection.execute(query).mappings().first()
    return None if row is None else SettlementRow.of(row)


def undecided(tx: ReadTx, fund_id: str) -> list[UndecidedBatch]:
    """A fund's live settlements that are unmined or may fail as a whole, oldest first: as few as
    a lane has unmined. The many that were mined well and wait for finality are left out."""
    x = t.transactions
    is_mined = x.c.status == word(TransactionStatus.MINED)
    may_fail = sa.or_(
        x.c.cancel_requested.is_(True), sa.and_(is_mined, x.c.evm_succeeded.is_(False))
    )
    query = (
        sa.select(s.c.settlement_id, s.c.previous_batch_hash, may_fail.label("may_fail"))
        .join(x, x.c.transaction_id == s.c.transaction_id)
        .where(
            s.c.fund_id == fund_id,
            s.c.status == word(SettlementStatus.LIVE),
            sa.or_(~is_mined, may_fail),
        )
        .order_by(s.c.settlement_id)
    )
    return [
        UndecidedBatch(row.settlement_id, Hex32(row.previous_batch_hash), bool(row.may_fail))
        for row in tx.connection.execute(query)
    ]


def page(
    tx: ReadTx,
    *,
    fund_id: str | None = None,
    status: SettlementStatus | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[SettlementRow]:
    """Newest first; `before_id` is the last settlement_id of the page before. Raises NotFound for
    a fund that the book does not have: nothing is no answer then."""
    query = sa.select(s).order_by(s.c.settlement_id.desc()).limit(limit)
    if fund_id is not None:
        get_fund(tx, fund_id)
        query = query.where(s.c.fund_id == fund_id)
    if status is not None:
        query = query.where(s.c.status == status.value)
    if before_id is not None:
        query = query.where(s.c.settlement_id < before_id)
    return [SettlementRow.of(row) for row in tx.connection.execute(query).mappings()]
