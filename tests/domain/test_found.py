"""A found payment is right only if this book could have made it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from settlement_node.domain.found import CLOCK_SKEW_MAX, FoundPayment, Judgement, PastTerms, judge
from settlement_node.domain.redemption import PriceTerms
from settlement_node.units import Payout, Shares
from tests_support.book import at

MONDAY, TUESDAY, WEDNESDAY = (at(f"2026-03-0{day}T12:00:00Z") for day in (2, 3, 4))
SHARES = Shares(2 * 10**18)
LATER = CLOCK_SKEW_MAX + timedelta(seconds=1)


def terms(since: datetime, price: int, *, fee_bps: int = 0) -> PastTerms:
    return PastTerms(since, PriceTerms(price, 6, 18, 6, fee_bps))


HISTORY = [terms(MONDAY, 1_000_000), terms(TUESDAY, 1_100_000), terms(WEDNESDAY, 1_200_000)]


def payment(payout: int, *, paid_at: datetime | None, waited_from: datetime) -> FoundPayment:
    return FoundPayment(SHARES, Payout(payout), waited_from, None, paid_at)


def is_right(payout: int, *, paid_at: datetime, waited_from: datetime) -> bool:
    found = payment(payout, paid_at=paid_at, waited_from=waited_from)
    return judge(found, HISTORY).fault is None


def test_judge__at_the_price_of_its_time__right_and_expected() -> None:
    found = payment(2_200_000, paid_at=TUESDAY + LATER, waited_from=TUESDAY + LATER)
    assert judge(found, HISTORY) == Judgement(Payout(2_200_000), None)


@pytest.mark.parametrize("payout", [1, 2_199_999, 2_200_001])
def test_judge__at_another_price__at_fault_beside_what_was_expected(payout: int) -> None:
    found = payment(payout, paid_at=TUESDAY + LATER, waited_from=TUESDAY + LATER)
    judgement = judge(found, HISTORY)
    assert (2_200_000, True) == (judgement.expected_base_units, judgement.fault is not None)


def test_judge__the_fee_is_part_of_the_terms() -> None:
    found = payment(1_995_000, paid_at=MONDAY, waited_from=MONDAY)
    assert judge(found, [terms(MONDAY, 1_000_000, fee_bps=25)]).fault is None


@pytest.mark.parametrize(
    ("payout", "expected"), [(2_000_000, True), (2_200_000, True), (2_400_000, False)]
)
def test_judge__the_price_changed_while_it_waited__each_price_of_that_time_is_right(
    payout: int, expected: bool
) -> None:
    waited_from = MONDAY + timedelta(hours=1)
    assert expected == is_right(payout, paid_at=TUESDAY + LATER, waited_from=waited_from)


@pytest.mark.parametrize(
    ("apart", "expected"), [(CLOCK_SKEW_MAX, True), (LATER, False)], ids=["skew", "more"]
)
def test_judge__the_next_price__right_only_within_the_skew_of_the_clocks(
    apart: timedelta, expected: bool
) -> None:
    assert expected == is_right(2_400_000, paid_at=WEDNESDAY - apart, waited_from=TUESDAY + LATER)


@pytest.mark.parametrize(
    ("apart", "expected"), [(timedelta(0), True), (LATER, False)], ids=["skew", "more"]
)
def test_judge__the_price_before_it_waited__right_only_within_the_skew_of_the_clocks(
    apart: timedelta, expected: bool
) -> None:
    assert expected == is_right(2_000_000, paid_at=WEDNESDAY, waited_from=TUESDAY + apart)


def test_judge__entered_again_after_it_was_paid__by_the_terms_at_its_block() -> None:
    assert is_right(2_200_000, paid_at=TUESDAY + LATER, waited_from=WEDNESDAY + LATER)
    assert not is_right(2_400_000, paid_at=TUESDAY + LATER, waited_from=WEDNESDAY + LATER)


def test_judge__paid_before_the_first_terms__by_the_first() -> None:
    paid_at = MONDAY - timedelta(days=300)
    assert is_right(2_000_000, paid_at=paid_at, waited_from=MONDAY)
    assert not is_right(2_200_000, paid_at=paid_at, waited_from=MONDAY)


@pytest.mark.parametrize(
    ("apart", "expected"), [(CLOCK_SKEW_MAX, True), (LATER, False)], ids=["skew", "more"]
)
def test_judge__before_its_settlement_date__at_fault_whatever_the_price(
    apart: timedelta, expected: bool
) -> None:
    found = replace(
        payment(2_200_000, paid_at=WEDNESDAY - LATER - apart, waited_from=TUESDAY + LATER),
        settle_after_utc=WEDNESDAY - LATER,
    )
    assert expected == (judge(found, HISTORY).fault is None)


def test_judge__no_terms_at_all__cannot_be_right() -> None:
    found = payment(2_000_000, paid_at=MONDAY, waited_from=MONDAY)
    judgement = judge(found, [])
    assert (None, True) == (judgement.expected_base_units, judgement.fault is not None)


def test_judge__time_of_its_block_unknown__cannot_be_right() -> None:
    found = payment(2_000_000, paid_at=None, waited_from=MONDAY)
    assert judge(found, HISTORY).fault is not None


def test_judge__terms_by_which_nothing_could_be_paid__at_fault_without_an_expectation() -> None:
    found = payment(1, paid_at=MONDAY, waited_from=MONDAY)
    judgement = judge(found, [terms(MONDAY, 0)])
    assert (None, True) == (judgement.expected_base_units, judgement.fault is not None)
