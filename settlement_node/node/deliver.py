"""Deliver: give outbox events to the sinks, in order, at least once. The event stream reads the
outbox by itself; sinks are for those who must be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from sqlalchemy import RowMapping

from settlement_node.node.context import NodeContext
from settlement_node.store import outbox

log = structlog.get_logger(__name__)


class Sink(Protocol):
    """Somewhere events go. `deliver` raises to have the same events given again later."""

    def deliver(self, events: Sequence[RowMapping]) -> None:
        """Take events in order; a repeat of the same event_id does no harm."""


class LogSink:
    """Writes each event as one structured log line."""

    def deliver(self, events: Sequence[RowMapping]) -> None:
        """Log the events."""
        for event in events:
            payload: dict[str, Any] = dict(event["payload"])
            log.info("event", event_id=event["event_id"], topic=event["topic"], payload=payload)


def deliver(context: NodeContext, sinks: Sequence[Sink]) -> int:
    """Hand the next events to every sink, then note them as delivered; returns how many."""
    with context.store.read() as tx:
        events = outbox.undelivered(tx, limit=context.policy.deliver_batch_max)
    if not events:
        return 0
    for sink in sinks:
        sink.deliver(events)
    context.checkpoint("deliver.before_commit")
    with context.store.transaction(actor=context.node_id) as tx:
        outbox.mark_delivered(tx, [event["event_id"] for event in events])
    context.checkpoint("deliver.after_commit")
    return len(events)
