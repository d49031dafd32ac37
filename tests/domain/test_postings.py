"""No path of facts burns or pays twice, and the ledger says of every order what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.lifecycle import (
    REDEMPTION_ENDED,
    REDEMPTION_TABLE,
    STANDINGS,
    RedemptionFact,
    RedemptionStatus,
    Standing,
)
from settlement_node.domain.postings import (
    BOOKED,
    COLUMNS,
    HOLD,
    Account,
    changed_columns,
    movements,
)
from settlement_node.errors import InvariantBroken
from settlement_node.units import Payout, Shares
from tests_support.clock import START_UTC

R, F = RedemptionStatus, RedemptionFact
BOTH, BURN, PAYOUT, RETURN = "both", "burn", "payout", "return"
SHARES, REQUESTED = Shares(100), Standing(R.REQUESTED)
LEG_PLANNED = {
    F.SETTLEMENT_PLANNED: BOTH,
    F.BURN_PLANNED: BURN,
    F.PAYOUT_PLANNED: PAYOUT,
    F.RETURN_PLANNED: RETURN,
}


@dataclass(frozen=True, slots=True)
class Amounts:
    shares_base_units: Shares = SHARES
    payout_base_units: Payout | None = None
    fee_base_units: Payout | None = None


@dataclass
class Chain:
    """What the facts say of the chain, kept apart from every table: which leg is in flight, and
    how often the order's shares are burned and its payout is paid."""

    leg: str | None = None
    leg_paid: str | None = None
    burned: int = 0
    paid: int = 0

    def happens(self, fact: RedemptionFact) -> None:
        if fact in LEG_PLANNED:
            self.leg = LEG_PLANNED[fact]
        elif fact is F.PAYMENT_MINED and self.leg is not None:
            self.paid += 1
            self.burned += self.leg == BOTH
            self.leg, self.leg_paid = None, self.leg
        elif fact is F.PAYMENT_UNDONE:
            self.paid -= 1
            self.burned -= self.leg_paid == BOTH
            self.leg, self.leg_paid = self.leg_paid, None
        elif fact is F.FOUND_SETTLED:
            self.paid += 1
            self.burned += 1
        elif fact in (F.BURN_FINAL, F.SHARES_RETURNED):
            self.burned += 1 if fact is F.BURN_FINAL else -1
            self.leg = None
        elif fact in (F.SETTLEMENT_VOIDED, F.ITEM_SKIPPED, F.HOLD_PLACED):
            self.leg = None


@dataclass
class Walk:
    """An order on a path of facts, with its ledger."""

    standing: Standing = REQUESTED
    amounts: Amounts = field(default_factory=Amounts)
    chain: Chain = field(default_factory=Chain)
    ledger: Counter[Account] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.post(None, self.amounts)

    def post(self, before: tuple[Standing, Amounts] | None, booked: Amounts) -> None:
        for movement in movements(before, (self.standing, booked)):
            assert movement.units_base_units > 0
            self.ledger[movement.debit] += movement.units_base_units
            self.ledger[movement.credit] -= movement.units_base_units

    def step(self, fact: RedemptionFact, payout: int, fee: int) -> None:
        before = (self.standing, self.amounts)
        self.standing = REDEMPTION_TABLE[self.standing, fact]
        if fact in (F.SETTLEMENT_PLANNED, F.BURN_PLANNED):
            self.amounts = replace(
                self.amounts, payout_base_units=Payout(payout), fee_base_units=Payout(fee)
            )
        if fact is F.FOUND_SETTLED:
            self.amounts = Amounts(payout_base_units=Payout(payout))
        self.chain.happens(fact)
        self.post(before, self.amounts)


@st.composite
def paths(draw: st.DrawFn) -> list[tuple[RedemptionFact, int, int]]:
    """Facts that may follow one another from `requested` on, each with a payout and a fee."""
    standing, path = REQUESTED, []
    for _ in range(draw(st.integers(0, 40))):
        possible = [fact for (at, fact) in REDEMPTION_TABLE if at == standing]
        if not possible:
            break
        fact = draw(st.sampled_from(possible))
        path.append((fact, draw(st.integers(1, 1000)), draw(st.integers(0, 5))))
        standing = REDEMPTION_TABLE[standing, fact]
    return path


