"""What the engine writes before it sends: lanes, leases, transactions, attempts, settlements."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.domain.lifecycle import Leg, TransactionOutcome, TransactionStatus
from settlement_node.store.tables.base import (
    ADDRESS,
    HASH,
    AttemptKind,
    ItemOutcome,
    SettlementStatus,
    metadata,
    one_of,
    units,
)
from settlement_node.store.types import Note, RowId, UtcDateTime

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("signer_address", ADDRESS, primary_key=True),
    sa.Column("next_nonce", sa.BigInteger),
    sa.Column("highest_head_number", sa.BigInteger),
    sa.Column("restored_from_nonce", sa.BigInteger),
    sa.Column("restored_below_nonce", sa.BigInteger),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("pause_reason", Note(500)),
    sa.Column("updated_at_utc", UtcDateTime, nullable=False),
    comment="One signer on one chain. next_nonce is the book's, read from the chain once; nothing"
    " is planned below highest_head_number. From restored_from_nonce to below restored_below_nonce"
    " the chain had used what a restored book had lost.",
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("holder", sa.String(100)),
    sa.Column("holder_process", sa.String(120)),
    sa.Column("fencing_token", sa.BigInteger, nullable=False),
    sa.Column("expires_at_utc", UtcDateTime, nullable=False),
    comment="Who may write a lane, or move a consumer's cursor. The token grows with every"
    " hand-over and is checked in commits. holder_process is what proves on its own machine that"
    " the holder has ended.",
)

transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("transaction_id", RowId, primary_key=True),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("signer_address", ADDRESS, nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    sa.Column("to_address", ADDRESS, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("gas_limit", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("outcome", sa.String(10)),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("speed_up_requested", sa.Boolean, nullable=False),
    sa.Column("displacement_accepted", sa.Boolean, nullable=False),
    sa.Column("refused_words", Note(300)),
    sa.Column("deadline_block", sa.BigInteger),
    sa.Column("mined_attempt_hash", HASH),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("block_hash", HASH),
    sa.Column("evm_succeeded", sa.Boolean),
    sa.Column("gas_used", sa.BigInteger),
    *units("effective_gas_price_wei", nullable=True),
    sa.Column("planned_at_utc", UtcDateTime, nullable=False),
    sa.Column("first_sent_at_utc", UtcDateTime),
    sa.Column("final_at_utc", UtcDateTime),
    sa.UniqueConstraint("chain_id", "signer_address", "nonce"),
    one_of("status", TransactionStatus),
    sa.CheckConstraint("nonce >= 0", name="nonce_range"),
    one_of("outcome", TransactionOutcome),
    sa.CheckConstraint("(status = 'final') = (outcome IS NOT NULL)", name="final_has_outcome"),
    sa.CheckConstraint(
        "status NOT IN ('mined', 'final') OR (status = 'final' AND outcome = 'void') OR"
        " (mined_attempt_hash IS NOT NULL AND block_number IS NOT NULL"
        " AND block_hash IS NOT NULL AND evm_succeeded IS NOT NULL)",
        name="mined_has_block",
    ),
    comment="An intent with one nonce. Invariant 5: (chain, signer, nonce) belongs to it for ever.",
)
sa.Index("ix_transactions_block", transactions.c.block_number)
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
    sa.Column("attempt_hash", HASH, primary_key=True),
    sa.Column("transaction_id", sa.ForeignKey("transactions.transaction_id"), nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    *units("max_fee_per_gas_wei"),
    *units("max_priority_fee_per_gas_wei"),
    sa.Column("signed_at_utc", UtcDateTime, nullable=False),
    sa.Column("signed_at_block", sa.BigInteger, nullable=False),
    sa.Column("last_sent_at_utc", UtcDateTime),
    sa.Column("last_sent_block", sa.BigInteger),
    sa.Column("sends_count", sa.Integer, nullable=False),
    sa.Column("last_answer", Note(300)),
    sa.UniqueConstraint("transaction_id", "ordinal"),
    one_of("kind", AttemptKind),
    comment="One signed set of bytes. Invariant 3: the row is committed before the first send.",
)

settlements = sa.Table(
    "settlements",
    metadata,
    sa.Column("settlement_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("settler_address", ADDRESS, nullable=False),
    sa.Column("leg", sa.String(15), nullable=False),
    sa.Column(
        "transaction_id", sa.ForeignKey("transactions.transaction_id"), nullable=False, unique=True
    ),
    sa.Column("previous_batch_hash", HASH, nullable=False),
    sa.Column("batch_hash", HASH, nullable=False),
    sa.Column("items_count", sa.Integer, nullable=False),
    *units("shares_base_units"),
    *units("payout_base_units"),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("planned_at_utc", UtcDateTime, nullable=False),
    sa.Column("ended_at_utc", UtcDateTime),
    one_of("leg", Leg),
    one_of("status", SettlementStatus),
    sa.Index("ix_settlements_batch_hash", "settler_address", "batch_hash"),
    comment="One batch of redemptions and the leg of them that its one transaction carries. The"
    " batch hashes are those of a settler that burns and pays in one.",
)
sa.Index("ix_settlements_fund", settlements.c.fund_id, settlements.c.settlement_id)
for _status in (SettlementStatus.LIVE, SettlementStatus.VOID):
    sa.Index(
        f"ix_settlements_{_status.value}",
        settlements.c.fund_id,
        settlements.c.settlement_id,
        sqlite_where=settlements.c.status == _status.value,
        postgresql_where=settlements.c.status == _status.value,
    )

settlement_items = sa.Table(
    "settlement_items",
    metadata,
    sa.Column("settlement_id", sa.ForeignKey("settlements.settlement_id"), primary_key=True),
    sa.Column("item_position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("redemption_id", sa.ForeignKey("redemptions.redemption_id"), nullable=False),
    *units("shares_base_units"),
    *units("payout_base_units"),
    sa.Column("outcome", sa.String(8), nullable=False),
    sa.Column("skip_reason", sa.String(40)),
    sa.Column("skip_detail", Note(1024)),
    sa.Column("live", sa.Boolean, nullable=False),
    one_of("outcome", ItemOutcome),
    sa.Index("ix_settlement_items_redemption", "redemption_id"),
    comment="One redemption in one settlement; not live once that is void or its skip final.",
)
sa.Index(
    "uq_settlement_items_one_live",
    settlement_items.c.redemption_id,
    unique=True,
    sqlite_where=settlement_items.c.live.is_(True),
    postgresql_where=settlement_items.c.live.is_(True),
)
