"""What is owed, and what an unfinished redemption waits for."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionStatus
from settlement_node.domain.observations import SkipReason
from settlement_node.domain.redemption import (
    HoldReason,
    PlanningView,
    PriceTerms,
    Waiting,
    WaitingFor,
    check_external_id,
    planning_obstacles,
    price_redemption,
    waiting_for,
)
from settlement_node.errors import InvalidInput, Refused
from settlement_node.units import UINT256_MAX, Payout, Shares

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
CLEAR = PlanningView(
    nav_known=True,
    fund_paused=False,
    lane_paused=False,
    treasury_spendable_base_units=Payout(100),
    limit_available_base_units=Payout(100),
    now_utc=NOW,
)
TERMS = PriceTerms(
    nav_per_share=1_050_000, nav_decimals=6, share_decimals=18, payout_decimals=6, fee_bps=25
)

ANY_TERMS = st.builds(
    PriceTerms,
    nav_per_share=st.integers(1, 10**12),
    nav_decimals=st.integers(0, 18),
    share_decimals=st.integers(0, 18),
    payout_decimals=st.integers(0, 18),
    fee_bps=st.integers(0, 9_999),
)


@given(st.integers(1, 10**40), ANY_TERMS)
def test_price_redemption__any__splits_the_gross_and_never_exceeds_the_exact_value(
    shares: int, terms: PriceTerms
) -> None:
    exact = (
        Fraction(shares, 10**terms.share_decimals)
        * Fraction(terms.nav_per_share, 10**terms.nav_decimals)
        * 10**terms.payout_decimals
    )
    net = exact * (10_000 - terms.fee_bps) / 10_000
    try:
        priced = price_redemption(Shares(shares), terms)
    except Refused:
        # Less than one base unit is lost to each of the two roundings.
        assert net < 2
        return
    assert priced.gross_base_units == priced.payout_base_units + priced.fee_base_units
    assert 0 < priced.payout_base_units <= priced.gross_base_units <= exact
    assert net - 2 < priced.payout_base_units <= net


@given(st.integers(1, 10**30), st.integers(0, 10**30), ANY_TERMS)
def test_price_redemption__more_shares__never_pays_less(
    shares: int, more: int, terms: PriceTerms
) -> None:
    def payout(shares: int) -> int:
        try:
            return price_redemption(Shares(shares), terms).payout_base_units
        except Refused:
            return 0

    assert payout(shares) <= payout(shares + more)


def test_price_redemption__known_order__is_priced_to_the_base_unit() -> None:
    """1 234.567 shares at 1.05: 1 296.295350 gross, 0.25 % of it ceiled, the rest paid."""
    priced = price_redemption(Shares(1_234_567 * 10**15), TERMS)
    assert (1_296_295_350, 3_240_739, 1_293_054_611) == (
        priced.gross_base_units, priced.fee_base_units, priced.payout_base_units,
    )  # fmt: skip


@pytest.mark.parametrize("shares", [1, 10**11, 952_380_952_380], ids=["1 wei", "dust", "one short"])
def test_price_redemption__nothing_left_to_pay__is_refused(shares: int) -> None:
    with pytest.raises(Refused) as refused:
        price_redemption(Shares(shares), TERMS)
    assert refused.value.details["reason"] == HoldReason.PAYOUT_ROUNDS_TO_ZERO.value


def test_price_redemption__fee_takes_the_only_base_unit__is_refused() -> None:
    with pytest.raises(Refused):
        price_redemption(Shares(10**12), TERMS)


def test_price_redemption__beyond_256_bits__is_refused_not_a_crash() -> None:
    terms = dataclasses.replace(TERMS, share_decimals=0, payout_decimals=18)
    with pytest.raises(Refused) as refused:
        price_redemption(Shares(UINT256_MAX), terms)
    assert refused.value.details["reason"] == HoldReason.PAYOUT_TOO_LARGE.value


def test_price_redemption__exactly_256_bits__is_priced() -> None:
    terms = PriceTerms(
        nav_per_share=1, nav_decimals=0, share_decimals=0, payout_decimals=0, fee_bps=0
    )
    assert price_redemption(Shares(UINT256_MAX), terms).payout_base_units == UINT256_MAX


@pytest.mark.parametrize("text", ["R-1", "é", "a b", "x" * 128, "50%_", "'; DROP TABLE"])
def test_check_external_id__printable__is_taken(text: str) -> None:
    assert text == check_external_id(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", " a", "a ", "a\n", "a\tb", "a\x00b", "x" * 129, "\u200b", "a\u202eb", "\ud800"],
    ids=repr,
)
def test_check_external_id__blank_long_or_hidden__is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="external_id") as refused:
        check_external_id(text)
    assert refused.value.details == {"field": "external_id"}


def obstacles(view: PlanningView = CLEAR, *, payout: int | None = 100) -> list[str]:
    found = planning_obstacles(
        settle_after_utc=None,
        payout_base_units=None if payout is None else Payout(payout),
        view=view,
    )
    return [obstacle.value for obstacle in found]


def test_planning_obstacles__nothing_in_the_way__is_due() -> None:
    assert obstacles() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lane_paused": True}, ["lane_paused"]),
        ({"fund_paused": True}, ["fund_paused"]),
        ({"nav_known": False}, ["nav"]),
        ({"treasury_spendable_base_units": Payout(99)}, ["liquidity"]),
        ({"limit_available_base_units": Payout(99)}, ["limits"]),
        ({"treasury_spendable_base_units": None}, []),
        ({"limit_available_base_units": None}, []),
        (
            {
                "lane_paused": True, "fund_paused": True, "nav_known": False,
                "treasury_spendable_base_units": Payout(0),
                "limit_available_base_units": Payout(0),
            },
            ["lane_paused", "fund_paused", "nav", "liquidity", "limits"],
        ),
    ],
    ids=lambda value: ",".join(value) if value else "none",
)  # fmt: skip
def test_planning_obstacles__each_in_the_way__is_named_most_lasting_first(
    changes: dict[str, object], expected: list[str]
) -> None:
    assert expected == obstacles(dataclasses.replace(CLEAR, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "expected"), [(0, ()), (1, (WaitingFor.SETTLEMENT_DATE,))])
def test_planning_obstacles__settlement_date__is_one_until_it_has_come(
    seconds: int, expected: tuple[WaitingFor, ...]
) -> None:
    assert expected == planning_obstacles(
        settle_after_utc=NOW + timedelta(seconds=seconds), payout_base_units=None, view=CLEAR
    )


def test_planning_obstacles__not_priced__asks_for_no_money() -> None:
    view = dataclasses.replace(CLEAR, treasury_spendable_base_units=Payout(0))
    assert obstacles(view, payout=None) == []


@pytest.mark.parametrize("status", sorted(REDEMPTION_ENDED))
def test_waiting_for__ended__is_nothing(status: RedemptionStatus) -> None:
    assert waiting_for(status) == ()


@pytest.mark.parametrize("status", sorted(set(RedemptionStatus) - REDEMPTION_ENDED))
def test_waiting_for__unfinished__is_something(status: RedemptionStatus) -> None:
    assert len(waiting_for(status)) == 1


def test_waiting_for__approved_with_obstacles__is_each_of_them() -> None:
    waiting = waiting_for(
        RedemptionStatus.APPROVED, obstacles=(WaitingFor.NAV, WaitingFor.LIQUIDITY)
    )
    assert waiting == (Waiting(WaitingFor.NAV), Waiting(WaitingFor.LIQUIDITY))


def test_waiting_for__approved_and_due__is_the_next_plan() -> None:
    assert waiting_for(RedemptionStatus.APPROVED) == (Waiting(WaitingFor.PLANNING),)


@pytest.mark.parametrize(
    ("sent", "expected"), [(False, WaitingFor.BROADCAST), (True, WaitingFor.MINING)]
)
def test_waiting_for__settling__is_the_send_and_then_the_miner(
    sent: bool, expected: WaitingFor
) -> None:
    assert waiting_for(RedemptionStatus.SETTLING, attempt_sent=sent) == (Waiting(expected),)


def test_waiting_for__paid__counts_confirmations() -> None:
    waiting = waiting_for(
        RedemptionStatus.PAID, confirmations_blocks=3, confirmations_needed_blocks=12
    )
    assert waiting == (Waiting(WaitingFor.CONFIRMATIONS, 3, 12),)


def test_waiting_for__held__is_a_person_with_the_reason() -> None:
    waiting = waiting_for(RedemptionStatus.HELD, hold_reason="burn_failed")
    assert waiting == (Waiting(WaitingFor.PERSON, detail="burn_failed"),)


def test_hold_reason__every_skip_of_the_settler__has_its_word() -> None:
    skips = {reason.value for reason in SkipReason} - {"none"}
    assert skips <= {reason.value for reason in HoldReason}


@pytest.mark.parametrize("words", [HoldReason, WaitingFor])
def test_word__every__fits_its_column(words: type[HoldReason | WaitingFor]) -> None:
    assert max(len(word.value) for word in words) <= 40


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("ORDER-2026-17", "ORDER-2026-17"),
        ("order-2026-17", "order-2026-17"),
        ("ORDER\u20132026\u221217", "ORDER-2026-17"),
        ("A\u2010B\u2011C\ufe63D\uff0dE", "A-B-C-D-E"),
        ("A\ufe31B\ufe32C\u30a0D\u2e3aE\u2796F", "A-B-C-D-E-F"),
        ("Zu\u0308rich-1", "Z\u00fcrich-1"),
        ("Z\u00fcrich\u20141", "Z\u00fcrich-1"),
    ],
)
def test_check_external_id__written_otherwise__is_one_form(given: str, normal: str) -> None:
    assert normal == check_external_id(given)
    assert normal == check_external_id(normal)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\u22121", "\uff1d1", "\uff0b1", "\uff20x"]
)
def test_check_external_id__like_a_formula__is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="must not begin with"):
        check_external_id(text)
