"""Fees by the market within bounds, and replacements that every client accepts."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.engine.fees import (
    AtCeiling,
    Bumped,
    FeePolicy,
    Fees,
    bump,
    market_fees,
    raised,
    underpriced,
)
from settlement_node.domain.observations import FeeHistory
from settlement_node.errors import InvalidInput
from settlement_node.units import Wei

POLICY = FeePolicy(tip_floor_wei=Wei(10), tip_ceiling_wei=Wei(1_000), cap_ceiling_wei=Wei(100_000))
WEI = st.integers(0, 10**13).map(Wei)


def fees(cap: int, tip: int) -> Fees:
    return Fees(max_fee_per_gas_wei=Wei(cap), max_priority_fee_per_gas_wei=Wei(tip))


def history(*tips: int, base: int = 1_000) -> FeeHistory:
    return FeeHistory(base_fees_wei=(Wei(1), Wei(base)), tips_wei=tuple(Wei(tip) for tip in tips))


ANY_FEES = st.tuples(WEI, WEI).map(lambda pair: fees(max(pair), min(pair)))
ANY_HISTORY = st.builds(
    FeeHistory,
    base_fees_wei=st.lists(WEI, max_size=5).map(tuple),
    tips_wei=st.lists(WEI, max_size=5).map(tuple),
)


@pytest.mark.parametrize(
    ("tips", "expected"),
    [
        ((30, 20, 900), 30),
        ((20, 30), 30),
        ((50,), 50),
        ((), 10),
        ((0, 0, 0), 10),
        ((5_000,), 1_000),
    ],
    ids=["median", "upper of two", "one", "none: floor", "empty blocks: floor", "ceiling"],
)
def test_market_fees__tip__is_the_median_between_floor_and_ceiling(
    tips: tuple[int, ...], expected: int
) -> None:
    assert expected == market_fees(history(*tips), POLICY).max_priority_fee_per_gas_wei


def test_market_fees__cap__is_twice_the_next_base_fee_and_the_tip() -> None:
    assert fees(2_030, 30) == market_fees(history(30), POLICY)


def test_market_fees__headroom_with_a_fraction__is_rounded_up() -> None:
    policy = dataclasses.replace(POLICY, base_fee_headroom_bps=12_500)
    assert fees(1_003 * 5 // 4 + 1 + 30, 30) == market_fees(history(30, base=1_003), policy)


def test_market_fees__base_fee_spike__stops_at_the_ceiling() -> None:
    assert fees(100_000, 30) == market_fees(history(30, base=10**9), POLICY)


def test_market_fees__no_history__is_the_floor() -> None:
    assert fees(10, 10) == market_fees(FeeHistory(base_fees_wei=(), tips_wei=()), POLICY)


@given(ANY_HISTORY)
def test_market_fees__any_history__stays_within_the_policy(seen: FeeHistory) -> None:
    offered = market_fees(seen, POLICY)
    assert 10 <= offered.max_priority_fee_per_gas_wei <= 1_000
    assert offered.max_priority_fee_per_gas_wei <= offered.max_fee_per_gas_wei <= 100_000


@pytest.mark.parametrize(
    ("client", "limit_percent"), [("most", Fraction(110)), ("some", Fraction(225, 2))]
)
def test_raised__1_to_2000_wei__is_strictly_above_every_clients_limit(
    client: str, limit_percent: Fraction
) -> None:
    """Where rounding bites hardest: every small value, against 10 % and against 12.5 %."""
    limit = limit_percent / 100
    refused = [old for old in range(1, 2_001) if raised(old) <= old * limit]
    assert (client, []) == (client, refused)


def test_raised__nothing__is_something() -> None:
    assert raised(0) == 1


@given(st.integers(0, 10**20))
def test_raised__any__is_the_least_whole_number_above_an_eighth_more(old: int) -> None:
    assert (raised(old) - 1) * 8 <= old * 9 < raised(old) * 8


@given(ANY_FEES, ANY_FEES)
def test_bump__any__is_a_valid_replacement_or_at_the_ceiling(old: Fees, market: Fees) -> None:
    policy = dataclasses.replace(POLICY, cap_ceiling_wei=Wei(10**12))
    match bump(old, market, policy):
        case Bumped(new):
            for before, after in (
                (old.max_fee_per_gas_wei, new.max_fee_per_gas_wei),
                (old.max_priority_fee_per_gas_wei, new.max_priority_fee_per_gas_wei),
            ):
                assert after * 8 > before * 9
            assert new.max_fee_per_gas_wei >= market.max_fee_per_gas_wei
            assert new.max_priority_fee_per_gas_wei >= market.max_priority_fee_per_gas_wei
            assert new.max_fee_per_gas_wei <= policy.cap_ceiling_wei
        case AtCeiling(needed, ceiling):
            assert needed > ceiling == policy.cap_ceiling_wei


def test_bump__quiet_market__raises_both_by_an_eighth_and_one() -> None:
    assert Bumped(fees(1_126, 113)) == bump(fees(1_000, 100), fees(500, 10), POLICY)


def test_bump__market_moved_up__follows_the_market() -> None:
    assert Bumped(fees(9_000, 700)) == bump(fees(1_000, 100), fees(9_000, 700), POLICY)


def test_bump__next_step_exactly_at_the_ceiling__is_still_offered() -> None:
    policy = dataclasses.replace(POLICY, cap_ceiling_wei=Wei(1_126))
    assert Bumped(fees(1_126, 113)) == bump(fees(1_000, 100), fees(0, 0), policy)


def test_bump__next_step_one_above_the_ceiling__bumps_nothing() -> None:
    policy = dataclasses.replace(POLICY, cap_ceiling_wei=Wei(1_125))
    assert AtCeiling(Wei(1_126), Wei(1_125)) == bump(fees(1_000, 100), fees(0, 0), policy)


def test_bump__tip_past_the_ceiling_of_first_attempts__is_allowed_up_to_the_cap() -> None:
    """Clients want both fields raised, so a stuck transaction may have to offer more tip."""
    assert Bumped(fees(2_251, 1_126)) == bump(fees(2_000, 1_000), fees(0, 0), POLICY)


def test_bump__repeated__reaches_the_ceiling_in_bounded_steps() -> None:
    at, steps = fees(10, 10), 0
    while isinstance(step := bump(at, fees(0, 0), POLICY), Bumped):
        at, steps = step.fees, steps + 1
    assert steps < 90


@pytest.mark.parametrize(("market_cap", "expected"), [(1_126, False), (1_127, True)])
def test_underpriced__market_past_one_replacement_step__says_so(
    market_cap: int, expected: bool
) -> None:
    assert expected is underpriced(fees(1_000, 1), fees(market_cap, 1))


@pytest.mark.parametrize(("cap", "tip"), [(1, 2), (0, 1), (5, -1)])
def test_fees__tip_not_between_zero_and_cap__is_no_value(cap: int, tip: int) -> None:
    with pytest.raises(ValueError, match="tip"):
        fees(cap, tip)


@pytest.mark.parametrize(
    "changes",
    [
        {"tip_floor_wei": 0},
        {"tip_floor_wei": 1_001},
        {"tip_ceiling_wei": 100_001},
        {"cap_ceiling_wei": 999},
        {"base_fee_headroom_bps": 9_999},
    ],
    ids=str,
)
def test_fee_policy__bounds_crossed__is_refused(changes: dict[str, Wei]) -> None:
    with pytest.raises(InvalidInput, match="fees"):
        dataclasses.replace(POLICY, **changes)  # type: ignore[arg-type]


def test_fee_policy__defaults__are_valid() -> None:
    assert FeePolicy().base_fee_headroom_bps == 20_000
