"""The tables. Comments say what a row means; CHECKs and unique indexes hold the invariants of
DESIGN §6 wherever a database can hold them. `migrations/` makes exactly these; a test proves it.

Addresses are 42-character checksummed strings, hashes and ids 66-character lower-case 0x strings.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from settlement_node.domain.lifecycle import (
    RedemptionStatus,
    TransactionOutcome,
    TransactionStatus,
)
from settlement_node.domain.observations import BurnStyle
from settlement_node.store.types import BaseUnits, Json, RowId, UtcDateTime, in_range

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_address = sa.String(42)
_hash = sa.String(66)


class SettlementStatus(StrEnum):
    """A settlement is live until its transaction is final; void frees its redemptions."""

    LIVE = "live"
    SETTLED = "settled"
    VOID = "void"


class ItemOutcome(StrEnum):
    """What came of one item of a settlement."""

    PENDING = "pending"
    SETTLED = "settled"
    SKIPPED = "skipped"


class AttemptKind(StrEnum):
    """What an attempt is for; `found` is one met on the chain after the book was restored."""

    ORIGINAL = "original"
    REPLACEMENT = "replacement"
    CANCEL = "cancel"
    FOUND = "found"


class BreakStatus(StrEnum):
    """An open break has an owner; a resolved one keeps its row."""

    OPEN = "open"
    RESOLVED = "resolved"


class AlertStatus(StrEnum):
    """An alert is open until what raised it is gone."""

    OPEN = "open"
    CLEARED = "cleared"


def _one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value.value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _units(name: str, *, nullable: bool = False) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    return (
        sa.Column(name, BaseUnits, nullable=nullable),
        sa.CheckConstraint(in_range(name), name=f"{name}_range"),
    )


funds = sa.Table(
    "funds",
    metadata,
    sa.Column("fund_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("share_token_address", _address, nullable=False),
    sa.Column("share_decimals", sa.Integer, nullable=False),
    sa.Column("payout_token_address", _address, nullable=False),
    sa.Column("payout_decimals", sa.Integer, nullable=False),
    sa.Column("settler_address", _address, nullable=False),
    sa.Column("treasury_address", _address, nullable=False),
    sa.Column("lane_address", _address, nullable=False),
    sa.Column("burn_style", sa.String(20), nullable=False),
    sa.Column("fee_bps", sa.Integer, nullable=False),
    *_units("nav_per_share", nullable=True),
    sa.Column("nav_decimals", sa.Integer, nullable=False),
    sa.Column("nav_at_utc", UtcDateTime),
    sa.Column("next_redemption_index", sa.BigInteger, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("pause_reason", sa.String(500)),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.CheckConstraint("fee_bps >= 0 AND fee_bps < 10000", name="fee_bps_range"),
    sa.UniqueConstraint("chain_id", "share_token_address"),
    _one_of("burn_style", BurnStyle),
    comment="A fund: its tokens, its present settler, and the lane that settles it.",
)

fund_settlers = sa.Table(
    "fund_settlers",
    metadata,
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), primary_key=True),
    sa.Column("settler_address", _address, primary_key=True),
    sa.Column("from_block", sa.BigInteger, nullable=False),
    sa.Column("scanned_to_block", sa.BigInteger, nullable=False),
    sa.Column("added_at_utc", UtcDateTime, nullable=False),
    comment="Every settler a fund ever had; events are replayed from all of them.",
)

investors = sa.Table(
    "investors",
    metadata,
    sa.Column("investor_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("investor_address", _address, nullable=False),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("fund_id", "investor_address"),
    comment="Who holds shares of a fund, as far as redemptions named them.",
)

redemptions = sa.Table(
    "redemptions",
    metadata,
    sa.Column("redemption_id", _hash, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("external_id", sa.String(128), nullable=False),
    sa.Column("redemption_index", sa.BigInteger, nullable=False),
    sa.Column("investor_id", sa.ForeignKey("investors.investor_id"), nullable=False),
    sa.Column("investor_address", _address, nullable=False),
    sa.Column("payee_address", _address, nullable=False),
    *_units("shares_base_units"),
    *_units("gross_base_units", nullable=True),
    *_units("fee_base_units", nullable=True),
    *_units("payout_base_units", nullable=True),
    *_units("nav_per_share", nullable=True),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("hold_reason", sa.String(40)),
    sa.Column("hold_detail", sa.String(500)),
    sa.Column("waiting_on", sa.String(40)),
    sa.Column("reverted_batch_size", sa.Integer),
    sa.Column("settle_after_utc", UtcDateTime),
    sa.Column("requested_at_utc", UtcDateTime, nullable=False),
    sa.Column("approved_at_utc", UtcDateTime),
    sa.Column("broadcast_at_utc", UtcDateTime),
    sa.Column("settled_at_utc", UtcDateTime),
    sa.Column("updated_at_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("fund_id", "external_id"),
    sa.UniqueConstraint("fund_id", "redemption_index"),
    _one_of("status", RedemptionStatus),
    sa.CheckConstraint("(status = 'held') = (hold_reason IS NOT NULL)", name="held_has_reason"),
    sa.CheckConstraint(
        "status NOT IN ('settling', 'paid', 'settled', 'burned') OR payout_base_units IS NOT NULL",
        name="settling_is_priced",
    ),
    comment="An order to redeem. redemption_index is its bit in the settler, given once for ever.",
)
sa.Index("ix_redemptions_plan", redemptions.c.fund_id, redemptions.c.status,
         redemptions.c.redemption_index)
sa.Index("ix_redemptions_page", redemptions.c.requested_at_utc, redemptions.c.redemption_id)
sa.Index("ix_redemptions_investor", redemptions.c.investor_address)

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("signer_address", _address, primary_key=True),
    sa.Column("next_nonce", sa.BigInteger),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("pause_reason", sa.String(500)),
    sa.Column("updated_at_utc", UtcDateTime, nullable=False),
    comment="One signer on one chain. next_nonce is the book's; null until read from the chain once.",
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("lane", sa.String(80), primary_key=True),
    sa.Column("holder", sa.String(100)),
    sa.Column("fencing_token", sa.BigInteger, nullable=False),
    sa.Column("expires_at_utc", UtcDateTime, nullable=False),
    comment="Who may write a lane. The token grows with every hand-over and is checked in commits.",
)

transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("transaction_id", RowId, primary_key=True),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("signer_address", _address, nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    sa.Column("to_address", _address, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("gas_limit", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("outcome", sa.String(10)),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("speed_up_requested", sa.Boolean, nullable=False),
    sa.Column("deadline_block", sa.BigInteger),
    sa.Column("mined_attempt_hash", _hash),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("block_hash", _hash),
    sa.Column("evm_succeeded", sa.Boolean),
    sa.Column("gas_used", sa.BigInteger),
    *_units("effective_gas_price_wei", nullable=True),
    sa.Column("planned_at_utc", UtcDateTime, nullable=False),
    sa.Column("first_sent_at_utc", UtcDateTime),
    sa.Column("final_at_utc", UtcDateTime),
    sa.UniqueConstraint("chain_id", "signer_address", "nonce"),
    _one_of("status", TransactionStatus),
    _one_of("outcome", TransactionOutcome),
    sa.CheckConstraint("(status = 'final') = (outcome IS NOT NULL)", name="final_has_outcome"),
    sa.CheckConstraint(
        "status NOT IN ('mined', 'final') OR"
        " (mined_attempt_hash IS NOT NULL AND block_number IS NOT NULL"
        " AND block_hash IS NOT NULL AND evm_succeeded IS NOT NULL)",
        name="mined_has_block",
    ),
    comment="An intent with one nonce. Invariant 5: (chain, signer, nonce) belongs to it for ever.",
)
sa.Index(
    "ix_transactions_unfinal",
    transactions.c.chain_id,
    transactions.c.signer_address,
    transactions.c.nonce,
    sqlite_where=transactions.c.status != "final",
    postgresql_where=transactions.c.status != "final",
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("attempt_hash", _hash, primary_key=True),
    sa.Column(
        "transaction_id", sa.ForeignKey("transactions.transaction_id"), nullable=False
    ),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    *_units("max_fee_per_gas_wei"),
    *_units("max_priority_fee_per_gas_wei"),
    sa.Column("signed_at_utc", UtcDateTime, nullable=False),
    sa.Column("signed_at_block", sa.BigInteger, nullable=False),
    sa.Column("last_sent_at_utc", UtcDateTime),
    sa.Column("last_sent_block", sa.BigInteger),
    sa.Column("sends_count", sa.Integer, nullable=False),
    sa.Column("last_answer", sa.String(300)),
    sa.UniqueConstraint("transaction_id", "ordinal"),
    _one_of("kind", AttemptKind),
    comment="One signed set of bytes. Invariant 3: the row is committed before the first send.",
)

settlements = sa.Table(
    "settlements",
    metadata,
    sa.Column("settlement_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("settler_address", _address, nullable=False),
    sa.Column(
        "transaction_id", sa.ForeignKey("transactions.transaction_id"), nullable=False, unique=True
    ),
    sa.Column("previous_batch_hash", _hash, nullable=False),
    sa.Column("batch_hash", _hash, nullable=False),
    sa.Column("items_count", sa.Integer, nullable=False),
    *_units("shares_base_units"),
    *_units("payout_base_units"),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("planned_at_utc", UtcDateTime, nullable=False),
    sa.Column("ended_at_utc", UtcDateTime),
    _one_of("status", SettlementStatus),
    sa.Index("ix_settlements_batch_hash", "settler_address", "batch_hash"),
    comment="One batch of redemptions settled by one transaction.",
)
sa.Index("ix_settlements_fund", settlements.c.fund_id, settlements.c.settlement_id)
sa.Index(
    "ix_settlements_live",
    settlements.c.fund_id,
    sqlite_where=settlements.c.status == "live",
    postgresql_where=settlements.c.status == "live",
)

settlement_items = sa.Table(
    "settlement_items",
    metadata,
    sa.Column(
        "settlement_id", sa.ForeignKey("settlements.settlement_id"), primary_key=True
    ),
    sa.Column("item_position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("redemption_id", sa.ForeignKey("redemptions.redemption_id"), nullable=False),
    *_units("shares_base_units"),
    *_units("payout_base_units"),
    sa.Column("outcome", sa.String(8), nullable=False),
    sa.Column("skip_reason", sa.String(40)),
    sa.Column("skip_detail", sa.String(1024)),
    sa.Column("live", sa.Boolean, nullable=False),
    _one_of("outcome", ItemOutcome),
    sa.Index("ix_settlement_items_redemption", "redemption_id"),
    comment="One redemption in one settlement; not live once the settlement is void or the skip final.",
)
sa.Index(
    "uq_settlement_items_one_live",
    settlement_items.c.redemption_id,
    unique=True,
    sqlite_where=settlement_items.c.live.is_(True),
    postgresql_where=settlement_items.c.live.is_(True),
)

heads = sa.Table(
    "heads",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("block_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("block_hash", _hash, nullable=False),
    sa.Column("parent_hash", _hash, nullable=False),
    sa.Column("timestamp_seconds", sa.BigInteger, nullable=False),
    sa.Column("is_final", sa.Boolean, nullable=False),
    comment="Blocks remembered by hash, oldest dropped once deep below finality.",
)

settler_events = sa.Table(
    "settler_events",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("transaction_hash", _hash, primary_key=True),
    sa.Column("log_index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("settler_address", _address, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=False),
    sa.Column("block_hash", _hash, nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("redemption_id", _hash),
    sa.Column("redemption_index", sa.BigInteger),
    sa.Column("investor_address", _address),
    sa.Column("payee_address", _address),
    *_units("shares_base_units", nullable=True),
    *_units("payout_base_units", nullable=True),
    sa.Column("skip_reason", sa.String(40)),
    sa.Column("detail", sa.String(1024)),
    sa.Column("batch_hash", _hash),
    sa.Column("previous_batch_hash", _hash),
    sa.CheckConstraint("kind IN ('settled', 'skipped', 'batch')", name="kind_known"),
    sa.Index("ix_settler_events_redemption", "redemption_id"),
    sa.Index("ix_settler_events_place", "chain_id", "settler_address", "block_number",
             "log_index"),
    sa.Index("ix_settler_events_batch", "batch_hash"),
    comment="What the settlers said on the canonical chain; rows of undone blocks are removed.",
)

ledger_postings = sa.Table(
    "ledger_postings",
    metadata,
    sa.Column("posting_id", RowId, primary_key=True),
    sa.Column("journal", sa.String(160), nullable=False),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("redemption_id", sa.ForeignKey("redemptions.redemption_id")),
    sa.Column("asset_address", _address, nullable=False),
    sa.Column("debit_account", sa.String(40), nullable=False),
    sa.Column("credit_account", sa.String(40), nullable=False),
    *_units("units_base_units"),
    sa.Column("posted_at_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("journal", "debit_account", "credit_account"),
    sa.CheckConstraint("debit_account <> credit_account", name="two_accounts"),
    sa.Index("ix_ledger_postings_redemption", "redemption_id"),
    sa.Index("ix_ledger_postings_debit", "fund_id", "debit_account"),
    sa.Index("ix_ledger_postings_credit", "fund_id", "credit_account"),
    comment="Double entry: every row moves one amount from the credit to the debit account.",
)

breaks = sa.Table(
    "breaks",
    metadata,
    sa.Column("break_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id")),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(160), nullable=False),
    sa.Column("is_money", sa.Boolean, nullable=False),
    sa.Column("expected", sa.String(200), nullable=False),
    sa.Column("actual", sa.String(200), nullable=False),
    sa.Column("detail", sa.String(1000), nullable=False),
    sa.Column("owner", sa.String(100), nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("opened_at_utc", UtcDateTime, nullable=False),
    sa.Column("resolved_at_utc", UtcDateTime),
    _one_of("status", BreakStatus),
    comment="Where book and chain differ. A money break stops the lane until it is resolved.",
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
    sa.Column("subject", sa.String(160), nullable=False),
    sa.Column("detail", sa.String(1000), nullable=False),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("raised_at_utc", UtcDateTime, nullable=False),
    sa.Column("cleared_at_utc", UtcDateTime),
    _one_of("status", AlertStatus),
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
    *_units("share_supply_base_units"),
    *_units("treasury_base_units"),
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
    sa.Column("subject_id", sa.String(160), nullable=False),
    sa.Column("detail", Json, nullable=False),
    sa.Index("ix_audit_events_subject", "subject_kind", "subject_id", "audit_id"),
    comment="Every operation and every fact, never changed.",
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("event_id", RowId, primary_key=True),
    sa.Column("topic", sa.String(60), nullable=False),
    sa.Column("subject_id", sa.String(160), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.Column("delivered_at_utc", UtcDateTime),
    comment="What happened, in commit order, for the event stream and webhooks.",
    sqlite_autoincrement=True,
)
sa.Index(
    "ix_outbox_undelivered",
    outbox.c.event_id,
    sqlite_where=outbox.c.delivered_at_utc.is_(None),
    postgresql_where=outbox.c.delivered_at_utc.is_(None),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("client", sa.String(64), primary_key=True),
    sa.Column("idempotency_key", sa.String(200), primary_key=True),
    sa.Column("body_hash", _hash, nullable=False),
    sa.Column("response_status", sa.Integer),
    sa.Column("response_body", Json),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.Index("ix_idempotency_keys_created_at_utc", "created_at_utc"),
    comment="Requests already answered; a row without an answer is in flight.",
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("node_id", sa.String(100), primary_key=True),
    sa.Column("worker", sa.String(40), primary_key=True),
    sa.Column("runs_count", sa.BigInteger, nullable=False),
    sa.Column("failures_count", sa.BigInteger, nullable=False),
    sa.Column("last_run_at_utc", UtcDateTime, nullable=False),
    sa.Column("last_error", sa.String(500)),
    comment="Health of the stages of every node, refreshed every few seconds and on every failure.",
)
