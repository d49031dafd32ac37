"""Redemptions and investors. `record_fact` is the only way a written redemption's status changes:
it advances the table, writes the row, the audit fact and the outbox event in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from settlement_node.domain.lifecycle import (
    RedemptionFact,
    RedemptionStatus,
    advance_redemption,
)
from settlement_node.errors import Transient
from settlement_node.store import tables as t
from settlement_node.store.book.funds import get_fund
from settlement_node.store.database import Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.types import sum_base_units
from settlement_node.units import Address, Hex32, normal_external_id

r = t.redemptions
IN_CHUNK = 500
"""Most values in one IN list, below SQLite's variable bound."""
MUTABLE = (
    "status",
    "version",
    "gross_base_units",
    "fee_base_units",
    "payout_base_units",
    "nav_per_share",
    "hold_reason",
    "hold_detail",
    "waiting_on",
    "reverted_batch_size",
    "approved_at_utc",
    "settled_at_utc",
    "found_block_number",
    "updated_at_utc",
)
"""What a fact may change of a redemption; the rest is fixed when it is recorded."""
_ADVANCE = (
    r.update()
    .where(
        r.c.redemption_id == sa.bindparam("of_redemption_id"),
        r.c.version == sa.bindparam("of_version"),
    )
    .values({name: sa.bindparam(f"new_{name}", type_=r.c[name].type) for name in MUTABLE})
)
"""One statement for every fact, made once: building it anew cost more than running it."""


def record_fact(
    tx: Tx,
    row: RedemptionRow,
    fact: RedemptionFact,
    *,
    changes: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
) -> RedemptionRow:
    """Advance one redemption by a fact, if nobody else did since `row` was read.

    Raises InvariantBroken for an illegal fact, and Transient when the row has moved on meanwhile
    (a cancellation met the plan stage, say): nothing happened, and the caller reads again.
    """
    advanced = _advanced(tx, row, fact, changes)
    updated = tx.connection.execute(
        _ADVANCE,
        {
            "of_redemption_id": row.redemption_id,
            "of_version": row.version,
            **{f"new_{name}": getattr(advanced, name) for name in MUTABLE},
        },
    ).rowcount
    if updated != 1:
        raise Transient(
            f"redemption {row.redemption_id} changed while a fact was recorded; read it again",
            redemption_id=row.redemption_id,
        )
    _tell(tx, row, advanced.status, fact, detail)
    return advanced


def advance_new(
    tx: Tx,
    row: RedemptionRow,
    fact: RedemptionFact,
    *,
    changes: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
) -> RedemptionRow:
    """As `record_fact`, of a redemption that the same commit writes afterwards, so that a large
    file's orders are each written once (`orders.write_new`)."""
    advanced = _advanced(tx, row, fact, changes)
    _tell(tx, row, advanced.status, fact, detail)
    return advanced


def _advanced(
    tx: Tx, row: RedemptionRow, fact: RedemptionFact, changes: dict[str, Any] | None
) -> RedemptionRow:
    assert not set(changes or {}) - set(MUTABLE), f"{set(changes or {})} may not change"
    following = advance_redemption(row.status, fact)
    held = following is RedemptionStatus.HELD
    return replace(
        row,
        **{
            "status": following,
            "version": row.version + 1,
            "updated_at_utc": tx.now_utc,
            "waiting_on": None,
            **({} if held else {"hold_reason": None, "hold_detail": None}),
            **(changes or {}),
        },
    )


def _tell(
    tx: Tx,
    row: RedemptionRow,
    following: RedemptionStatus,
    fact: RedemptionFact,
    detail: dict[str, Any] | None,
) -> None:
    """The audit fact and the event of one advance."""
    tx.audit(
        fact.value,
        "redemption",
        row.redemption_id,
        {"from": row.status.value, "to": following.value, **(detail or {})},
    )
    tx.emit(
        f"redemption.{following.value}",
        row.redemption_id,
        {
            "redemption_id": row.redemption_id,
            "external_id": row.external_id,
            "fund_id": row.fund_id,
            "status": following.value,
            "fact": fact.value,
            **(detail or {}),
        },
    )


