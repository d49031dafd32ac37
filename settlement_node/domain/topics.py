"""The topics of events: every word that may stand in the outbox."""

from __future__ import annotations

from settlement_node.domain.lifecycle import RedemptionStatus, TransactionStatus

TOPICS: tuple[str, ...] = (
    *(f"redemption.{status.value}" for status in RedemptionStatus),
    *(f"transaction.{status.value}" for status in TransactionStatus),
    "settlement.live",
    "settlement.settled",
    "settlement.void",
    "head.reorganised",
    "break.opened",
    "break.resolved",
    "alert.raised",
    "alert.cleared",
    "fund.nav_set",
    "lane.paused",
    "lane.resumed",
)
TOPIC_KINDS: tuple[str, ...] = tuple(dict.fromkeys(topic.partition(".")[0] for topic in TOPICS))
"""The first words, each of which stands for all of its topics."""
