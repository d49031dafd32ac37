"""The outbox: what happened, in commit order, read by the event stream and handed to consumers.

The ids commit in their order (`Tx.flush_events` takes a lock for it), so that whoever has read up
to one has missed none below it, however late another transaction commits.
"""

from __future__ import annotations

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


def drop_old(tx: Tx, *, before_utc: datetime, limit: int) -> int:
    """Retention: of the `limit` oldest events, remove those older than a time that every consumer
    was handed; returns how many."""
    oldest = sa.select(o.c.event_id, o.c.created_at_utc).order_by(o.c.event_id).limit(limit)
    bite = oldest.subquery()
    is_wanted = sa.exists().where(t.consumers.c.last_event_id < bite.c.event_id)
    old = sa.select(bite.c.event_id).where(bite.c.created_at_utc < before_utc, ~is_wanted)
    return tx.connection.execute(o.delete().where(o.c.event_id.in_(old))).rowcount
