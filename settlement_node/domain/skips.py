"""What a skip of the settler says about the item that it skipped."""

from __future__ import annotations

from settlement_node.domain.observations import SkipReason

TEMPORARY_SKIPS = frozenset({SkipReason.DAILY_LIMIT_EXCEEDED})
"""Skips that say nothing against the item: it is planned again later."""
SHARED_SKIPS = frozenset({SkipReason.BURN_FAILED, SkipReason.PAYOUT_FAILED})
"""Skips that a token or the treasury may cause for every item alike."""
