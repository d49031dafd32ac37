"""Retain: old rows out, in bounded bites, so that nothing grows without end."""

from __future__ import annotations

from datetime import timedelta

from settlement_node.node.context import NodeContext
from settlement_node.store.people.requests import drop_old_keys
from settlement_node.store.telling import outbox, records

OUTBOX_KEPT = timedelta(days=30)
IDEMPOTENCY_KEYS_KEPT = timedelta(days=7)
ROWS_MAX = 5_000


def retain(context: NodeContext) -> int:
    """Drop delivered events and idempotency keys past their time, and the health of nodes that are
    gone; returns how many rows went."""
    with context.store.transaction(actor=context.node_id) as tx:
        dropped = outbox.drop_delivered(tx, before_utc=tx.now_utc - OUTBOX_KEPT, limit=ROWS_MAX)
        dropped += records.forget_workers(tx)
        return dropped + drop_old_keys(tx, before_utc=tx.now_utc - IDEMPOTENCY_KEYS_KEPT)
