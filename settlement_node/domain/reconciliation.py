"""(book, chain) → breaks. Both sides are plain values over the same range of final blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from settlement_node.domain.breaks import (
    AmountsDiffer,
    BookedNotPaid,
    BreakKind,
    BurnTransfersDiffer,
    DoublePaid,
    FundBreak,
    PaidButNotBooked,
    PaidNotInBook,
    Parties,
    PayoutTransfersDiffer,
    PriceDiffers,
    SupplyDiffers,
    TreasuryDiffers,
)
from settlement_node.domain.found import Judgement
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import (
    BurnStyle,
    RedemptionSettledEvent,
    TransferEvent,
)
from settlement_node.units import ZERO_ADDRESS, Address, Hex32, Payout, Shares


@dataclass(frozen=True, slots=True)
class BookEntry:
    """A redemption as the book has it. `booked_paid` says that it is booked as paid within the
    range, `is_own_payment` that a settlement of this book paid it there."""

    redemption_id_hex: Hex32
    status: RedemptionStatus
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    payout_base_units: Payout | None
    booked_paid: bool
    is_own_payment: bool


@dataclass(frozen=True, slots=True)
class ChainRange:
    """What the chain shows in a range of blocks (from, to]. `treasury_transfers` are the payout
    token's transfers into and out of the treasury; the balances are at the range's ends, None
    where a figure is not known."""

    events: Sequence[RedemptionSettledEvent]
    treasury_transfers: Sequence[TransferEvent]
    share_transfers: Sequence[TransferEvent]
    supply_before_base_units: int | None
    supply_after_base_units: int | None
    treasury_before_base_units: int | None
    treasury_after_base_units: int | None


@dataclass(frozen=True, slots=True)
class FundAddresses:
    """Which addresses play which part."""

    fund_id: str
    treasury_address: Address
    settler_addresses: frozenset[Address]
    burn_style: BurnStyle


BOOKED_AS_PAID = frozenset({RedemptionStatus.PAID, RedemptionStatus.SETTLED})
EXPLAINED_BY_BOOKING = frozenset({BreakKind.PAID_NOT_IN_BOOK, BreakKind.PAID_BUT_NOT_BOOKED})
"""Breaks that are over once the book has the payment too."""
EXPLAINED_BY_EVENT = frozenset({BreakKind.BOOKED_NOT_PAID})
"""Breaks that are over once the chain shows the payment too."""


def compare(
    fund: FundAddresses,
    book: Mapping[Hex32, BookEntry],
    chain: ChainRange,
    *,
    times_settled: Mapping[Hex32, int],
    judgements: Mapping[Hex32, Judgement],
    is_first_run: bool,
) -> list[FundBreak]:
    """Every difference, money first. `times_settled` counts settled events over all history;
    `judgements` has each redemption that was paid by no settlement of this book. On the first run
    payments the book never heard of are history and stop nothing."""
    return [
        *_events_against_book(book, chain, times_settled, judgements, is_first_run=is_first_run),
        *_book_against_events(book, chain),
        *_events_against_transfers(fund, chain),
        *_totals(fund, chain),
    ]


def _events_against_book(
    book: Mapping[Hex32, BookEntry],
    chain: ChainRange,
    times_settled: Mapping[Hex32, int],
    judgements: Mapping[Hex32, Judgement],
    *,
    is_first_run: bool,
) -> Iterable[FundBreak]:
    for event in chain.events:
        redemption_id, at = event.redemption_id_hex, event.place.transaction_hash
        times = times_settled.get(redemption_id, 1)
        if times > 1:
            yield DoublePaid(redemption_id, times, at)
        entry = book.get(redemption_id)
        if entry is None:
            yield PaidNotInBook(
                redemption_id, event.payee_address, event.payout_base_units, at, is_first_run
            )
            continue
        if entry.status not in BOOKED_AS_PAID:
            yield PaidButNotBooked(redemption_id, entry.status, at)
        ordered, happened = _ordered(entry, event), _happened(event)
        if ordered != happened:
            yield AmountsDiffer(redemption_id, ordered, happened, at)
        judgement = judgements.get(redemption_id)
        if judgement is not None:
            yield from price_difference(
                redemption_id,
                judgement,
                paid_base_units=event.payout_base_units,
                transaction_hash=at,
            )


def price_difference(
    redemption_id: Hex32,
    judgement: Judgement,
    *,
    paid_base_units: Payout,
    transaction_hash: Hex32,
) -> Iterable[PriceDiffers]:
    """The break of a found payment that our own would not have been; none where it is right."""
    if judgement.fault is not None:
        expected, fault = judgement.expected_base_units, judgement.fault
        yield PriceDiffers(redemption_id, expected, paid_base_units, fault, transaction_hash)


def _ordered(entry: BookEntry, event: RedemptionSettledEvent) -> Parties:
    return Parties(
        entry.investor_address,
        entry.payee_address,
        entry.shares_base_units,
        # One that was never priced has no payout to compare; that it was paid is told apart.
        event.payout_base_units if entry.payout_base_units is None else entry.payout_base_units,
    )


def _happened(event: RedemptionSettledEvent) -> Parties:
    return Parties(
        event.investor_address,
        event.payee_address,
        event.shares_base_units,
        event.payout_base_units,
    )


def is_explained(entry: BookEntry, event: RedemptionSettledEvent) -> bool:
    """Whether book and chain tell the same of one payment now: the book has it as settled, with the
    very figures of the event. A break that says one of them lacks it is over then."""
    settled = entry.status is RedemptionStatus.SETTLED
    return settled and _ordered(entry, event) == _happened(event)


def _book_against_events(book: Mapping[Hex32, BookEntry], chain: ChainRange) -> Iterable[FundBreak]:
    paid = {event.redemption_id_hex for event in chain.events}
    for entry in book.values():
        if entry.booked_paid and entry.redemption_id_hex not in paid:
            yield BookedNotPaid(entry.redemption_id_hex)


def _events_against_transfers(fund: FundAddresses, chain: ChainRange) -> Iterable[FundBreak]:
    """Events may lie about payee and amount; the tokens' own transfers are compared with them,
    transaction by transaction, as multisets."""
    transactions = {event.place.transaction_hash for event in chain.events}
    paid_by_event: dict[Hex32, Counter[tuple[Address, int]]] = {h: Counter() for h in transactions}
    burned_by_event: dict[Hex32, Counter[tuple[Address, int]]] = {
        h: Counter() for h in transactions
    }
    for event in chain.events:
        at = event.place.transaction_hash
        paid_by_event[at][(event.payee_address, event.payout_base_units)] += 1
        holder = (
            event.place.settler_address
            if fund.burn_style is BurnStyle.ESCROW
            else event.investor_address
        )
        burned_by_event[at][(holder, event.shares_base_units)] += 1
    paid: dict[Hex32, Counter[tuple[Address, int]]] = {h: Counter() for h in transactions}
    for move in chain.treasury_transfers:
        if move.from_address == fund.treasury_address and move.transaction_hash in paid:
            paid[move.transaction_hash][(move.to_address, move.value_base_units)] += 1
    burned: dict[Hex32, Counter[tuple[Address, int]]] = {h: Counter() for h in transactions}
    for move in chain.share_transfers:
        if move.to_address == ZERO_ADDRESS and move.transaction_hash in burned:
            burned[move.transaction_hash][(move.from_address, move.value_base_units)] += 1
    for kind, by_event, by_transfer in (
        (PayoutTransfersDiffer, paid_by_event, paid),
        (BurnTransfersDiffer, burned_by_event, burned),
    ):
        for at in sorted(transactions):
            missing, extra = by_event[at] - by_transfer[at], by_transfer[at] - by_event[at]
            if missing or extra:
                yield kind(at, _listed(missing), _listed(extra))


def _listed(moves: Counter[tuple[Address, int]]) -> tuple[tuple[int, int, Address], ...]:
    return tuple((count, value, who) for (who, value), count in sorted(moves.items()))


def net_flow(moves: Iterable[TransferEvent], account: Address) -> int:
    """What the transfers move into an account less what they move out of it, in base units."""
    return sum(
        move.value_base_units * ((move.to_address == account) - (move.from_address == account))
        for move in moves
    )


def _totals(fund: FundAddresses, chain: ChainRange) -> Iterable[FundBreak]:
    before, after = chain.supply_before_base_units, chain.supply_after_base_units
    change = -net_flow(chain.share_transfers, ZERO_ADDRESS)
    if before is not None and after is not None and before + change != after:
        yield SupplyDiffers(fund.fund_id, before + change, after)
    before, after = chain.treasury_before_base_units, chain.treasury_after_base_units
    change = net_flow(chain.treasury_transfers, fund.treasury_address)
    if before is not None and after is not None and before + change != after:
        yield TreasuryDiffers(fund.fund_id, before + change, after)