@given(paths())
def test_facts__any_path__burns_and_pays_once_at_most_and_never_pays_the_unburned(
    path: list[tuple[RedemptionFact, int, int]],
) -> None:
    walk = Walk()
    for step in path:
        walk.step(*step)
        burned, paid = walk.chain.burned, walk.chain.paid
        assert (burned, paid) in {(0, 0), (1, 0), (1, 1)}
        if walk.standing.status is R.SETTLED:
            assert (1, 1) == (burned, paid)
        elif walk.standing.status in {*REDEMPTION_ENDED, R.REQUESTED, R.APPROVED}:
            assert (0, 0) == (burned, paid)


@given(paths())
def test_ledger__any_path__balances_and_says_what_is_burned_owed_and_paid(
    path: list[tuple[RedemptionFact, int, int]],
) -> None:
    walk = Walk()
    for step in path:
        walk.step(*step)
        chain, amounts = walk.chain, walk.amounts
        ended = walk.standing.status in REDEMPTION_ENDED and not chain.paid
        due = bool(chain.leg or chain.burned) and not ended
        payout, fee = amounts.payout_base_units or 0, amounts.fee_base_units or 0
        shares = amounts.shares_base_units
        reserved = 0 if ended else shares * (1 - chain.burned)
        expected = {
            Account.SHARES_RESERVED: reserved,
            Account.SHARES_BURNED: shares * chain.burned,
            Account.SHARES_OUTSTANDING: -reserved - shares * chain.burned,
            Account.TREASURY: -payout * chain.paid,
            Account.REDEMPTIONS_PAYABLE: -payout * (due - chain.paid),
            Account.FEES_RETAINED: -fee * due,
            Account.CAPITAL_REDEEMED: (payout + fee) * due,
        }
        assert expected == {account: walk.ledger[account] for account in Account}


def test_movements__other_shares_burned_than_reserved__leaves_none_reserved() -> None:
    ledger: Counter[Account] = Counter()
    reserved = Amounts()
    found = Amounts(Shares(90), Payout(7))
    for before, after in (
        (None, (REQUESTED, reserved)),
        ((REQUESTED, reserved), (Standing(R.SETTLED), found)),
    ):
        for movement in movements(before, after):
            ledger[movement.debit] += movement.units_base_units
            ledger[movement.credit] -= movement.units_base_units
    assert (0, 90, -90, -7) == (
        ledger[Account.SHARES_RESERVED],
        ledger[Account.SHARES_BURNED],
        ledger[Account.SHARES_OUTSTANDING],
        ledger[Account.TREASURY],
    )


def test_movements__same_fact_again__posts_nothing() -> None:
    paid = (Standing(R.PAID, R.SETTLING), Amounts(payout_base_units=Payout(7)))
    assert list(movements(paid, paid)) == []


def test_booked__every_standing__is_there() -> None:
    assert set(STANDINGS) == set(BOOKED)


def test_changed_columns__out_of_hold__takes_the_reason_away() -> None:
    held = Standing(R.HELD, R.APPROVED)
    columns = changed_columns(held, F.HOLD_RELEASED, {}, now_utc=START_UTC)
    assert dict.fromkeys([*HOLD, "back_to", "reverted_batch_size"]) == {
        name: columns[name] for name in (*HOLD, "back_to", "reverted_batch_size")
    }


def test_changed_columns__held__remembers_where_from() -> None:
    columns = changed_columns(Standing(R.BURNED), F.HOLD_PLACED, {}, now_utc=START_UTC)
    assert (R.HELD, R.BURNED) == (columns["status"], columns["back_to"])


def test_changed_columns__of_a_fact_that_writes_no_such_column__is_refused() -> None:
    with pytest.raises(AssertionError, match="payment_final does not write"):
        changed_columns(
            Standing(R.PAID, R.SETTLING),
            F.PAYMENT_FINAL,
            {"payout_base_units": 1},
            now_utc=START_UTC,
        )


def test_changed_columns__illegal_fact__breaks() -> None:
    with pytest.raises(InvariantBroken):
        changed_columns(Standing(R.SETTLED), F.PAYMENT_MINED, {}, now_utc=START_UTC)


def test_changed_columns__found_payment__has_no_price_of_an_earlier_plan() -> None:
    columns = changed_columns(
        Standing(R.APPROVED), F.FOUND_SETTLED, {"payout_base_units": 7}, now_utc=START_UTC
    )
    assert (7, None, None, START_UTC) == (
        columns["payout_base_units"],
        columns["fee_base_units"],
        columns["gross_base_units"],
        columns["settled_at_utc"],
    )


def test_columns__every_fact__are_given_stamped_or_cleared_once() -> None:
    for columns in COLUMNS.values():
        assert not columns.given & columns.cleared
        assert not (columns.given | columns.cleared) & columns.stamped
