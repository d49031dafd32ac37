"""Deliver: give outbox events to the sinks, in order, at least once. The event stream reads the
outbox by itself; sinks are for those who must be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from sqlalchemy import RowMapping

from settlement_node.store.database import Store
from settlement_node.store.telling import outbox

log = structlog.get_logger(__name__)


class Sink(Protocol):
    """Somewhere events go. `deliver` raises to have the same events given again later."""

    def deliver(self, events: Sequence[RowMapping]) -> None:
        """Take events in order; a repeat of the same event_id does no harm."""


class LogSink:
    """Writes each event as one structured log line, below info: the stages have logged what they
    did there themselves."""

    def deliver(self, events: Sequence[RowMapping]) -> None:
        """Log the events."""
        for event in events:
            payload: dict[str, Any] = dict(event["payload"])
            log.debug("event", event_id=event["event_id"], topic=event["topic"], payload=payload)


def deliver(
    store: Store,
    sinks: Sequence[Sink],
    *,
    actor: str,
    batch_max: int,
    checkpoint: Callable[[str], None],
) -> int:
    """Hand the next events to every sink, then note them as delivered; returns how many."""
    with store.read() as tx:
        events = outbox.undelivered(tx, limit=batch_max)
    if not events:
        return 0
    for sink in sinks:
        sink.deliver(events)
    checkpoint("deliver.before_commit")
    with store.transaction(actor=actor) as tx:
        outbox.mark_delivered(tx, [event["event_id"] for event in events])
    checkpoint("deliver.after_commit")
    return len(events)
