"""Redemptions. `record_facts` is the only way a written redemption's status changes: as the domain
decides, it writes rows, ledger, audit facts and outbox events in one commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionFact, RedemptionStatus
from settlement_node.domain.postings import changed_columns
from settlement_node.domain.redemption import Held, HoldReason
from settlement_node.domain.waiting import WaitingFor
from settlement_node.errors import NotFound, Transient
from settlement_node.store import tables as t
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.ledger import post_movements
from settlement_node.store.book.waits import Told, waits_for
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import RedemptionRow
from settlement_node.store.tables import IS_APPROVED
from settlement_node.store.types import among, sum_base_units
from settlement_node.units import Address, Hex32, Shares, normal_external_id

r = t.redemptions
UNENDED = frozenset(RedemptionStatus) - REDEMPTION_ENDED
HOLD_DETAIL_MAX = 500
_ADVANCE = r.update().where(
    r.c.redemption_id == sa.bindparam("of_redemption_id"),
    r.c.version == sa.bindparam("of_version"),
)
"""Sets whatever columns the parameters name beside these two."""


@dataclass(frozen=True, slots=True)
class Advance:
    """One fact of one redemption, `row` as it was read. `changes` are the columns that come with
    the fact (`domain.postings.COLUMNS`), `detail` goes into audit and event. A payment that was
    found says with `burned_base_units` what the chain burned, where that is not what was ordered.
    """

    row: RedemptionRow
    fact: RedemptionFact
    changes: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)
    burned_base_units: Shares | None = None


def hold(
    row: RedemptionRow,
    reason: HoldReason,
    detail: str,
    *,
    fact: RedemptionFact = RedemptionFact.HOLD_PLACED,
) -> Advance:
    """Hold a redemption for a person; `detail` is cut to what the book keeps."""
    words = {"hold_reason": reason.value, "hold_detail": detail[:HOLD_DETAIL_MAX]}
    return Advance(row, fact, changes=words, detail=words)


def record_facts(tx: Tx, advances: Sequence[Advance]) -> list[RedemptionRow]:
    """Advance redemptions by a fact each, if nobody else did since they were read: status, columns,
    ledger, audit and event, in a bounded number of statements. Returns them in the same order.

    Raises InvariantBroken for an illegal fact, and Transient when one has moved on meanwhile (a
    cancellation met the plan stage, say): nothing may be committed, and the caller reads again.
    """
    if not advances:
        return []
    moved = _move(tx, advances)
    alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for row, columns in moved:
        of = {"of_redemption_id": row.redemption_id, "of_version": row.version - 1}
        alike[frozenset(columns)].append(of | columns)
    updated = sum(tx.connection.execute(_ADVANCE, rows).rowcount for rows in alike.values())
    if updated != len(advances):
        names = [advance.row.redemption_id for advance in advances]
        raise Transient(
            f"{len(advances) - updated} of {len(advances)} redemptions changed while facts were"
            f" recorded, from {names[0]} to {names[-1]}; read them again",
            redemption_id=names[0],
        )
    return [row for row, _ in moved]


def record_fact(
    tx: Tx,
    row: RedemptionRow,
    fact: RedemptionFact,
    *,
    changes: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> RedemptionRow:
    """`record_facts` of one."""
    return record_facts(tx, [Advance(row, fact, changes or {}, detail or {})])[0]


def advance_new(tx: Tx, advances: Sequence[Advance]) -> list[RedemptionRow]:
    """As `record_facts`, of redemptions that the same commit writes afterwards, so that a large
    file's orders are each written once (`orders.write_new`)."""
    return [row for row, _ in _move(tx, advances)]


def _move(tx: Tx, advances: Sequence[Advance]) -> list[tuple[RedemptionRow, dict[str, Any]]]:
    """The rows as the facts leave them, each with the columns to write; all that goes with them is
    told, posted and counted."""
    funds = {fund_id: get_fund(tx, fund_id) for fund_id in {a.row.fund_id for a in advances}}
    moved = []
    for advance in advances:
        before = advance.row
        columns = changed_columns(
            before.standing, advance.fact, advance.changes, now_utc=tx.now_utc
        ) | {"version": before.version + 1}
        row = booked = replace(before, **columns)
        moved.append((row, columns))
        _tell(tx, advance, row.status)
        if advance.burned_base_units is not None:
            booked = replace(row, shares_base_units=advance.burned_base_units)
        post_movements(tx, funds[row.fund_id], advance.fact, booked, before=before)
        tx.count(row.fund_id, before.status.value, -1)
        tx.count(row.fund_id, row.status.value, 1)
    return moved


def _tell(tx: Tx, advance: Advance, following: RedemptionStatus) -> None:
    """The audit fact and the event of one advance."""
    row, fact = advance.row, advance.fact
    tx.audit(
        fact.value,
        "redemption",
        row.redemption_id,
        {"from": row.status.value, "to": following.value, **advance.detail},
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
            **advance.detail,
        },
    )


def get(tx: ReadTx, redemption_id: Hex32) -> RedemptionRow | None:
    """One redemption by its id."""
    return get_many(tx, [redemption_id]).get(redemption_id)


def get_known(tx: ReadTx, redemption_id: Hex32) -> RedemptionRow:
    """`get` of one that a person named; raises NotFound."""
    row = get(tx, redemption_id)
    if row is None:
        raise NotFound(f"there is no redemption {redemption_id}", field="redemption_id")
    return row


def get_many(tx: ReadTx, redemption_ids: Sequence[Hex32]) -> dict[Hex32, RedemptionRow]:
    """Redemptions by id; ids not in the book are absent from the answer."""
    found = tx.connection.execute(sa.select(r).where(among(r.c.redemption_id, redemption_ids)))
    return {Hex32(row["redemption_id"]): RedemptionRow.of(row) for row in found.mappings()}


