"""An order to redeem, what is owed for it, and why a person must decide about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from settlement_node.errors import InvalidInput
from settlement_node.units import (
    UINT256_MAX,
    Address,
    Payout,
    Shares,
    fee_ceiled,
    normal_external_id,
    payout_gross_floored,
)

EXTERNAL_ID_LENGTH_MAX = 128
FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff20")
"""The last three are the full-width ones; a full-width minus is a hyphen by then."""


class HoldReason(StrEnum):
    """Why a person must decide. Skip reasons of the settler appear under the same words."""

    BURN_FAILED = "burn_failed"
    BURN_NOT_EXACT = "burn_not_exact"
    PAYOUT_FAILED = "payout_failed"
    PAYOUT_NOT_EXACT = "payout_not_exact"
    PRICE_ABOVE_CEILING = "price_above_ceiling"
    PRICE_BELOW_FLOOR = "price_below_floor"
    DAILY_LIMIT_EXCEEDED = "daily_limit_exceeded"
    ALREADY_SETTLED = "already_settled"
    INVALID_ITEM = "invalid_item"
    ITEM_OUT_OF_GAS = "item_out_of_gas"
    PAYEE_NOT_PERMITTED = "payee_not_permitted"
    INVESTOR_RESTRICTED = "investor_restricted"
    PAYEE_RESTRICTED = "payee_restricted"
    PAYOUT_ROUNDS_TO_ZERO = "payout_rounds_to_zero"
    PAYOUT_TOO_LARGE = "payout_too_large"
    PAYMENT_UNDONE = "payment_undone"
    BATCH_REVERTED = "batch_reverted"
    BATCH_REFUSED = "batch_refused"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """How a fund turns shares into money. `nav_per_share` is for one whole share."""

    nav_per_share: int
    nav_decimals: int
    share_decimals: int
    payout_decimals: int
    fee_bps: int


@dataclass(frozen=True, slots=True)
class Priced:
    """gross = payout + fee, all in payout base units; the fee stays in the treasury."""

    gross_base_units: Payout
    fee_base_units: Payout
    payout_base_units: Payout


@dataclass(frozen=True, slots=True)
class Unpayable:
    """There is no sum that could be paid for these shares at these terms, and why."""

    reason: HoldReason
    words: str


@dataclass(frozen=True, slots=True)
class RedemptionOrder:
    """An order to redeem as it is entered: validated shape, not yet priced."""

    external_id: str
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    settle_after_utc: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A fund's held orders: how many, since when the oldest of them, and for how many shares."""

    count: int
    since_utc: datetime
    shares_base_units: Shares


def check_external_id(text: str, *, field: str = "external_id") -> str:
    """The id in its normal form. Raises InvalidInput unless it is printable, without surrounding
    blanks, of 1 to 128 characters, and does not begin like a formula: it is exported, and a
    spreadsheet would run that."""
    normal = normal_external_id(text)
    if not normal or normal != normal.strip() or len(normal) > EXTERNAL_ID_LENGTH_MAX:
        raise InvalidInput(
            f"{field} must have 1 to {EXTERNAL_ID_LENGTH_MAX} characters and no blanks at its ends",
            field=field,
        )
    if not normal.isprintable():
        raise InvalidInput(f"{field} must hold printable characters only", field=field)
    if normal.startswith(FORMULA_STARTS):
        raise InvalidInput(
            f"{field} must not begin with =, +, - or @: spreadsheets take that for a formula",
            field=field,
        )
    return normal


def price_redemption(shares_base_units: Shares, terms: PriceTerms) -> Priced | Unpayable:
    """Price shares at the terms: gross floored, fee ceiled, payout = gross − fee.

    Unpayable when nothing would be left to pay, or when the gross would not fit the chain's 256
    bits.
    """
    gross = payout_gross_floored(
        shares_base_units=shares_base_units,
        nav_per_share=terms.nav_per_share,
        share_decimals=terms.share_decimals,
        payout_decimals=terms.payout_decimals,
        nav_decimals=terms.nav_decimals,
    )
    if gross > UINT256_MAX:
        return Unpayable(
            HoldReason.PAYOUT_TOO_LARGE,
            "the payout of these shares is beyond 2^256 base units of the payout token",
        )
    fee = fee_ceiled(gross, fee_bps=terms.fee_bps)
    payout = Payout(gross - fee)
    if payout <= 0:
        return Unpayable(
            HoldReason.PAYOUT_ROUNDS_TO_ZERO,
            "the payout of these shares rounds down to zero base units of the payout token",
        )
    return Priced(gross_base_units=gross, fee_base_units=fee, payout_base_units=payout)
