"""Payments of redemptions, as the book and the chain's events have them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.types import among
from settlement_node.units import Hex32

r = t.redemptions
WAITING = [
    RedemptionStatus.REQUESTED.value,
    RedemptionStatus.APPROVED.value,
    RedemptionStatus.HELD.value,
]
"""The statuses of redemptions that are there and of which nothing is in flight."""
WAITING_FEW = 1_000
"""So many of them are looked through; more are found by the batches of others."""


def waiting_but_settled(
    tx: ReadTx, fund: FundRow, *, final_number: int, limit: int
) -> list[RedemptionRow]:
    """Redemptions nothing of which is in flight, whose id a final settler event shows as paid."""
    ev = t.settler_events
    # Not a join: two settlers may both have paid one id, and it is booked once.
    query = sa.select(r).where(
        sa.exists().where(
            ev.c.redemption_id == r.c.redemption_id,
            ev.c.kind == "settled",
            ev.c.chain_id == fund.chain_id,
            ev.c.block_number <= final_number,
        )
    )
    of_fund: sa.ColumnElement[str] = r.c.fund_id
    status: sa.ColumnElement[str] = r.c.status
    index: sa.ColumnElement[int] = r.c.redemption_index
    if _waiting_count(tx, fund.fund_id) > WAITING_FEW:
        query = query.where(r.c.redemption_id.in_(_paid_by_others(fund)))
        # No index serves these but that of the id: by another all of them would be looked through.
        of_fund, status, index = of_fund.concat(""), status.concat(""), index + 0
    query = query.where(of_fund == fund.fund_id, status.in_(WAITING)).order_by(index)
    found = tx.connection.execute(query.limit(limit)).mappings()
    return [RedemptionRow.of(row) for row in found]


def _waiting_count(tx: ReadTx, fund_id: str) -> int:
    c = t.redemption_counts.c
    query = sa.select(sa.func.sum(c.redemptions_count)).where(
        c.fund_id == fund_id, c.status.in_(WAITING)
    )
    return int(tx.connection.execute(query).scalar_one())


def _paid_by_others(fund: FundRow) -> sa.Select[tuple[str]]:
    """What the chain shows as paid by a batch that no settlement of this book made, or one that
    counts as void. A payment of any other has its redemption in flight or settled."""
    fb, s, batch, paid = (
        t.foreign_batches.c,
        t.settlements.c,
        t.settler_events.alias("batch"),
        t.settler_events.alias("paid"),
    )
    settlers = sa.select(t.fund_settlers.c.settler_address).where(
        t.fund_settlers.c.fund_id == fund.fund_id
    )
    foreign = sa.select(fb.settler_address, fb.batch_hash).where(
        fb.chain_id == fund.chain_id, fb.settler_address.in_(settlers)
    )
    void = sa.select(s.settler_address, s.batch_hash).where(
        s.fund_id == fund.fund_id, t.settlements.c.status == sa.literal_column("'void'")
    )
    others = foreign.union_all(void).subquery("others")
    return (
        sa.select(paid.c.redemption_id)
        .select_from(others)
        .join(
            batch,
            (batch.c.batch_hash == others.c.batch_hash)
            & (batch.c.settler_address == others.c.settler_address)
            & (batch.c.chain_id == fund.chain_id),
        )
        .join(
            paid,
            (paid.c.chain_id == batch.c.chain_id)
            & (paid.c.transaction_hash == batch.c.transaction_hash),
        )
        .where(paid.c.kind == "settled")
    )


def booked_paid_between(tx: ReadTx, fund_id: str, *, from_block: int, to_block: int) -> set[Hex32]:
    """Redemptions booked as settled by a transaction mined in blocks (from, to]."""
    i, s, x = t.settlement_items, t.settlements, t.transactions
    query = (
        sa.select(i.c.redemption_id)
        .join(s, s.c.settlement_id == i.c.settlement_id)
        .join(x, x.c.transaction_id == s.c.transaction_id)
        .where(
            s.c.fund_id == fund_id,
            i.c.outcome == "settled",
            x.c.block_number > from_block,
            x.c.block_number <= to_block,
        )
    )
    return {Hex32(value) for value in tx.connection.execute(query).scalars()}


def found_paid_between(tx: ReadTx, fund_id: str, *, from_block: int, to_block: int) -> set[Hex32]:
    """Redemptions that the chain showed as paid in blocks (from, to], by no settlement of this
    book."""
    query = sa.select(r.c.redemption_id).where(
        r.c.fund_id == fund_id,
        r.c.found_block_number.is_not(None),
        r.c.found_block_number > from_block,
        r.c.found_block_number <= to_block,
    )
    return {Hex32(value) for value in tx.connection.execute(query).scalars()}


def times_settled(tx: ReadTx, chain_id: int, redemption_ids: Sequence[Hex32]) -> dict[Hex32, int]:
    """How many settled events, of any settler, the canonical chain has for each redemption."""
    e = t.settler_events
    query = (
        sa.select(e.c.redemption_id, sa.func.count())
        .where(
            e.c.chain_id == chain_id,
            e.c.kind == "settled",
            among(e.c.redemption_id, redemption_ids),
        )
        .group_by(e.c.redemption_id)
    )
    return {Hex32(i): n for i, n in tx.connection.execute(query)}
