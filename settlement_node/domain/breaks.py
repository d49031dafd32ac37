"""Breaks: where book and chain differ. Each kind is a type of its own; `lane_breaks` has a lane's.

A break's fields are what programs act by. Its words are what people read, written beside them as
templates over the break itself; docs/runbook.md has a section for each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.units import Address, Hex32, Payout, Shares


class BreakKind(StrEnum):
    """Every kind of break."""

    DOUBLE_PAID = "double_paid"
    PAID_NOT_IN_BOOK = "paid_not_in_book"
    PAID_BUT_NOT_BOOKED = "paid_but_not_booked"
    AMOUNTS_DIFFER = "amounts_differ"
    PRICE_DIFFERS = "price_differs"
    BOOKED_NOT_PAID = "booked_not_paid"
    PAYOUT_TRANSFERS_DIFFER = "payout_transfers_differ"
    BURN_TRANSFERS_DIFFER = "burn_transfers_differ"
    SUPPLY_DIFFERS = "supply_differs"
    TREASURY_DIFFERS = "treasury_differs"
    RATCHET_GAP = "ratchet_gap"
    REORGANISATION_BEYOND_FINALITY = "reorganisation_beyond_finality"
    STRANGER_AT_NONCE = "stranger_at_nonce"
    UNKNOWN_BATCH = "unknown_batch"
    BOOK_WAS_BEHIND = "book_was_behind"
    NONCE_LOST = "nonce_lost"
    INVARIANT_BROKEN = "invariant_broken"


@dataclass(frozen=True, slots=True)
class Break:
    """One break. The templates tell what was expected, what there is instead, and what that means.
    A money break stops planning for its fund, or its lane, until a person resolves it."""

    kind: ClassVar[BreakKind]
    subject_template: ClassVar[str]
    expected_template: ClassVar[str] = ""
    actual_template: ClassVar[str] = ""
    detail_template: ClassVar[str]

    @property
    def is_money(self) -> bool:
        """Whether money is in doubt."""
        return True

    @property
    def subject(self) -> str:
        """What it concerns; with the kind it makes the open break unique."""
        return self.subject_template.format(self=self)

    def words(self) -> dict[str, str]:
        """`expected`, `actual` and `detail`, for people."""
        return {
            "expected": self.expected_template.format(self=self),
            "actual": self.actual_template.format(self=self),
            "detail": self.detail_template.format(self=self),
        }


class FundBreak(Break):
    """A break of one fund."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RedemptionBreak(FundBreak):
    """A break about one redemption."""

    subject_template = "{self.redemption_id_hex}"
    redemption_id_hex: Hex32


@dataclass(frozen=True, slots=True)
class DoublePaid(RedemptionBreak):
    """The settlers settled it more than once."""

    kind = BreakKind.DOUBLE_PAID
    expected_template = "settled once"
    actual_template = "settled {self.times_settled} times"
    detail_template = (
        "the settlers settled this redemption more than once, last in transaction"
        " {self.transaction_hash}"
    )
    times_settled: int
    transaction_hash: Hex32


@dataclass(frozen=True, slots=True)
class PaidNotInBook(RedemptionBreak):
    """The chain paid what the book does not know; no matter of money before the book began."""

    kind = BreakKind.PAID_NOT_IN_BOOK
    expected_template = "a redemption in the book"
    actual_template = "{self.payout_base_units} paid to {self.payee_address}"
    detail_template = (
        "the chain paid a redemption the book does not know, in transaction {self.transaction_hash}"
    )
    payee_address: Address
    payout_base_units: Payout
    transaction_hash: Hex32
    is_history: bool

    @property
    def is_money(self) -> bool:
        """Not where it was paid before the book began."""
        return not self.is_history


@dataclass(frozen=True, slots=True)
class PaidButNotBooked(RedemptionBreak):
    """The chain paid what the book has as not paid."""

    kind = BreakKind.PAID_BUT_NOT_BOOKED
    expected_template = "{self.booked_status.value}"
    actual_template = "paid"
    detail_template = (
        "the chain paid this redemption in transaction {self.transaction_hash}, the book has it as"
        " {self.booked_status.value}"
    )
    booked_status: RedemptionStatus
    transaction_hash: Hex32


@dataclass(frozen=True, slots=True)
class Parties:
    """Who parts with what, and who is paid what, for one redemption."""

    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    payout_base_units: Payout

    def __str__(self) -> str:
        return (
            f"{self.shares_base_units} shares of {self.investor_address},"
            f" {self.payout_base_units} paid to {self.payee_address}"
        )


