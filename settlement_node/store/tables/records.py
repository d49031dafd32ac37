"""Records beside the book: what needs a person, what happened, who asked, who runs."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.domain.attention import AlertKind
from settlement_node.domain.breaks import BreakKind
from settlement_node.store.tables.base import (
    ADDRESS,
    HASH,
    AlertStatus,
    BreakStatus,
    metadata,
    one_of,
    units,
)
from settlement_node.store.types import Json, Note, RowId, UtcDateTime

breaks = sa.Table(
    "breaks",
    metadata,
    sa.Column("break_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id")),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("signer_address", ADDRESS),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("is_money", sa.Boolean, nullable=False),
    sa.Column("expected", Note(200), nullable=False),
    sa.Column("actual", Note(200), nullable=False),
    sa.Column("detail", Note(1000), nullable=False),
    sa.Column("owner", sa.String(100), nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("opened_at_utc", UtcDateTime, nullable=False),
    sa.Column("resolved_at_utc", UtcDateTime),
    one_of("kind", BreakKind),
    one_of("status", BreakStatus),
    sa.CheckConstraint("(fund_id IS NULL) <> (signer_address IS NULL)", name="of_fund_or_lane"),
    comment="Where book and chain differ. A money break stops its fund or lane while open. What"
    " programs act by is in payload; subject, expected, actual and detail are words.",
)
sa.Index(
    "uq_breaks_open",
    breaks.c.chain_id,
    breaks.c.kind,
    breaks.c.subject,
    unique=True,
    sqlite_where=breaks.c.status == "open",
    postgresql_where=breaks.c.status == "open",
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", RowId, primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("detail", Note(1000), nullable=False),
    sa.Column("shortfall", Json),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("raised_at_utc", UtcDateTime, nullable=False),
    sa.Column("cleared_at_utc", UtcDateTime),
    one_of("kind", AlertKind),
    one_of("status", AlertStatus),
    comment="What a person should look at; docs/runbook.md has a section for each kind.",
)
sa.Index(
    "uq_alerts_open",
    alerts.c.kind,
    alerts.c.subject,
    unique=True,
    sqlite_where=alerts.c.status == "open",
    postgresql_where=alerts.c.status == "open",
)

reconciliations = sa.Table(
    "reconciliations",
    metadata,
    sa.Column("reconciliation_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("from_block", sa.BigInteger, nullable=False),
    sa.Column("to_block", sa.BigInteger, nullable=False),
    *units("share_supply_base_units", nullable=True),
    *units("treasury_base_units", nullable=True),
    sa.Column("settled_count", sa.BigInteger, nullable=False),
    sa.Column("breaks_opened_count", sa.Integer, nullable=False),
    sa.Column("breaks_open_count", sa.Integer, nullable=False),
    sa.Column("ran_at_utc", UtcDateTime, nullable=False),
    sa.Index("ix_reconciliations_fund", "fund_id", "reconciliation_id"),
    comment="A run over (from_block, to_block] of one fund; its figures are the next run's start.",
)

audit_events = sa.Table(
    "audit_events",
    metadata,
    sa.Column("audit_id", RowId, primary_key=True),
    sa.Column("at_utc", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("action", sa.String(60), nullable=False),
    sa.Column("subject_kind", sa.String(20), nullable=False),
    sa.Column("subject_id", sa.String(200), nullable=False),
    sa.Column("detail", Json, nullable=False),
    sa.Index("ix_audit_events_subject", "subject_kind", "subject_id", "audit_id"),
    comment="Every operation and every fact, never changed.",
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("event_id", RowId, primary_key=True),
    sa.Column("topic", sa.String(60), nullable=False),
    sa.Column("subject_id", sa.String(200), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    comment="What happened, in commit order, for the event stream and the consumers.",
    sqlite_autoincrement=True,
)

consumers = sa.Table(
    "consumers",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("last_event_id", sa.BigInteger, nullable=False),
    sa.Column("failures_count", sa.Integer, nullable=False),
    sa.Column("last_error", Note(500)),
    sa.Column("next_attempt_at_utc", UtcDateTime),
    sa.CheckConstraint("last_event_id >= 0", name="last_event_id_range"),
    comment="Who is handed the events of the outbox: all up to last_event_id. After a failure they"
    " are tried again from next_attempt_at_utc on; failures_count is how often in a row.",
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("client", sa.String(64), primary_key=True),
    sa.Column("idempotency_key", sa.String(200), primary_key=True),
    sa.Column("claim", sa.String(32), nullable=False),
    sa.Column("body_hash", HASH, nullable=False),
    sa.Column("response_status", sa.Integer),
    sa.Column("response_body", Json),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.Index("ix_idempotency_keys_created_at_utc", "created_at_utc"),
    comment="Requests already answered; a row without an answer is in flight, and only the attempt"
    " whose claim it has may answer or free it.",
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("node_id", sa.String(100), primary_key=True),
    sa.Column("worker", sa.String(40), primary_key=True),
    sa.Column("runs_count", sa.BigInteger, nullable=False),
    sa.Column("failures_count", sa.BigInteger, nullable=False),
    sa.Column("last_run_at_utc", UtcDateTime, nullable=False),
    sa.Column("expires_at_utc", UtcDateTime, nullable=False),
    sa.Column("last_error", Note(500)),
    comment="Health of the stages of every node, refreshed every few seconds; past expires_at_utc"
    " the node is gone.",
)
