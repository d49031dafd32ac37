"""What a skip of the settler says about the item that it skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from settlement_node.domain.observations import SkipReason
from settlement_node.domain.redemption import HoldReason


class Bearing(StrEnum):
    """Whom a skip concerns. TEMPORARY says nothing against the item, which is planned again later;
    SHARED may be caused for every item alike, by a token, the treasury or the settler's bounds;
    OWN is the item's."""

    TEMPORARY = "temporary"
    SHARED = "shared"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class SkipMeaning:
    """Whom it concerns, and what an item is held for where it is."""

    bearing: Bearing
    hold_reason: HoldReason


SKIPS: Mapping[SkipReason, SkipMeaning] = MappingProxyType(
    {
        SkipReason.ALREADY_SETTLED: SkipMeaning(Bearing.OWN, HoldReason.ALREADY_SETTLED),
        SkipReason.INVALID_ITEM: SkipMeaning(Bearing.OWN, HoldReason.INVALID_ITEM),
        SkipReason.PRICE_ABOVE_CEILING: SkipMeaning(Bearing.SHARED, HoldReason.PRICE_ABOVE_CEILING),
        SkipReason.PRICE_BELOW_FLOOR: SkipMeaning(Bearing.SHARED, HoldReason.PRICE_BELOW_FLOOR),
        SkipReason.DAILY_LIMIT_EXCEEDED: SkipMeaning(
            Bearing.TEMPORARY, HoldReason.DAILY_LIMIT_EXCEEDED
        ),
        SkipReason.BURN_FAILED: SkipMeaning(Bearing.SHARED, HoldReason.BURN_FAILED),
        SkipReason.BURN_NOT_EXACT: SkipMeaning(Bearing.OWN, HoldReason.BURN_NOT_EXACT),
        SkipReason.PAYOUT_FAILED: SkipMeaning(Bearing.SHARED, HoldReason.PAYOUT_FAILED),
        SkipReason.PAYOUT_NOT_EXACT: SkipMeaning(Bearing.OWN, HoldReason.PAYOUT_NOT_EXACT),
        SkipReason.ITEM_OUT_OF_GAS: SkipMeaning(Bearing.OWN, HoldReason.ITEM_OUT_OF_GAS),
        SkipReason.PAYEE_NOT_PERMITTED: SkipMeaning(Bearing.OWN, HoldReason.PAYEE_NOT_PERMITTED),
    }
)
"""Every reason that the settler gives for a skip."""