def get(tx: Tx, redemption_id: Hex32) -> RedemptionRow | None:
    """One redemption by its id."""
    return get_many(tx, [redemption_id]).get(redemption_id)


def get_many(tx: Tx, redemption_ids: Sequence[Hex32]) -> dict[Hex32, RedemptionRow]:
    """Redemptions by id; ids not in the book are absent from the answer."""
    rows: dict[Hex32, RedemptionRow] = {}
    for start in range(0, len(redemption_ids), IN_CHUNK):
        chunk = redemption_ids[start : start + IN_CHUNK]
        for row in tx.connection.execute(
            sa.select(r).where(r.c.redemption_id.in_(chunk))
        ).mappings():
            rows[Hex32(row["redemption_id"])] = RedemptionRow.of(row)
    return rows


def due(
    tx: Tx, fund_id: str, *, at_utc: datetime, limit: int, above_index: int = -1
) -> list[RedemptionRow]:
    """Approved redemptions whose settlement date has come at that time, the database's own, oldest
    index first; with `above_index` only those behind it."""
    query = (
        sa.select(r)
        .where(
            r.c.fund_id == fund_id,
            r.c.status == RedemptionStatus.APPROVED.value,
            sa.or_(r.c.settle_after_utc.is_(None), r.c.settle_after_utc <= at_utc),
        )
        .order_by(r.c.redemption_index)
        .limit(limit)
    )
    if above_index >= 0:
        query = query.where(r.c.redemption_index > above_index)
    return [RedemptionRow.of(row) for row in tx.connection.execute(query).mappings()]


def due_smallest(tx: Tx, fund_id: str, *, at_utc: datetime, limit: int) -> list[RedemptionRow]:
    """Of the due redemptions those with the fewest shares, oldest index first."""
    query = (
        sa.select(r)
        .where(
            r.c.fund_id == fund_id,
            r.c.status == RedemptionStatus.APPROVED.value,
            sa.or_(r.c.settle_after_utc.is_(None), r.c.settle_after_utc <= at_utc),
        )
        .order_by(r.c.shares_base_units, r.c.redemption_index)
        .limit(limit)
    )
    rows = [RedemptionRow.of(row) for row in tx.connection.execute(query).mappings()]
    return sorted(rows, key=lambda row: row.redemption_index)


