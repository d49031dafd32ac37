"""The tables. Comments say what a row means; CHECKs and unique indexes hold the invariants of
ARCHITECTURE wherever a database can. `migrations/` makes exactly these; a test proves it.

Addresses are 42-character checksummed strings, hashes and ids 66-character lower-case 0x strings.
"""

from __future__ import annotations

from settlement_node.store.tables.base import (
    AcceptedAs,
    AlertStatus,
    AttemptKind,
    BreakStatus,
    ItemOutcome,
    SettlementStatus,
    metadata,
)
from settlement_node.store.tables.book import (
    IS_APPROVED,
    UNFINISHED,
    fund_settlers,
    fund_terms,
    funds,
    investors,
    ledger_postings,
    redemption_counts,
    redemptions,
)
from settlement_node.store.tables.chain import (
    foreign_batches,
    heads,
    settler_events,
)
from settlement_node.store.tables.engine import (
    attempts,
    lanes,
    leases,
    settlement_items,
    settlements,
    transactions,
)
from settlement_node.store.tables.records import (
    alerts,
    audit_events,
    breaks,
    consumers,
    idempotency_keys,
    outbox,
    reconciliations,
    workers,
)

__all__ = [
    "IS_APPROVED",
    "UNFINISHED",
    "AcceptedAs",
    "AlertStatus",
    "AttemptKind",
    "BreakStatus",
    "ItemOutcome",
    "SettlementStatus",
    "alerts",
    "attempts",
    "audit_events",
    "breaks",
    "consumers",
    "foreign_batches",
    "fund_settlers",
    "fund_terms",
    "funds",
    "heads",
    "idempotency_keys",
    "investors",
    "lanes",
    "leases",
    "ledger_postings",
    "metadata",
    "outbox",
    "reconciliations",
    "redemption_counts",
    "redemptions",
    "settlement_items",
    "settlements",
    "settler_events",
    "transactions",
    "workers",
]
