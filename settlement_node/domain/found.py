"""Judging a found payment: one that the chain shows and no settlement of this book made.

It is right only if this book could have made it: at the price of terms that held while the order
waited, and not before its settlement date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from settlement_node.domain.redemption import Priced, PriceTerms, price_redemption
from settlement_node.units import Payout, Shares

CLOCK_SKEW_MAX = timedelta(minutes=15)
"""How far a block's time may be from the database's. Dates and prices are kept by the database,
and a block's time is its proposer's word."""


@dataclass(frozen=True, slots=True)
class PastTerms:
    """Terms of a fund and since when they held, by database time; until the next ones did."""

    valid_from_utc: datetime
    terms: PriceTerms


@dataclass(frozen=True, slots=True)
class FoundPayment:
    """What is judged. `waited_from_utc` is when the order could first be planned as far as this
    book knows, later than the payment where a lost order was entered again; `paid_at_utc` is the
    block's time, None where it is not known."""

    shares_base_units: Shares
    payout_base_units: Payout
    waited_from_utc: datetime
    settle_after_utc: datetime | None
    paid_at_utc: datetime | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`expected_base_units` is what our own payment would have been: the very payout if that is
    right, else the payout at the last terms of its time; None where nothing says it. `fault` is
    what is wrong, in words; None for a payment as our own would be."""

    expected_base_units: Payout | None
    fault: str | None


def judge(payment: FoundPayment, history: Sequence[PastTerms]) -> Judgement:
    """Judge by the fund's terms, oldest first.

    The first terms a book knows also hold for all time before them: a book that was lost and begun
    again knows no others. What cannot be judged is at fault.
    """
    if payment.paid_at_utc is None:
        return Judgement(None, "the time of its block is not known, so nothing says its price")
    if not history:
        return Judgement(None, "the fund never had a price by which it could be judged")
    payouts = _payouts(payment, payment.paid_at_utc, history)
    paid = payment.payout_base_units
    expected = paid if paid in payouts else payouts[-1]
    date = payment.settle_after_utc
    if date is not None and payment.paid_at_utc + CLOCK_SKEW_MAX < date:
        return Judgement(
            expected, f"it was paid at {payment.paid_at_utc}, before its settlement date {date}"
        )
    if expected != paid:
        return Judgement(expected, "no terms of the fund of its time give this payout")
    return Judgement(expected, None)


def _payouts(
    payment: FoundPayment, paid_at_utc: datetime, history: Sequence[PastTerms]
) -> list[Payout | None]:
    """The payouts at all terms that held while the order waited, oldest first; None at terms by
    which it could not have been paid at all."""
    first = min(payment.waited_from_utc, paid_at_utc) - CLOCK_SKEW_MAX
    last = paid_at_utc + CLOCK_SKEW_MAX
    until = [*(later.valid_from_utc for later in history[1:]), None]
    held = [
        past.terms
        for number, (past, end) in enumerate(zip(history, until, strict=True))
        if (number == 0 or past.valid_from_utc <= last) and (end is None or end > first)
    ]
    payouts: list[Payout | None] = []
    for terms in held:
        price = price_redemption(payment.shares_base_units, terms)
        payouts.append(price.payout_base_units if isinstance(price, Priced) else None)
    return payouts
