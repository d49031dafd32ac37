"""Consumers of the outbox: how far each has come, and what became of the last try.

Who moves one holds its lease, so that no two processes hand over the same events at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.inserts import insert_if_new
from settlement_node.store.telling.outbox import last_id

c = t.consumers
o = t.outbox


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer as the book has it. `waiting_since_utc` is when the oldest event was written that
    it was not handed yet, None when it has all."""

    name: str
    last_event_id: int
    failures_count: int
    last_error: str | None
    next_attempt_at_utc: datetime | None
    waiting_since_utc: datetime | None


@dataclass(frozen=True, slots=True)
class Missed:
    """Events that a consumer was not handed and never will be: those behind one, up to another."""

    consumer: str
    after_event_id: int
    to_event_id: int


def lease_of(name: str) -> str:
    """The lease's name of a consumer."""
    return f"consumer:{name}"


def enter(tx: Tx, name: str, *, from_now: bool) -> None:
    """Begin with a consumer that is new: behind what there is by now, or at the oldest event."""
    tx.connection.execute(
        insert_if_new(tx.connection, c).values(
            name=name, last_event_id=last_id(tx) if from_now else 0, failures_count=0
        )
    )


def list_consumers(tx: ReadTx, *, name: str | None = None) -> list[Consumer]:
    """Every consumer, or the one of a name."""
    waiting = sa.select(o.c.created_at_utc).where(o.c.event_id > c.c.last_event_id)
    oldest = waiting.order_by(o.c.event_id).limit(1).scalar_subquery()
    query = sa.select(c, oldest.label("waiting_since_utc")).order_by(c.c.name)
    if name is not None:
        query = query.where(c.c.name == name)
    return [Consumer(**row) for row in tx.connection.execute(query).mappings()]


def advance(tx: Tx, name: str, *, to_event_id: int) -> None:
    """Note what a consumer was handed; it never goes back."""
    moved = {"last_event_id": to_event_id, "failures_count": 0}
    tx.connection.execute(
        c.update()
        .where(c.c.name == name, c.c.last_event_id < to_event_id)
        .values(**moved, last_error=None, next_attempt_at_utc=None)
    )


def note_failure(tx: Tx, name: str, error: str, *, next_attempt_at_utc: datetime) -> None:
    """Note that a consumer did not take its events, and when they are tried again."""
    tx.connection.execute(
        c.update()
        .where(c.c.name == name)
        .values(
            failures_count=c.c.failures_count + 1,
            last_error=error,
            next_attempt_at_utc=next_attempt_at_utc,
        )
    )


def pass_over(tx: Tx, *, before_utc: datetime) -> list[Missed]:
    """Have no consumer wait for events older than a time, so that one which stands still does not
    keep the outbox for ever; returns who missed what."""
    kept = sa.select(o.c.event_id).where(o.c.created_at_utc >= before_utc)
    first_kept = kept.order_by(o.c.event_id).limit(1).scalar_subquery()
    too_old = o.c.event_id < sa.func.coalesce(first_kept, sa.literal(2**63 - 1))
    last = tx.connection.execute(sa.select(sa.func.max(o.c.event_id)).where(too_old)).scalar()
    if last is None:
        return []
    behind = sa.select(c).where(c.c.last_event_id < last).with_for_update()
    rows = tx.connection.execute(behind).all()
    for row in rows:
        told = {"after_event_id": row.last_event_id, "to_event_id": last}
        tx.audit("events_missed", "consumer", row.name, told)
        advance(tx, row.name, to_event_id=last)
    return [Missed(row.name, row.last_event_id, last) for row in rows]
