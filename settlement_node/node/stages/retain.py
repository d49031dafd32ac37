"""Retain: old rows out, in bounded bites, so that nothing grows without end."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import structlog

from settlement_node.node.context import NodeContext
from settlement_node.store.people.requests import drop_old_keys
from settlement_node.store.telling import consumers, outbox, records

log = structlog.get_logger(__name__)

OUTBOX_KEPT = timedelta(days=30)
UNREAD_KEPT = timedelta(days=90)
"""How long events are kept for a consumer that does not take them."""
IDEMPOTENCY_KEYS_KEPT = timedelta(days=7)
ROWS_MAX = 5_000
BITES_MAX = 200


def retain(context: NodeContext) -> int:
    """Drop events and idempotency keys past their time, and the health of nodes that are gone;
    returns how many rows went. By the database's time: what a clock that leaps took for old would
    be lost."""
    dropped = 0
    with context.store.transaction(actor=context.node_id) as tx:
        now = context.store.database_now(tx.connection)
        for missed in consumers.pass_over(tx, before_utc=now - UNREAD_KEPT):
            log.error("events_missed", kept_days=UNREAD_KEPT.days, **asdict(missed))
        dropped += records.forget_workers(tx)
        dropped += drop_old_keys(tx, before_utc=now - IDEMPOTENCY_KEYS_KEPT)
    for _ in range(BITES_MAX):
        with context.store.transaction(actor=context.node_id) as tx:
            bite = outbox.drop_old(tx, before_utc=now - OUTBOX_KEPT, limit=ROWS_MAX)
        dropped += bite
        if bite < ROWS_MAX:
            break
    return dropped
