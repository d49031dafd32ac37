"""What is owed for an order, and by which words a person is asked about one."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.observations import SkipReason
from settlement_node.domain.redemption import (
    HoldReason,
    Priced,
    PriceTerms,
    Unpayable,
    check_external_id,
    price_redemption,
)
from settlement_node.errors import InvalidInput
from settlement_node.units import UINT256_MAX, Payout, Shares

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
    priced = price_redemption(Shares(shares), terms)
    if isinstance(priced, Unpayable):
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
        price = price_redemption(Shares(shares), terms)
        return price.payout_base_units if isinstance(price, Priced) else 0

    assert payout(shares) <= payout(shares + more)


def test_price_redemption__known_order__is_priced_to_the_base_unit() -> None:
    """1 234.567 shares at 1.05: 1 296.295350 gross, 0.25 % of it ceiled, the rest paid."""
    expected = Priced(Payout(1_296_295_350), Payout(3_240_739), Payout(1_293_054_611))
    assert expected == price_redemption(Shares(1_234_567 * 10**15), TERMS)


@pytest.mark.parametrize("shares", [1, 10**11, 952_380_952_380], ids=["1 wei", "dust", "one short"])
def test_price_redemption__nothing_left_to_pay__is_unpayable(shares: int) -> None:
    price = price_redemption(Shares(shares), TERMS)
    assert isinstance(price, Unpayable)
    assert HoldReason.PAYOUT_ROUNDS_TO_ZERO is price.reason


def test_price_redemption__fee_takes_the_only_base_unit__is_unpayable() -> None:
    assert isinstance(price_redemption(Shares(10**12), TERMS), Unpayable)


def test_price_redemption__beyond_256_bits__is_unpayable_not_a_crash() -> None:
    terms = dataclasses.replace(TERMS, share_decimals=0, payout_decimals=18)
    price = price_redemption(Shares(UINT256_MAX), terms)
    assert isinstance(price, Unpayable)
    assert HoldReason.PAYOUT_TOO_LARGE is price.reason


def test_price_redemption__exactly_256_bits__is_priced() -> None:
    terms = PriceTerms(
        nav_per_share=1, nav_decimals=0, share_decimals=0, payout_decimals=0, fee_bps=0
    )
    price = price_redemption(Shares(UINT256_MAX), terms)
    assert Priced(Payout(UINT256_MAX), Payout(0), Payout(UINT256_MAX)) == price


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


def test_hold_reason__every_skip_of_the_settler__has_its_word() -> None:
    skips = {reason.value for reason in SkipReason} - {"none"}
    assert skips <= {reason.value for reason in HoldReason}


def test_hold_reason__every__fits_its_column() -> None:
    assert max(len(word.value) for word in HoldReason) <= 40
