"""What is remembered of the chain."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.store.tables.base import ADDRESS, HASH, AcceptedAs, metadata, one_of, units
from settlement_node.store.types import Note, UtcDateTime

heads = sa.Table(
    "heads",
    metadata,
    sa.Column("lane", sa.String(80), primary_key=True),
    sa.Column("block_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("block_hash", HASH, nullable=False),
    sa.Column("parent_hash", HASH, nullable=False),
    sa.Column("timestamp_seconds", sa.BigInteger, nullable=False),
    sa.Column("is_final", sa.Boolean, nullable=False),
    comment="Blocks a lane remembers by hash; the oldest are dropped deep below finality.",
)

settler_events = sa.Table(
    "settler_events",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("transaction_hash", HASH, primary_key=True),
    sa.Column("log_index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("settler_address", ADDRESS, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=False),
    sa.Column("block_hash", HASH, nullable=False),
    sa.Column("block_timestamp_seconds", sa.BigInteger),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("redemption_id", HASH),
    sa.Column("redemption_index", sa.BigInteger),
    sa.Column("investor_address", ADDRESS),
    sa.Column("payee_address", ADDRESS),
    *units("shares_base_units", nullable=True),
    *units("payout_base_units", nullable=True),
    sa.Column("skip_reason", sa.String(40)),
    sa.Column("detail", Note(1024)),
    sa.Column("batch_hash", HASH),
    sa.Column("previous_batch_hash", HASH),
    sa.CheckConstraint("kind IN ('settled', 'skipped', 'batch')", name="kind_known"),
    sa.Index("ix_settler_events_redemption", "redemption_id"),
    sa.Index("ix_settler_events_place", "chain_id", "settler_address", "block_number", "log_index"),
    sa.Index("ix_settler_events_batch", "batch_hash"),
    sa.Index("ix_settler_events_previous", "previous_batch_hash"),
    comment="What the settlers said on the canonical chain; rows of undone blocks are removed.",
)

foreign_batches = sa.Table(
    "foreign_batches",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("settler_address", ADDRESS, primary_key=True),
    sa.Column("batch_hash", HASH, primary_key=True),
    sa.Column("accepted_as", sa.String(10)),
    sa.Column("seen_at_utc", UtcDateTime, nullable=False),
    sa.Column("accepted_at_utc", UtcDateTime),
    one_of("accepted_as", AcceptedAs),
    sa.CheckConstraint(
        "(accepted_as IS NULL) = (accepted_at_utc IS NULL)", name="accepted_has_time"
    ),
    comment="A batch of a settler that no settlement of this book made, and why it is accepted.",
)
sa.Index(
    "ix_foreign_batches_unexplained",
    foreign_batches.c.chain_id,
    foreign_batches.c.settler_address,
    sqlite_where=foreign_batches.c.accepted_as.is_(None),
    postgresql_where=foreign_batches.c.accepted_as.is_(None),
)
