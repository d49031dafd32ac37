"""Holding a redemption for a person: the reason and its words, in the row and in the audit."""

from __future__ import annotations

from settlement_node.domain.lifecycle import RedemptionFact
from settlement_node.domain.redemption import HoldReason
from settlement_node.store.book import redemptions
from settlement_node.store.database import Tx
from settlement_node.store.rows import RedemptionRow

DETAIL_MAX = 500


def place_hold(tx: Tx, row: RedemptionRow, reason: HoldReason, detail: str) -> None:
    """Hold a redemption in the commit at hand; `detail` is cut to what the book keeps."""
    words = {"hold_reason": reason.value, "hold_detail": detail[:DETAIL_MAX]}
    redemptions.record_fact(
        tx, row, RedemptionFact.HOLD_PLACED, changes={**words}, detail={**words}
    )
