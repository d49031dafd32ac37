"""What an unfinished redemption waits for, as the planner decides it and as people are told it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from settlement_node.domain.lifecycle import IN_FLIGHT, RedemptionStatus


class WaitingFor(StrEnum):
    """What an unfinished redemption is waiting for."""

    APPROVALS = "approvals"
    NAV = "nav"
    SETTLEMENT_DATE = "settlement_date"
    LIQUIDITY = "liquidity"
    LIMITS = "limits"
    PRICE_BAND = "price_band"
    LANE_PAUSED = "lane_paused"
    FUND_PAUSED = "fund_paused"
    BREAK_OPEN = "break_open"
    SETTLER = "settler"
    TOKEN_PAUSED = "token_paused"
    BURN_RIGHT = "burn_right"
    GAS = "gas"
    EARLIER_BATCH = "earlier_batch"
    PLANNING = "planning"
    BROADCAST = "broadcast"
    MINING = "mining"
    CONFIRMATIONS = "confirmations"
    PERSON = "person"


TO_BE_PLANNED = frozenset({RedemptionStatus.APPROVED, RedemptionStatus.BURNED})
"""Statuses from which an order goes on once nothing is in its way."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What every redemption of a fund waits for, and why, in words."""

    waiting_for: WaitingFor
    words: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the book says of a fund and its lane that keeps all of the fund's orders back."""

    lane_paused: bool
    fund_paused: bool
    break_open: bool
    nav_known: bool

    def obstacles(self) -> tuple[WaitingFor, ...]:
        """Everything in the way, most lasting first; nothing is planned while there is any."""
        found = {
            WaitingFor.LANE_PAUSED: self.lane_paused,
            WaitingFor.BREAK_OPEN: self.break_open,
            WaitingFor.FUND_PAUSED: self.fund_paused,
            WaitingFor.NAV: not self.nav_known,
        }
        return tuple(waiting_for for waiting_for, is_so in found.items() if is_so)


TOLD_BY_THE_BOOK = frozenset(
    {
        WaitingFor.LANE_PAUSED,
        WaitingFor.BREAK_OPEN,
        WaitingFor.FUND_PAUSED,
        WaitingFor.NAV,
        WaitingFor.SETTLEMENT_DATE,
    }
)
"""What can be told at any time; the rest is what planning last noted of an order."""


def obstacles_of(
    standing: Standing,
    *,
    settle_after_utc: datetime | None,
    noted: WaitingFor | None,
    now_utc: datetime,
) -> tuple[WaitingFor, ...]:
    """What keeps one approved order from being planned: what the book says now, and what planning
    last noted of it. A note of what the book can tell counts for nothing once that is over."""
    found = standing.obstacles()
    if settle_after_utc is not None and now_utc < settle_after_utc:
        found += (WaitingFor.SETTLEMENT_DATE,)
    if noted is not None and noted not in TOLD_BY_THE_BOOK:
        found += (noted,)
    return found


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing an unfinished redemption waits for; the counts are set for confirmations only."""

    waiting_for: WaitingFor
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
    if status in TO_BE_PLANNED:
        return tuple(Waiting(o) for o in obstacles) or (Waiting(WaitingFor.PLANNING),)
    if status in IN_FLIGHT:
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
