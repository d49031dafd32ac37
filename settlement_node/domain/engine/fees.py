"""EIP-1559 fees from the fee history, and the bump of a replacement.

Sources: EIP-1559 (base fee moves at most 1/8 a block), and the replacement rule of the common
clients, which want both the tip and the cap of a replacement raised by at least 10 % (12.5 % in
some). The bump here is 12.5 % and one wei more, so that no rounding lands exactly on the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from settlement_node.domain.observations import FeeHistory
from settlement_node.errors import InvalidInput
from settlement_node.units import Wei


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """Bounds of what may be offered for a unit of gas.

    The ceiling of what is paid is on the cap (`max_fee_per_gas_wei`). The tip's own ceiling bounds
    what the market may ask of a first attempt; replacements must raise the tip past it if need be.
    `base_fee_headroom_bps` of the next base fee is the part of the cap that covers its rise:
    20000 is twice, which lasts six full blocks.
    """

    tip_floor_wei: Wei = Wei(1)
    tip_ceiling_wei: Wei = Wei(50 * 10**9)
    cap_ceiling_wei: Wei = Wei(500 * 10**9)
    base_fee_headroom_bps: int = 20_000

    def __post_init__(self) -> None:
        if not 0 < self.tip_floor_wei <= self.tip_ceiling_wei <= self.cap_ceiling_wei:
            raise InvalidInput(
                "fees: need 0 < tip_floor_wei <= tip_ceiling_wei <= cap_ceiling_wei", field="fees"
            )
        if self.base_fee_headroom_bps < 10_000:
            raise InvalidInput(
                "fees: base_fee_headroom_bps must be at least 10000 (100 %)",
                field="fees.base_fee_headroom_bps",
            )


@dataclass(frozen=True, slots=True)
class Fees:
    """The two fee fields of a type-2 transaction."""

    max_fee_per_gas_wei: Wei
    max_priority_fee_per_gas_wei: Wei

    def __post_init__(self) -> None:
        if not 0 <= self.max_priority_fee_per_gas_wei <= self.max_fee_per_gas_wei:
            raise ValueError("the tip must lie between zero and the cap")


@dataclass(frozen=True, slots=True)
class Bumped:
    """Fees that every client accepts as a replacement of the old ones."""

    fees: Fees


@dataclass(frozen=True, slots=True)
class AtCeiling:
    """The next valid replacement would pass the ceiling: rebroadcast what is there, and alert."""

    needed_cap_wei: Wei
    cap_ceiling_wei: Wei


def middle_history(histories: Sequence[FeeHistory], *, head_base_fee_wei: Wei) -> FeeHistory:
    """One history out of several endpoints' own: the middle one by its tips, the middle next base
    fee; of two the lower, so that no single endpoint raises a price.

    The next base fee is kept within an eighth of the agreed head's, as EIP-1559 has it; a head
    without one (0) bounds nothing. Raises ValueError without any history.
    """
    if not histories:
        raise ValueError("no fee history")
    middle = (len(histories) - 1) // 2
    tips = sorted((history.tips_wei for history in histories), key=median_tip)[middle]
    base_fees = sorted((history.base_fees_wei for history in histories), key=lambda fees: fees[-1])
    *earlier, next_base_fee = base_fees[middle]
    if head_base_fee_wei:
        lowest, highest = head_base_fee_wei * 7 // 8, head_base_fee_wei * 9 // 8 + 1
        next_base_fee = Wei(min(max(next_base_fee, lowest), highest))
    return FeeHistory(base_fees_wei=(*earlier, next_base_fee), tips_wei=tips)


def median_tip(tips_wei: Sequence[Wei]) -> Wei:
    """The median of some tips, of an even number the higher one; 0 without any."""
    ordered = sorted(tips_wei)
    return ordered[len(ordered) // 2] if ordered else Wei(0)


def market_fees(history: FeeHistory, policy: FeePolicy) -> Fees:
    """Fees by today's market, within the policy's floor and ceiling.

    Tip: the median over the history's blocks of the asked percentile. Cap: next base fee with
    headroom, plus the tip.
    """
    tip = min(max(median_tip(history.tips_wei), policy.tip_floor_wei), policy.tip_ceiling_wei)
    next_base_fee = history.base_fees_wei[-1] if history.base_fees_wei else 0
    cap = -(-next_base_fee * policy.base_fee_headroom_bps // 10_000) + tip
    cap = min(cap, policy.cap_ceiling_wei)
    return Fees(max_fee_per_gas_wei=Wei(max(cap, tip)), max_priority_fee_per_gas_wei=Wei(tip))


def raised(old_wei: int) -> int:
    """floor(old × 1.125) + 1: strictly above every client's replacement limit."""
    return old_wei * 9 // 8 + 1


NOOP_CEILING_FACTOR = 2
"""A no-op may offer this many times the ceiling: its gas is a small part of a batch's, and a
batch that was offered at the ceiling could not be cancelled otherwise."""


def bump(
    old: Fees, market: Fees, policy: FeePolicy, *, is_noop: bool = False
) -> Bumped | AtCeiling:
    """Fees of a replacement: tip and cap each `max(market, floor(old × 1.125) + 1)`.

    AtCeiling when the cap would pass the policy's ceiling: bumping the tip alone is refused by
    the clients, so nothing is bumped then.
    """
    ceiling_wei = Wei(policy.cap_ceiling_wei * (NOOP_CEILING_FACTOR if is_noop else 1))
    tip = max(market.max_priority_fee_per_gas_wei, raised(old.max_priority_fee_per_gas_wei))
    cap = max(market.max_fee_per_gas_wei, raised(old.max_fee_per_gas_wei), tip)
    if cap > ceiling_wei:
        return AtCeiling(needed_cap_wei=Wei(cap), cap_ceiling_wei=ceiling_wei)
    return Bumped(Fees(max_fee_per_gas_wei=Wei(cap), max_priority_fee_per_gas_wei=Wei(tip)))


def underpriced(old: Fees, market: Fees) -> bool:
    """Whether the market has moved past what the last attempt offers."""
    return market.max_fee_per_gas_wei > raised(old.max_fee_per_gas_wei)
