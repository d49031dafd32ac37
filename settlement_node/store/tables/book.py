"""Funds, who holds them, their redemptions and the ledger."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RETURNED_TO, RedemptionStatus
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.postings import BOOKED, OWED
from settlement_node.domain.waiting import WaitingFor
from settlement_node.store.tables.base import (
    ADDRESS,
    HASH,
    among,
    metadata,
    one_of,
    units,
)
from settlement_node.store.types import Json, Note, RowId, UtcDateTime

funds = sa.Table(
    "funds",
    metadata,
    sa.Column("fund_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("share_token_address", ADDRESS, nullable=False),
    sa.Column("share_decimals", sa.Integer, nullable=False),
    sa.Column("payout_token_address", ADDRESS, nullable=False),
    sa.Column("payout_decimals", sa.Integer, nullable=False),
    sa.Column("settler_address", ADDRESS, nullable=False),
    sa.Column("treasury_address", ADDRESS, nullable=False),
    sa.Column("lane_address", ADDRESS, nullable=False),
    sa.Column("burn_style", sa.String(20), nullable=False),
    sa.Column("fee_bps", sa.Integer, nullable=False),
    *units("nav_per_share", nullable=True),
    sa.Column("nav_decimals", sa.Integer, nullable=False),
    sa.Column("nav_at_utc", UtcDateTime),
    sa.Column("next_redemption_index", sa.BigInteger, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("pause_reason", Note(500)),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.Column("checks", Json, nullable=False),
    sa.Column("error_signatures", Json, nullable=False),
    *units("share_supply_base_units", nullable=True),
    *units("daily_limit_base_units", nullable=True),
    sa.CheckConstraint("fee_bps >= 0 AND fee_bps < 10000", name="fee_bps_range"),
    sa.UniqueConstraint("chain_id", "share_token_address"),
    one_of("burn_style", BurnStyle),
    comment="A fund: its tokens, its present settler, and the lane that settles it.",
)

fund_terms = sa.Table(
    "fund_terms",
    metadata,
    sa.Column("terms_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    *units("nav_per_share"),
    sa.Column("nav_decimals", sa.Integer, nullable=False),
    sa.Column("fee_bps", sa.Integer, nullable=False),
    sa.Column("valid_from_utc", UtcDateTime, nullable=False),
    sa.Column("recorded_at_utc", UtcDateTime, nullable=False),
    sa.Column("recorded_by", sa.String(100), nullable=False),
    sa.Index("ix_fund_terms_fund", "fund_id", "valid_from_utc", "terms_id"),
    comment="Every terms a fund ever had, never changed; each held until the next one's time.",
)

fund_settlers = sa.Table(
    "fund_settlers",
    metadata,
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), primary_key=True),
    sa.Column("settler_address", ADDRESS, primary_key=True),
    sa.Column("from_block", sa.BigInteger, nullable=False),
    sa.Column("scanned_to_block", sa.BigInteger, nullable=False),
    sa.Column("added_at_utc", UtcDateTime, nullable=False),
    sa.Column("history_read_at_utc", UtcDateTime),
    comment="Every settler a fund ever had; events are replayed from all of them. What its events"
    " show until history_read_at_utc was there before this book.",
)

investors = sa.Table(
    "investors",
    metadata,
    sa.Column("investor_id", RowId, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("investor_address", ADDRESS, nullable=False),
    sa.Column("created_at_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("fund_id", "investor_address"),
    comment="Who holds shares of a fund, as far as redemptions named them.",
)

PRICED = [
    standing.status
    for standing, lines in BOOKED.items()
    if set(OWED) <= set(lines) and standing.status is not RedemptionStatus.HELD
]
redemptions = sa.Table(
    "redemptions",
    metadata,
    sa.Column("redemption_id", HASH, primary_key=True),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("external_id", sa.String(128), nullable=False),
    sa.Column("redemption_index", sa.BigInteger, nullable=False),
    sa.Column("investor_id", sa.ForeignKey("investors.investor_id"), nullable=False),
    sa.Column("investor_address", ADDRESS, nullable=False),
    sa.Column("payee_address", ADDRESS, nullable=False),
    *units("shares_base_units"),
    *units("gross_base_units", nullable=True),
    *units("fee_base_units", nullable=True),
    *units("payout_base_units", nullable=True),
    *units("nav_per_share", nullable=True),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("back_to", sa.String(12)),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("hold_reason", sa.String(40)),
    sa.Column("hold_detail", Note(500)),
    sa.Column("waiting_on", sa.String(40)),
    sa.Column("reverted_batch_size", sa.Integer),
    sa.Column("settle_after_utc", UtcDateTime),
    sa.Column("requested_at_utc", UtcDateTime, nullable=False),
    sa.Column("approved_at_utc", UtcDateTime),
    sa.Column("broadcast_at_utc", UtcDateTime),
    sa.Column("settled_at_utc", UtcDateTime),
    sa.Column("found_block_number", sa.BigInteger),
    sa.Column("updated_at_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("fund_id", "external_id"),
    sa.UniqueConstraint("fund_id", "redemption_index"),
    one_of("status", RedemptionStatus),
    one_of("waiting_on", WaitingFor),
    sa.CheckConstraint("redemption_index >= 0", name="index_range"),
    sa.CheckConstraint("(status = 'held') = (hold_reason IS NOT NULL)", name="held_has_reason"),
    sa.CheckConstraint(
        f"NOT ({among('status', PRICED)}) OR payout_base_units IS NOT NULL",
        name="settling_is_priced",
    ),
    sa.CheckConstraint(
        " OR ".join(
            [f"NOT ({among('status', RETURNED_TO)}) AND back_to IS NULL"]
            + [f"status = '{s}' AND {among('back_to', to)}" for s, to in RETURNED_TO.items()]
        ),
        name="back_to_known",
    ),
    comment="An order to redeem. redemption_index is its bit in the settler; back_to is where a"
    " release brings a held one and a reorganisation a paid one; found_block_number is where the"
    " chain showed it as paid, if no settlement of this book paid it.",
)
sa.Index(
    "ix_redemptions_plan",
    redemptions.c.fund_id,
    redemptions.c.status,
    redemptions.c.redemption_index,
)
sa.Index("ix_redemptions_page", redemptions.c.requested_at_utc, redemptions.c.redemption_id)
UNFINISHED = sa.text(among("status", [s for s in RedemptionStatus if s not in REDEMPTION_ENDED]))
"""Put into a query of unfinished ones as it stands here: planners then see that the index fits."""
sa.Index(
    "ix_redemptions_unfinished",
    redemptions.c.requested_at_utc,
    redemptions.c.redemption_id,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)
sa.Index(
    "ix_redemptions_found",
    redemptions.c.fund_id,
    redemptions.c.found_block_number,
    sqlite_where=redemptions.c.found_block_number.is_not(None),
    postgresql_where=redemptions.c.found_block_number.is_not(None),
)
sa.Index("ix_redemptions_investor", redemptions.c.investor_address)
IS_APPROVED = redemptions.c.status == sa.literal_column(f"'{RedemptionStatus.APPROVED.value}'")
"""In words that an index of approved ones is found by: a parameter could be any status."""
for _name, _columns, _condition in (
    ("small", ("shares_base_units", "redemption_index"), IS_APPROVED),
    ("date", ("settle_after_utc",), IS_APPROVED & redemptions.c.settle_after_utc.is_not(None)),
    ("waiting", ("waiting_on",), IS_APPROVED & redemptions.c.waiting_on.is_not(None)),
):
    sa.Index(
        f"ix_redemptions_{_name}",
        redemptions.c.fund_id,
        *(redemptions.c[_column] for _column in _columns),
        sqlite_where=_condition,
        postgresql_where=_condition,
    )

redemption_counts = sa.Table(
    "redemption_counts",
    metadata,
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), primary_key=True),
    sa.Column("status", sa.String(12), primary_key=True),
    sa.Column("redemptions_count", sa.BigInteger, nullable=False),
    sa.Column("moves_count", sa.BigInteger, nullable=False),
    one_of("status", RedemptionStatus),
    sa.CheckConstraint("redemptions_count >= 0", name="count_range"),
    comment="How many redemptions of a fund stand in a status, and how often one came or went, kept"
    " by each commit that moves one.",
)

ledger_postings = sa.Table(
    "ledger_postings",
    metadata,
    sa.Column("posting_id", RowId, primary_key=True),
    sa.Column("journal", sa.String(160), nullable=False),
    sa.Column("fund_id", sa.ForeignKey("funds.fund_id"), nullable=False),
    sa.Column("redemption_id", sa.ForeignKey("redemptions.redemption_id")),
    sa.Column("asset_address", ADDRESS, nullable=False),
    sa.Column("debit_account", sa.String(40), nullable=False),
    sa.Column("credit_account", sa.String(40), nullable=False),
    *units("units_base_units"),
    sa.Column("posted_at_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("journal", "debit_account", "credit_account"),
    sa.CheckConstraint("debit_account <> credit_account", name="two_accounts"),
    sa.Index("ix_ledger_postings_redemption", "redemption_id"),
    comment="Double entry: every row moves one amount from the credit to the debit account.",
)
