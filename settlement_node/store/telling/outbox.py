"""The outbox: what happened, in commit order, read by the event stream and delivered onwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx

o = t.outbox


def after(tx: ReadTx, event_id: int, *, limit: int = 500) -> list[sa.RowMapping]:
    """Events behind `event_id`, oldest first: event_id, topic, subject_id, payload, time."""
    return list(
        tx.connection.execute(
            sa.select(o).where(o.c.event_id > event_id).order_by(o.c.event_id).limit(limit)
        ).mappings()
    )


def last_id(tx: ReadTx) -> int:
    """The newest event's id; 0 when there is none."""
    newest: int = tx.connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(o.c.event_id), 0))
    ).scalar_one()
    return newest


def oldest_id(tx: ReadTx) -> int:
    """The oldest event's id still kept; 0 when there is none."""
    oldest: int = tx.connection.execute(
        sa.select(sa.func.coalesce(sa.func.min(o.c.event_id), 0))
    ).scalar_one()
    return oldest


def undelivered(tx: ReadTx, *, limit: int) -> list[sa.RowMapping]:
    """Events no sink has been given yet, oldest first."""
    return list(
        tx.connection.execute(
            sa.select(o).where(o.c.delivered_at_utc.is_(None)).order_by(o.c.event_id).limit(limit)
        ).mappings()
    )


def mark_delivered(tx: Tx, event_ids: Sequence[int]) -> None:
    """Note that the sinks have these events."""
    if event_ids:
        tx.connection.execute(
            o.update().where(o.c.event_id.in_(list(event_ids))).values(delivered_at_utc=tx.now_utc)
        )


def drop_delivered(tx: Tx, *, before_utc: datetime, limit: int) -> int:
    """Retention: remove delivered events older than a time; returns how many."""
    old = (
        sa.select(o.c.event_id)
        .where(o.c.delivered_at_utc.is_not(None), o.c.created_at_utc < before_utc)
        .order_by(o.c.event_id)
        .limit(limit)
    )
    return tx.connection.execute(o.delete().where(o.c.event_id.in_(old))).rowcount