def _due(fund_id: str, at_utc: datetime) -> sa.Select[Any]:
    return sa.select(r).where(
        r.c.fund_id == fund_id,
        IS_APPROVED,
        sa.or_(r.c.settle_after_utc.is_(None), r.c.settle_after_utc <= at_utc),
    )


def due(
    tx: ReadTx, fund_id: str, *, at_utc: datetime, limit: int, above_index: int = -1
) -> list[RedemptionRow]:
    """Approved redemptions whose settlement date has come at that time, the database's own, oldest
    index first; with `above_index` only those behind it."""
    query = _due(fund_id, at_utc).order_by(r.c.redemption_index).limit(limit)
    if above_index >= 0:
        query = query.where(r.c.redemption_index > above_index)
    return [RedemptionRow.of(row) for row in tx.connection.execute(query).mappings()]


def due_smallest(tx: ReadTx, fund_id: str, *, at_utc: datetime, limit: int) -> list[RedemptionRow]:
    """Of the due redemptions those with the fewest shares, oldest index first."""
    query = _due(fund_id, at_utc).order_by(r.c.shares_base_units, r.c.redemption_index)
    found = tx.connection.execute(query.limit(limit)).mappings()
    return sorted(map(RedemptionRow.of, found), key=lambda row: row.redemption_index)


def next_date(tx: ReadTx, fund_id: str, *, at_utc: datetime) -> datetime | None:
    """The first settlement date of an approved redemption that has not come at that time."""
    query = sa.select(sa.func.min(r.c.settle_after_utc)).where(
        r.c.fund_id == fund_id, IS_APPROVED, r.c.settle_after_utc > at_utc
    )
    return tx.connection.execute(query).scalar()


def approved_moves(tx: ReadTx, fund_id: str) -> tuple[int, int]:
    """How many approved redemptions a fund has, and how often one came or went: the same two
    figures are the same redemptions."""
    c = t.redemption_counts.c
    query = sa.select(c.redemptions_count, c.moves_count).where(
        c.fund_id == fund_id, c.status == RedemptionStatus.APPROVED.value
    )
    count, moves = tx.connection.execute(query).one()
    return count, moves


def set_waiting_on(tx: Tx, redemption_ids: Sequence[Hex32], waiting_on: str | None) -> int:
    """Note what approved redemptions wait for; returns how many notes changed."""
    changed = (
        r.update()
        .where(
            among(r.c.redemption_id, redemption_ids),
            IS_APPROVED,
            r.c.waiting_on.is_distinct_from(waiting_on),
        )
        .values(waiting_on=waiting_on)
    )
    return tx.connection.execute(changed).rowcount


def waits_of(tx: ReadTx, fund_id: str) -> set[str]:
    """What the approved redemptions of a fund were last noted to wait for."""
    query = (
        sa.select(r.c.waiting_on)
        .where(r.c.fund_id == fund_id, IS_APPROVED, r.c.waiting_on.is_not(None))
        .distinct()
    )
    return set(tx.connection.execute(query).scalars())


def held_of(tx: ReadTx, fund_id: str) -> Held | None:
    """A fund's held redemptions, None where there are none."""
    query = sa.select(
        sa.func.count(), sa.func.min(r.c.updated_at_utc), sum_base_units(r.c.shares_base_units)
    ).where(r.c.fund_id == fund_id, r.c.status == RedemptionStatus.HELD.value)
    count, since_utc, shares = tx.connection.execute(query).one()
    return Held(count, since_utc, Shares(int(shares))) if count else None


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


def in_flight_payout(tx: ReadTx, fund_id: str) -> int:
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
    """What `page` selects; None means any. `waiting_for` is one of the things that an order's story
    says it waits for; `search` looks in external_id and addresses."""

    fund_id: str | None = None
    status: RedemptionStatus | None = None
    waiting_for: WaitingFor | None = None
    investor_address: Address | None = None
    requested_from_utc: datetime | None = None
    requested_before_utc: datetime | None = None
    search: str | None = None


def page(
    tx: ReadTx,
    wanted: RedemptionFilter,
    *,
    limit: int,
    after: tuple[datetime, str] | None = None,
    told: Told | None = None,
) -> list[RedemptionRow]:
    """Newest first; `after` is (requested_at_utc, redemption_id) of the last row of the page
    before, `told` what is needed where `waiting_for` is wanted. Raises NotFound for a fund that
    the book does not have: nothing is no answer then."""
    query = sa.select(r).order_by(r.c.requested_at_utc.desc(), r.c.redemption_id.desc())
    if wanted.fund_id is not None:
        get_fund(tx, wanted.fund_id)
        query = query.where(r.c.fund_id == wanted.fund_id)
    if wanted.status is not None:
        query = query.where(r.c.status == wanted.status.value)
    if wanted.waiting_for is not None or wanted.status in UNENDED:
        query = query.where(t.UNFINISHED)
    if wanted.waiting_for is not None:
        assert told is not None
        query = query.where(waits_for(wanted.waiting_for, told))
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


def count_by_status(tx: ReadTx, fund_id: str | None = None) -> dict[RedemptionStatus, int]:
    """How many redemptions stand in each status, as every commit has kept it."""
    c = t.redemption_counts
    query = sa.select(c.c.status, sa.func.sum(c.c.redemptions_count)).group_by(c.c.status)
    if fund_id is not None:
        query = query.where(c.c.fund_id == fund_id)
    counts = dict.fromkeys(RedemptionStatus, 0)
    counts.update({RedemptionStatus(s): int(n) for s, n in tx.connection.execute(query)})
    return counts
