"""What is owed to whom, and what an unfinished redemption is waiting for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.errors import InvalidInput, Refused
from settlement_node.units import (
    UINT256_MAX,
    Address,
    Hex32,
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


class WaitingFor(StrEnum):
    """What an unfinished redemption is waiting for."""

    APPROVALS = "approvals"
    NAV = "nav"
    SETTLEMENT_DATE = "settlement_date"
    LIQUIDITY = "liquidity"
    LIMITS = "limits"
    LANE_PAUSED = "lane_paused"
    FUND_PAUSED = "fund_paused"
    SETTLER = "settler"
    TOKEN_PAUSED = "token_paused"
    GAS = "gas"
    EARLIER_BATCH = "earlier_batch"
    PLANNING = "planning"
    BROADCAST = "broadcast"
    MINING = "mining"
    CONFIRMATIONS = "confirmations"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """How a fund turns shares into money. `nav_per_share` is for one whole share."""

    nav_per_share: int
    nav_decimals: int
    share_decimals: int
    payout_decimals: int
    fee_bps: int


@dataclass(frozen=True, slots=True)
class PricedPayout:
    """gross = payout + fee, all in payout base units; the fee stays in the treasury."""

    gross_base_units: Payout
    fee_base_units: Payout
    payout_base_units: Payout


@dataclass(frozen=True, slots=True)
class RedemptionOrder:
    """An order to redeem as it is entered: validated shape, not yet priced."""

    external_id: str
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    settle_after_utc: datetime | None = None


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


def price_redemption(shares_base_units: Shares, terms: PriceTerms) -> PricedPayout:
    """Price shares at the terms: gross floored, fee ceiled, payout = gross − fee.

    Raises Refused(reason=payout_rounds_to_zero) when nothing would be left to pay, and
    Refused(reason=payout_too_large) when the gross would not fit the chain's 256 bits.
    """
    gross = payout_gross_floored(
        shares_base_units=shares_base_units,
        nav_per_share=terms.nav_per_share,
        share_decimals=terms.share_decimals,
        payout_decimals=terms.payout_decimals,
        nav_decimals=terms.nav_decimals,
    )
    if gross > UINT256_MAX:
        raise Refused(
            "the payout of these shares is beyond 2^256 base units of the payout token",
            reason=HoldReason.PAYOUT_TOO_LARGE.value,
            gross_base_units=str(gross),
        )
    fee = fee_ceiled(gross, fee_bps=terms.fee_bps)
    payout = Payout(gross - fee)
    if payout <= 0:
        raise Refused(
            "the payout of these shares rounds down to zero base units of the payout token",
            reason=HoldReason.PAYOUT_ROUNDS_TO_ZERO.value,
            gross_base_units=str(gross),
        )
    return PricedPayout(gross_base_units=gross, fee_base_units=fee, payout_base_units=payout)


@dataclass(frozen=True, slots=True)
class PlanningView:
    """What the plan stage and `waiting_for` both look at, for one fund and its lane."""

    nav_known: bool
    fund_paused: bool
    lane_paused: bool
    treasury_spendable_base_units: Payout | None
    limit_available_base_units: Payout | None
    now_utc: datetime


def planning_obstacles(
    *, settle_after_utc: datetime | None, payout_base_units: Payout | None, view: PlanningView
) -> tuple[WaitingFor, ...]:
    """Everything that keeps an approved redemption from being planned now, most lasting first.

    Empty means due. `treasury_spendable_base_units` is min(balance, allowance) less what is in
    flight; None means not looked at yet and is no obstacle by itself.
    """
    obstacles: list[WaitingFor] = []
    if view.lane_paused:
        obstacles.append(WaitingFor.LANE_PAUSED)
    if view.fund_paused:
        obstacles.append(WaitingFor.FUND_PAUSED)
    if settle_after_utc is not None and view.now_utc < settle_after_utc:
        obstacles.append(WaitingFor.SETTLEMENT_DATE)
    if not view.nav_known:
        obstacles.append(WaitingFor.NAV)
    if payout_base_units is not None:
        spendable = view.treasury_spendable_base_units
        if spendable is not None and payout_base_units > spendable:
            obstacles.append(WaitingFor.LIQUIDITY)
        available = view.limit_available_base_units
        if available is not None and payout_base_units > available:
            obstacles.append(WaitingFor.LIMITS)
    return tuple(obstacles)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing an unfinished redemption waits for; the counts are set for confirmations only."""

    on: WaitingFor
    confirmations_blocks: int | None = None
    confirmations_needed_blocks: int | None = None
    detail: str | None = None


def waiting_for(
    status: RedemptionStatus,
    *,
    obstacles: tuple[WaitingFor, ...] = (),
    attempt_sent: bool = False,
    confirmations_blocks: int | None = None,
    confirmations_needed_blocks: int | None = None,
    hold_reason: str | None = None,
) -> tuple[Waiting, ...]:
    """What a redemption in `status` is waiting for; empty when it has ended."""
    if status is RedemptionStatus.REQUESTED:
        return (Waiting(WaitingFor.APPROVALS),)
    if status in (RedemptionStatus.APPROVED, RedemptionStatus.BURNED):
        return tuple(Waiting(o) for o in obstacles) or (Waiting(WaitingFor.PLANNING),)
    if status is RedemptionStatus.SETTLING:
        return (Waiting(WaitingFor.MINING if attempt_sent else WaitingFor.BROADCAST),)
    if status is RedemptionStatus.PAID:
        return (
            Waiting(
                WaitingFor.CONFIRMATIONS,
                confirmations_blocks=confirmations_blocks,
                confirmations_needed_blocks=confirmations_needed_blocks,
            ),
        )
    if status is RedemptionStatus.HELD:
        return (Waiting(WaitingFor.PERSON, detail=hold_reason),)
    return ()


@dataclass(frozen=True, slots=True)
class RedemptionIdentity:
    """What fixes a redemption for ever: its id on chain and its bit in the settler."""

    redemption_id_hex: Hex32
    redemption_index: int
