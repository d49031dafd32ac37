"""Book and chain side by side: every difference is named, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import (
    BurnStyle,
    EventPlace,
    RedemptionSettledEvent,
    TransferEvent,
)
from settlement_node.domain.reconciliation import (
    BookEntry,
    ChainRange,
    FundAddresses,
    compare,
)
from settlement_node.units import ZERO_ADDRESS, Address, Hex32, Payout, Shares

TREASURY = Address("0x" + "11" * 20)
SETTLER = Address("0x" + "22" * 20)
INVESTOR = Address("0x" + "33" * 20)
PAYEE = Address("0x" + "44" * 20)
TOKEN = Address("0x" + "55" * 20)
ID = Hex32("0x" + "aa" * 32)
AT = Hex32("0x" + "bb" * 32)
FUND = FundAddresses("f", TREASURY, frozenset({SETTLER}), BurnStyle.BURN)
EVENT = RedemptionSettledEvent(
    EventPlace(SETTLER, 10, Hex32("0x" + "cc" * 32), AT, 3),
    ID,
    0,
    INVESTOR,
    PAYEE,
    Shares(70),
    Payout(500),
)
ENTRY = BookEntry(
    ID, RedemptionStatus.SETTLED, INVESTOR, PAYEE, Shares(70), Payout(500), booked_paid=True
)


def transfer(sender: Address, recipient: Address, value: int) -> TransferEvent:
    return TransferEvent(TOKEN, sender, recipient, value, 10, Hex32("0x" + "cc" * 32), AT, 1)


GOOD = ChainRange(
    events=(EVENT,),
    treasury_transfers=(transfer(TREASURY, PAYEE, 500),),
    share_transfers=(transfer(INVESTOR, ZERO_ADDRESS, 70),),
    supply_before_base_units=1_000,
    supply_after_base_units=930,
    treasury_before_base_units=9_000,
    treasury_after_base_units=8_500,
)


def kinds(
    book: dict[Hex32, BookEntry],
    chain: ChainRange,
    *,
    times: int = 1,
    first: bool = False,
    fund: FundAddresses = FUND,
) -> list[tuple[str, bool]]:
    found = compare(fund, book, chain, times_settled={ID: times}, is_first_run=first)
    return [(d.kind, d.is_money) for d in found]


def test_compare__all_alike__finds_nothing() -> None:
    assert [] == kinds({ID: ENTRY}, GOOD)


def test_compare__settled_twice_on_the_chain__is_double_paid() -> None:
    assert [("double_paid", True)] == kinds({ID: ENTRY}, GOOD, times=2)


def test_compare__unknown_to_the_book__is_a_money_break() -> None:
    assert [("paid_not_in_book", True)] == kinds({}, GOOD)


def test_compare__unknown_to_the_book_at_the_first_run__is_history() -> None:
    assert [("paid_not_in_book", False)] == kinds({}, GOOD, first=True)


def test_compare__paid_on_the_chain_and_cancelled_in_the_book__is_a_break() -> None:
    entry = replace(ENTRY, status=RedemptionStatus.CANCELLED, booked_paid=False)
    assert [("paid_but_not_booked", True)] == kinds({ID: entry}, GOOD)


def test_compare__other_payout_in_the_book__is_a_break() -> None:
    entry = replace(ENTRY, payout_base_units=Payout(501))
    assert [("amounts_differ", True)] == kinds({ID: entry}, GOOD)


def test_compare__booked_as_paid_without_an_event__is_a_break() -> None:
    chain = replace(
        GOOD,
        events=(),
        treasury_transfers=(),
        share_transfers=(),
        supply_after_base_units=1_000,
        treasury_after_base_units=9_000,
    )
    assert [("booked_not_paid", True)] == kinds({ID: ENTRY}, chain)


def test_compare__event_lies_about_the_payee__the_transfers_tell() -> None:
    chain = replace(GOOD, treasury_transfers=(transfer(TREASURY, INVESTOR, 500),))
    assert [("payout_transfers_differ", True)] == kinds({ID: ENTRY}, chain)


def test_compare__event_without_a_burn__the_transfers_tell() -> None:
    chain = replace(GOOD, share_transfers=(), supply_after_base_units=1_000)
    assert [("burn_transfers_differ", True)] == kinds({ID: ENTRY}, chain)


def test_compare__second_payout_in_the_same_transaction__the_transfers_tell() -> None:
    chain = replace(
        GOOD,
        treasury_transfers=(transfer(TREASURY, PAYEE, 500), transfer(TREASURY, PAYEE, 500)),
        treasury_after_base_units=8_000,
    )
    assert [("payout_transfers_differ", True)] == kinds({ID: ENTRY}, chain)


def test_compare__treasury_moves_of_other_transactions__are_its_own_business() -> None:
    other = replace(transfer(TREASURY, PAYEE, 40), transaction_hash=Hex32("0x" + "dd" * 32))
    chain = replace(
        GOOD,
        treasury_transfers=(*GOOD.treasury_transfers, other),
        treasury_after_base_units=8_460,
    )
    assert [] == kinds({ID: ENTRY}, chain)


def test_compare__supply_not_what_mints_and_burns_make__is_a_break() -> None:
    chain = replace(GOOD, supply_after_base_units=931)
    assert [("supply_differs", True)] == kinds({ID: ENTRY}, chain)


def test_compare__treasury_not_what_transfers_make__is_a_break() -> None:
    chain = replace(GOOD, treasury_after_base_units=8_499)
    assert [("treasury_differs", True)] == kinds({ID: ENTRY}, chain)


def test_compare__no_earlier_figures__totals_are_not_judged() -> None:
    chain = replace(
        GOOD,
        supply_before_base_units=None,
        treasury_before_base_units=None,
        supply_after_base_units=1,
        treasury_after_base_units=1,
    )
    assert [] == kinds({ID: ENTRY}, chain)


def test_compare__escrow_style__the_settler_burns_what_it_pulled() -> None:
    fund = replace(FUND, burn_style=BurnStyle.ESCROW)
    chain = replace(GOOD, share_transfers=(transfer(SETTLER, ZERO_ADDRESS, 70),))
    assert [] == kinds({ID: ENTRY}, chain, fund=fund)
