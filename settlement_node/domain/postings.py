"""What a fact means for the book beside the next status: the ledger and the columns.

The ledger follows from where an order stands. `BOOKED` says for every standing which lines the
ledger holds of an order; a fact posts the difference between where it stood and where it stands
now. So the ledger balances along every path, and what is taken back is what was booked.

Audit and event follow from the names: the action is the fact's word, the topic
`redemption.<status>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

from settlement_node.domain.lifecycle import (
    HELD_FROM_APPROVED,
    HELD_FROM_BURNED,
    PAID_FROM_PAYING,
    PAID_FROM_SETTLING,
    REDEMPTION_ENDED,
    RedemptionFact,
    RedemptionStatus,
    Standing,
    advance_redemption,
)
from settlement_node.units import Payout, Shares


class Account(StrEnum):
    """Accounts of one fund. Shares: outstanding, reserved, burned. Money: the other four."""

    SHARES_OUTSTANDING = "shares_outstanding"
    SHARES_RESERVED = "shares_reserved"
    SHARES_BURNED = "shares_burned"
    CAPITAL_REDEEMED = "capital_redeemed"
    REDEMPTIONS_PAYABLE = "redemptions_payable"
    FEES_RETAINED = "fees_retained"
    TREASURY = "treasury"


class Order(Protocol):
    """An order's amounts, in base units; payout and fee are None before it was ever priced."""

    @property
    def shares_base_units(self) -> Shares:
        """Of the share token."""

    @property
    def payout_base_units(self) -> Payout | None:
        """Of the payout token, what the payee gets."""

    @property
    def fee_base_units(self) -> Payout | None:
        """Of the payout token, what the treasury keeps."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger: an amount of an order, in the debit account and out of the credit
    account for as long as the line is held."""

    debit: Account
    credit: Account
    amount: str
    is_shares: bool = False


@dataclass(frozen=True, slots=True)
class Movement:
    """One posting; of the share token or of the payout token."""

    debit: Account
    credit: Account
    units_base_units: int
    is_shares: bool


_A, _R, _F = Account, RedemptionStatus, RedemptionFact
RESERVED = (Line(_A.SHARES_RESERVED, _A.SHARES_OUTSTANDING, "shares_base_units", is_shares=True),)
OWED = (
    Line(_A.CAPITAL_REDEEMED, _A.REDEMPTIONS_PAYABLE, "payout_base_units"),
    Line(_A.CAPITAL_REDEEMED, _A.FEES_RETAINED, "fee_base_units"),
)
BURNED = (Line(_A.SHARES_BURNED, _A.SHARES_RESERVED, "shares_base_units", is_shares=True),)
PAID = (Line(_A.REDEMPTIONS_PAYABLE, _A.TREASURY, "payout_base_units"),)

BOOKED: Mapping[Standing, tuple[Line, ...]] = MappingProxyType(
    {
        Standing(_R.REQUESTED): RESERVED,
        Standing(_R.APPROVED): RESERVED,
        HELD_FROM_APPROVED: RESERVED,
        Standing(_R.SETTLING): RESERVED + OWED,
        Standing(_R.BURNING): RESERVED + OWED,
        Standing(_R.BURNED): RESERVED + OWED + BURNED,
        HELD_FROM_BURNED: RESERVED + OWED + BURNED,
        Standing(_R.PAYING): RESERVED + OWED + BURNED,
        Standing(_R.RETURNING): RESERVED + OWED + BURNED,
        PAID_FROM_SETTLING: RESERVED + OWED + BURNED + PAID,
        PAID_FROM_PAYING: RESERVED + OWED + BURNED + PAID,
        Standing(_R.SETTLED): RESERVED + OWED + BURNED + PAID,
        **{Standing(status): () for status in REDEMPTION_ENDED - {_R.SETTLED}},
    }
)
"""What the ledger holds of an order that stands there."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that a fact writes beside the status. `given` may come with it, `stamped` gets the
    time of the commit, `cleared` is emptied."""

    given: frozenset[str] = frozenset()
    stamped: frozenset[str] = frozenset()
    cleared: frozenset[str] = frozenset()


HOLD = frozenset({"hold_reason", "hold_detail"})
_PRICE = frozenset({"gross_base_units", "fee_base_units", "payout_base_units", "nav_per_share"})
COLUMNS: Mapping[RedemptionFact, Columns] = MappingProxyType(
    {
        _F.APPROVAL_GIVEN: Columns(stamped=frozenset({"approved_at_utc"})),
        _F.SETTLEMENT_PLANNED: Columns(given=_PRICE),
        _F.BURN_PLANNED: Columns(given=_PRICE),
        _F.HOLD_PLACED: Columns(given=HOLD),
        _F.ITEM_SKIPPED: Columns(given=HOLD),
        _F.HOLD_RELEASED: Columns(cleared=frozenset({"reverted_batch_size"})),
        _F.SETTLEMENT_VOIDED: Columns(given=frozenset({"reverted_batch_size"})),
        _F.PAYMENT_FINAL: Columns(stamped=frozenset({"settled_at_utc"})),
        # The chain's payout; what the fund would have kept of it, the chain does not say.
        _F.FOUND_SETTLED: Columns(
            given=frozenset({"payout_base_units", "found_block_number"}),
            stamped=frozenset({"settled_at_utc"}),
            cleared=_PRICE - {"payout_base_units"},
        ),
    }
)
"""The facts that write any; every fact takes back what was noted that the order waits for, and
one that does not end in `held` the hold."""


def changed_columns(
    standing: Standing, fact: RedemptionFact, given: Mapping[str, Any], *, now_utc: datetime
) -> dict[str, Any]:
    """Every column that the fact writes, with its value. Raises InvariantBroken for a fact that
    must never be."""
    following = advance_redemption(standing, fact)
    columns = COLUMNS.get(fact, Columns())
    assert given.keys() <= columns.given, f"{fact} does not write {given.keys() - columns.given}"
    return {
        "status": following.status,
        "back_to": following.back_to,
        "updated_at_utc": now_utc,
        "waiting_on": None,
        **dict.fromkeys(columns.cleared),
        **dict.fromkeys(columns.stamped, now_utc),
        **({} if following.status is RedemptionStatus.HELD else dict.fromkeys(HOLD)),
        **given,
    }


def movements(
    before: tuple[Standing, Order] | None, after: tuple[Standing, Order]
) -> Iterator[Movement]:
    """What is posted for an order that moved on, or that is new: lines it leaves the other way
    round, at the amounts it had, then those it gets. A line whose amount changed is both; a zero
    (no fee, say) is not posted."""
    left, kept, gained = _difference(None if before is None else before[0], after[0])
    if before is not None:
        changed = [line for line in kept if _units(line, before[1]) != _units(line, after[1])]
        for line in (*left, *changed):
            if units := _units(line, before[1]):
                yield Movement(line.credit, line.debit, units, line.is_shares)
        gained = (*changed, *gained)
    for line in gained:
        if units := _units(line, after[1]):
            yield Movement(line.debit, line.credit, units, line.is_shares)


@cache
def _difference(
    before: Standing | None, after: Standing
) -> tuple[tuple[Line, ...], tuple[Line, ...], tuple[Line, ...]]:
    """The lines left, kept and gained between two standings."""
    was = () if before is None else BOOKED[before]
    now = BOOKED[after]
    return (
        tuple(line for line in was if line not in now),
        tuple(line for line in was if line in now),
        tuple(line for line in now if line not in was),
    )


def _units(line: Line, order: Order) -> int:
    return getattr(order, line.amount) or 0