def waiting_but_settled(
    tx: Tx, fund: FundRow, *, final_number: int, limit: int
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


def set_waiting_on(tx: Tx, redemption_ids: Sequence[Hex32], waiting_on: str | None) -> int:
    """Note what approved redemptions wait for; returns how many notes changed."""
    changed = 0
    for start in range(0, len(redemption_ids), IN_CHUNK):
        changed += tx.connection.execute(
            r.update()
            .where(
                r.c.redemption_id.in_(redemption_ids[start : start + IN_CHUNK]),
                r.c.status == RedemptionStatus.APPROVED.value,
                r.c.waiting_on.is_distinct_from(waiting_on),
            )
            .values(waiting_on=waiting_on)
        ).rowcount
    return changed


def waits_of(tx: Tx, fund_id: str) -> set[str]:
    """What the approved redemptions of a fund were last noted to wait for."""
    query = (
        sa.select(r.c.waiting_on)
        .where(
            r.c.fund_id == fund_id,
            r.c.status == RedemptionStatus.APPROVED.value,
            r.c.waiting_on.is_not(None),
        )
        .distinct()
    )
    return set(tx.connection.execute(query).scalars())


def set_broadcast(tx: Tx, settlement_id: int) -> None:
    """Note when the redemptions of a settlement first left for the chain."""
    i = t.settlement_items
    tx.connection.execute(
        r.update()
        .where(
            r.c.redemption_id.in_(
                sa.select(i.c.redemption_id).where(i.c.settlement_id == settlement_id)
            )
        )
        .values(broadcast_at_utc=tx.now_utc)
    )


def in_flight_payout(tx: Tx, fund_id: str) -> int:
    """Σ payout of redemptions in settlements that are not yet mined, in payout base units."""
    return int(
        tx.connection.execute(
            sa.select(sum_base_units(r.c.payout_base_units)).where(
                r.c.fund_id == fund_id, r.c.status == RedemptionStatus.SETTLING.value
            )
        ).scalar_one()
    )


@dataclass(frozen=True, slots=True)
class RedemptionFilter:
    """What `page` selects; None means any. `search` looks in external_id and addresses."""

    fund_id: str | None = None
    status: RedemptionStatus | None = None
    investor_address: Address | None = None
    requested_from_utc: datetime | None = None
    requested_before_utc: datetime | None = None
    search: str | None = None


def page(
    tx: Tx,
    wanted: RedemptionFilter,
    *,
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> list[RedemptionRow]:
    """Newest first; `after` is (requested_at_utc, redemption_id) of the last row of the page
    before. Raises NotFound for a fund that the book does not have: nothing is no answer then."""
    query = sa.select(r).order_by(r.c.requested_at_utc.desc(), r.c.redemption_id.desc())
    if wanted.fund_id is not None:
        get_fund(tx, wanted.fund_id)
        query = query.where(r.c.fund_id == wanted.fund_id)
    if wanted.status is not None:
        query = query.where(r.c.status == wanted.status.value)
    if wanted.investor_address is not None:
        query = query.where(r.c.investor_address == wanted.investor_address)
    if wanted.requested_from_utc is not None:
        query = query.where(r.c.requested_at_utc >= wanted.requested_from_utc)
    if wanted.requested_before_utc is not None:
        query = query.where(r.c.requested_at_utc < wanted.requested_before_utc)
    if wanted.search:
        # PostgreSQL takes no NUL in text; no row holds one, so a word with one finds nothing.
        words = normal_external_id(wanted.search.replace("\x00", "\ufffd"))
        query = query.where(
            sa.or_(
                r.c.external_id.icontains(words, autoescape=True),
                sa.func.lower(r.c.investor_address) == words.lower(),
                sa.func.lower(r.c.payee_address) == words.lower(),
                r.c.redemption_id == words.lower(),
            )
        )
    if after is not None:
        query = query.where(
            sa.tuple_(r.c.requested_at_utc, r.c.redemption_id)
            < sa.tuple_(
                sa.literal(after[0], r.c.requested_at_utc.type),
                sa.literal(after[1], r.c.redemption_id.type),
            )
        )
    return [RedemptionRow.of(row) for row in tx.connection.execute(query.limit(limit)).mappings()]


def count_by_status(tx: Tx, fund_id: str | None = None) -> dict[RedemptionStatus, int]:
    """How many redemptions stand in each status."""
    query = sa.select(r.c.status, sa.func.count()).group_by(r.c.status)
    if fund_id is not None:
        query = query.where(r.c.fund_id == fund_id)
    counts = dict.fromkeys(RedemptionStatus, 0)
    counts.update({RedemptionStatus(s): n for s, n in tx.connection.execute(query)})
    return counts


def booked_paid_between(tx: Tx, fund_id: str, *, from_block: int, to_block: int) -> set[Hex32]:
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


def found_paid_between(tx: Tx, fund_id: str, *, from_block: int, to_block: int) -> set[Hex32]:
    """Redemptions that the chain showed as paid in blocks (from, to], by no settlement of this
    book."""
    query = sa.select(r.c.redemption_id).where(
        r.c.fund_id == fund_id,
        r.c.found_block_number.is_not(None),
        r.c.found_block_number > from_block,
        r.c.found_block_number <= to_block,
    )
    return {Hex32(value) for value in tx.connection.execute(query).scalars()}


def times_settled(tx: Tx, chain_id: int, redemption_ids: Sequence[Hex32]) -> dict[Hex32, int]:
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
