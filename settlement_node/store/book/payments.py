"""Payments of redemptions, as the book and the chain's events have them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.store import tables as t
from settlement_node.store.book.redemptions import IN_CHUNK
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Hex32

r = t.redemptions


def waiting_but_settled(
    tx: ReadTx, fund: FundRow, *, final_number: int, limit: int
) -> list[RedemptionRow]:
    """Redemptions nothing of which is in flight, whose id a final settler event shows as paid."""
    ev = t.settler_events
    query = (
        sa.select(r)
        .where(
            r.c.fund_id == fund.fund_id,
            # Not a join: two settlers may both have paid one id, and it is booked once.
            sa.exists().where(
                ev.c.redemption_id == r.c.redemption_id,
                ev.c.kind == "settled",
                ev.c.chain_id == fund.chain_id,
                ev.c.block_number <= final_number,
            ),
            r.c.status.in_(
                [
                    RedemptionStatus.REQUESTED.value,
                    RedemptionStatus.APPROVED.value,
                    RedemptionStatus.HELD.value,
                ]
            ),
        )
        .order_by(r.c.redemption_index)
        .limit(limit)
    )
    return [RedemptionRow.of(row) for row in tx.connection.execute(query).mappings()]


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
    counts: dict[Hex32, int] = {}
    for start in range(0, len(redemption_ids), IN_CHUNK):
        query = (
            sa.select(e.c.redemption_id, sa.func.count())
            .where(
                e.c.chain_id == chain_id,
                e.c.kind == "settled",
                e.c.redemption_id.in_(redemption_ids[start : start + IN_CHUNK]),
            )
            .group_by(e.c.redemption_id)
        )
        counts |= {Hex32(i): n for i, n in tx.connection.execute(query)}
    return counts