@dataclass(frozen=True, slots=True)
class AmountsDiffer(RedemptionBreak):
    """The chain paid it otherwise than the book has it ordered."""

    kind = BreakKind.AMOUNTS_DIFFER
    expected_template = "{self.ordered}"
    actual_template = "{self.happened}"
    detail_template = (
        "the chain paid this redemption otherwise than it was ordered, in transaction"
        " {self.transaction_hash}"
    )
    ordered: Parties
    happened: Parties
    transaction_hash: Hex32


@dataclass(frozen=True, slots=True)
class PriceDiffers(RedemptionBreak):
    """A found payment that our own would not have been; nothing may say what would be right."""

    kind = BreakKind.PRICE_DIFFERS
    expected_template = "{self.expected_words}"
    actual_template = "a payout of {self.paid_base_units}"
    detail_template = (
        "paid by no settlement of this book, in transaction {self.transaction_hash}: {self.fault}"
    )
    expected_base_units: Payout | None
    paid_base_units: Payout
    fault: str
    transaction_hash: Hex32

    @property
    def expected_words(self) -> str:
        """The payout that would be right, where anything says it."""
        known = self.expected_base_units
        return "no payout is known" if known is None else f"a payout of {known}"


@dataclass(frozen=True, slots=True)
class BookedNotPaid(RedemptionBreak):
    """The book has a payment that the settlers' events do not show."""

    kind = BreakKind.BOOKED_NOT_PAID
    expected_template = "a settled event"
    actual_template = "none"
    detail_template = "the book has this redemption as paid in these blocks, the settlers do not"


@dataclass(frozen=True, slots=True)
class TransfersDiffer(FundBreak):
    """A settler's events and a token's transfers tell different things of one transaction:
    `missing` are the events' without a transfer, `extra` the transfers without an event, each as
    how often, how many base units, and who was paid or parted with them."""

    subject_template = "{self.transaction_hash}"
    expected_template = "{self.missing_words}"
    actual_template = "{self.extra_words}"
    transaction_hash: Hex32
    missing: tuple[tuple[int, int, Address], ...]
    extra: tuple[tuple[int, int, Address], ...]

    @property
    def missing_words(self) -> str:
        """What the events have alone."""
        return _listed(self.missing)

    @property
    def extra_words(self) -> str:
        """What the transfers have alone."""
        return _listed(self.extra)


def _listed(moves: tuple[tuple[int, int, Address], ...]) -> str:
    return ", ".join(f"{n}×{value} {who}" for n, value, who in moves) or "nothing more"


class PayoutTransfersDiffer(TransfersDiffer):
    """Of the payout token, with payees."""

    __slots__ = ()
    kind = BreakKind.PAYOUT_TRANSFERS_DIFFER
    detail_template = "the settler's events and the token's transfers tell different payouts"


class BurnTransfersDiffer(TransfersDiffer):
    """Of the share token, with holders."""

    __slots__ = ()
    kind = BreakKind.BURN_TRANSFERS_DIFFER
    detail_template = "the settler's events and the token's transfers tell different burns"


@dataclass(frozen=True, slots=True)
class TotalDiffers(FundBreak):
    """A total is not the last reconciled one with its transfers since."""

    subject_template = "{self.fund_id}"
    expected_template = "{self.expected_base_units}"
    actual_template = "{self.actual_base_units}"
    fund_id: str
    expected_base_units: int
    actual_base_units: int


class SupplyDiffers(TotalDiffers):
    """Of the share token's supply."""

    __slots__ = ()
    kind = BreakKind.SUPPLY_DIFFERS
    detail_template = "the share token's supply is not what its mints and burns make it"


class TreasuryDiffers(TotalDiffers):
    """Of the treasury's balance of the payout token."""

    __slots__ = ()
    kind = BreakKind.TREASURY_DIFFERS
    detail_template = "the treasury's balance is not what its transfers make it"


@dataclass(frozen=True, slots=True)
class RatchetGap(FundBreak):
    """A settler's batches do not follow one another in the events that were read."""

    kind = BreakKind.RATCHET_GAP
    subject_template = "{self.batch_hash}"
    expected_template = "{self.expected_previous_hash}"
    actual_template = "{self.previous_hash}"
    detail_template = (
        "a batch of settler {self.settler_address} does not follow the one before it: an endpoint"
        " left out events"
    )
    settler_address: Address
    batch_hash: Hex32
    expected_previous_hash: Hex32
    previous_hash: Hex32
