"""Deliver: hand the outbox's events to each consumer, in order, at least once.

Every consumer has a cursor, a lease and troubles of its own, so that one which is slow or down
holds up no other. The event stream reads the outbox by itself; these are for whoever must be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import RowMapping

from settlement_node.errors import words_of
from settlement_node.store.database import Store
from settlement_node.store.fence import Fence
from settlement_node.store.telling import consumers, outbox

log = structlog.get_logger(__name__)

DOUBLINGS_MAX = 8
"""Of the second that is waited after the first failure."""


class Sink(Protocol):
    """Somewhere events go. One that is new to the book is given all that is kept, or `from_now`
    what happens from then on. `deliver` raises to have the same events given again later."""

    name: str
    from_now: bool

    def deliver(self, events: Sequence[RowMapping]) -> None:
        """Take events in order; a repeat of the same event_id does no harm."""


class LogSink:
    """Writes each event as one structured log line, below info: the stages have logged what they
    did there themselves."""

    name = "log"
    from_now = False

    def deliver(self, events: Sequence[RowMapping]) -> None:
        """Log the events."""
        for event in events:
            payload: dict[str, Any] = dict(event["payload"])
            log.debug("event", event_id=event["event_id"], topic=event["topic"], payload=payload)


def begin(store: Store, sink: Sink, fence: Fence) -> None:
    """Enter a consumer under a new lease, if the book does not have it yet."""
    with store.transaction(actor=fence.holder, fence=fence) as tx:
        consumers.enter(tx, sink.name, from_now=sink.from_now)


def deliver(
    store: Store,
    sink: Sink,
    fence: Fence,
    *,
    batch_max: int,
    checkpoint: Callable[[str], None],
) -> int:
    """Hand the next events to one consumer, then note that it has them; returns how many.

    What it raises is noted with the time of the next try, and raised. Raises LeaseLost where
    another process has the consumer by now: that one hands the same events over once more.
    """
    with store.read() as tx:
        (consumer,) = consumers.list_consumers(tx, name=sink.name)
        if consumer.waiting_since_utc is None:
            return 0
        due = consumer.next_attempt_at_utc
        if due is not None and store.database_now(tx.connection) < due:
            return 0
        events = outbox.after(tx, consumer.last_event_id, limit=batch_max)
    with store.transaction(actor=fence.holder, fence=fence):
        pass  # Who lost the consumer would give the same events again, after newer ones perhaps.
    try:
        sink.deliver(events)
    except Exception as error:
        wait = timedelta(seconds=2 ** min(consumer.failures_count, DOUBLINGS_MAX))
        with store.transaction(actor=fence.holder, fence=fence) as tx:
            due = store.database_now(tx.connection) + wait
            consumers.note_failure(tx, sink.name, words_of(error), next_attempt_at_utc=due)
        raise
    checkpoint("deliver.before_commit")
    with store.transaction(actor=fence.holder, fence=fence) as tx:
        consumers.advance(tx, sink.name, to_event_id=events[-1]["event_id"])
    checkpoint("deliver.after_commit")
    return len(events)
