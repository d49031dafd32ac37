"""Every way in which book and chain can differ is a break, and agreement is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from settlement_node.domain.breaks import FundBreak
from settlement_node.domain.found import Judgement
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import (
    BurnStyle,
    RedemptionSettledEvent,
    TransferEvent,
)
from settlement_node.domain.reconciliation import (
    BookEntry,
    ChainRange,
    FundAddresses,
    compare,
    is_explained,
)
from settlement_node.units import ZERO_ADDRESS, Address, Hex32, Payout, Shares
from tests_support.book import address, hash32, place

TREASURY = address("treasury")
SETTLER = place(20).settler_address
FUND = FundAddresses(
    fund_id="alpha",
    treasury_address=TREASURY,
    settler_addresses=frozenset({SETTLER}),
    burn_style=BurnStyle.BURN,
)


def entry(name: str, **changes: Any) -> BookEntry:
    plain = BookEntry(
        redemption_id_hex=hash32(name),
        status=RedemptionStatus.SETTLED,
        investor_address=address(f"investor {name}"),
        payee_address=address(f"payee {name}"),
        shares_base_units=Shares(10),
        payout_base_units=Payout(7),
        booked_paid=True,
        is_own_payment=True,
    )
    return dataclasses.replace(plain, **changes)


def event(name: str, **changes: Any) -> RedemptionSettledEvent:
    plain = RedemptionSettledEvent(
        place=place(20),
        redemption_id_hex=hash32(name),
        redemption_index=0,
        investor_address=address(f"investor {name}"),
        payee_address=address(f"payee {name}"),
        shares_base_units=Shares(10),
        payout_base_units=Payout(7),
    )
    return dataclasses.replace(plain, **changes)


def move(from_address: Address, to_address: Address, value: int, at: int = 20) -> TransferEvent:
    return TransferEvent(
        token_address=address("token"),
        from_address=from_address,
        to_address=to_address,
        value_base_units=value,
        block_number=at,
        block_hash=place(at).block_hash,
        transaction_hash=place(at).transaction_hash,
        log_index=0,
    )


def seen(events: Sequence[RedemptionSettledEvent], **changes: Any) -> ChainRange:
    """What an honest chain shows for these events."""
    plain = ChainRange(
        events=events,
        treasury_transfers=[
            move(TREASURY, e.payee_address, e.payout_base_units, e.place.block_number)
            for e in events
        ],
        share_transfers=[
            move(e.investor_address, ZERO_ADDRESS, e.shares_base_units, e.place.block_number)
            for e in events
        ],
        supply_before_base_units=1_000,
        supply_after_base_units=1_000 - sum(e.shares_base_units for e in events),
        treasury_before_base_units=500,
        treasury_after_base_units=500 - sum(e.payout_base_units for e in events),
    )
    return dataclasses.replace(plain, **changes)


def differences(
    book: Sequence[BookEntry],
    chain: ChainRange,
    *,
    fund: FundAddresses = FUND,
    times_settled: dict[Hex32, int] | None = None,
    judgements: dict[Hex32, Judgement] | None = None,
    is_first_run: bool = False,
) -> list[FundBreak]:
    return compare(
        fund,
        {e.redemption_id_hex: e for e in book},
        chain,
        times_settled=times_settled or {},
        judgements=judgements or {},
        is_first_run=is_first_run,
    )


def kinds(found: Sequence[FundBreak]) -> list[str]:
    return [difference.kind for difference in found]


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c"]], ids=len)
def test_compare__book_and_chain_agree__is_nothing(names: list[str]) -> None:
    assert differences([entry(n) for n in names], seen([event(n) for n in names])) == []


def test_compare__first_run_without_earlier_figures__compares_no_totals() -> None:
    chain = seen([], supply_before_base_units=None, treasury_before_base_units=None)
    assert differences([], chain, is_first_run=True) == []


@pytest.mark.parametrize("is_first_run", [False, True])
def test_compare__payment_the_book_never_heard_of__stops_unless_it_is_history(
    is_first_run: bool,
) -> None:
    found = differences([], seen([event("a")]), is_first_run=is_first_run)
    assert [("paid_not_in_book", hash32("a"), not is_first_run)] == [
        (d.kind, d.subject, d.is_money) for d in found
    ]


def test_compare__settled_twice_on_the_chain__is_a_double_payment() -> None:
    found = differences([entry("a")], seen([event("a")]), times_settled={hash32("a"): 2})
    assert [("double_paid", True)] == [(d.kind, d.is_money) for d in found]


@pytest.mark.parametrize(
    "status", sorted(set(RedemptionStatus) - {RedemptionStatus.PAID, RedemptionStatus.SETTLED})
)
def test_compare__chain_paid_what_the_book_has_otherwise__is_a_break(
    status: RedemptionStatus,
) -> None:
    found = differences([entry("a", status=status, booked_paid=False)], seen([event("a")]))
    assert kinds(found) == ["paid_but_not_booked"]
    words = found[0].words()
    assert (status.value, "paid") == (words["expected"], words["actual"])


@pytest.mark.parametrize(
    "change",
    [
        {"payee_address": address("thief")},
        {"investor_address": address("other")},
        {"shares_base_units": Shares(11)},
        {"payout_base_units": Payout(8)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_compare__event_names_another_party_or_amount__is_a_break(change: dict[str, Any]) -> None:
    found = differences([entry("a")], seen([event("a", **change)]))
    assert kinds(found) == ["amounts_differ"]


def test_compare__booked_as_paid_without_an_event__is_a_break() -> None:
    assert kinds(differences([entry("a")], seen([]))) == ["booked_not_paid"]


def test_compare__paid_in_another_range__is_no_break_of_this_one() -> None:
    assert differences([entry("a", booked_paid=False)], seen([])) == []


@pytest.mark.parametrize(
    "transfers",
    [
        [],
        [move(TREASURY, address("payee a"), 6)],
        [move(TREASURY, address("thief"), 7)],
        [move(TREASURY, address("payee a"), 7), move(TREASURY, address("thief"), 7)],
        [move(TREASURY, address("payee a"), 7, at=21)],
    ],
    ids=["no transfer", "less", "another payee", "one more", "another transaction"],
)
def test_compare__event_lies_about_the_payout__transfers_tell(
    transfers: list[TransferEvent],
) -> None:
    chain = seen(
        [event("a")],
        treasury_transfers=transfers,
        treasury_after_base_units=500 - sum(m.value_base_units for m in transfers),
    )
    assert kinds(differences([entry("a")], chain)) == ["payout_transfers_differ"]


def test_compare__event_lies_about_the_burn__transfers_tell() -> None:
    chain = seen([event("a")], share_transfers=[], supply_after_base_units=1_000)
    assert kinds(differences([entry("a")], chain)) == ["burn_transfers_differ"]


def test_compare__same_payee_and_amount_twice__needs_two_transfers() -> None:
    twice = [event("a"), event("b", payee_address=address("payee a"))]
    book = [entry("a"), entry("b", payee_address=address("payee a"))]
    once = [move(TREASURY, address("payee a"), 7)]
    assert differences(book, seen(twice)) == []
    chain = seen(twice, treasury_transfers=once, treasury_after_base_units=493)
    assert kinds(differences(book, chain)) == ["payout_transfers_differ"]


def test_compare__escrow__burns_from_the_settler() -> None:
    fund = dataclasses.replace(FUND, burn_style=BurnStyle.ESCROW)
    escrowed = [move(SETTLER, ZERO_ADDRESS, 10)]
    assert differences([entry("a")], seen([event("a")], share_transfers=escrowed), fund=fund) == []
    assert kinds(differences([entry("a")], seen([event("a")]), fund=fund)) == [
        "burn_transfers_differ"
    ]


def test_compare__other_moves_of_treasury_and_shares__are_no_business_of_ours() -> None:
    chain = seen(
        [event("a")],
        treasury_transfers=[
            move(TREASURY, address("payee a"), 7),
            move(TREASURY, address("bank"), 100, at=30),
            move(address("bank"), TREASURY, 40, at=31),
        ],
        share_transfers=[
            move(address("investor a"), ZERO_ADDRESS, 10),
            move(ZERO_ADDRESS, address("new investor"), 5, at=32),
            move(address("x"), address("y"), 3, at=33),
        ],
        supply_after_base_units=995,
        treasury_after_base_units=433,
    )
    assert differences([entry("a")], chain) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"supply_after_base_units": 991}, "supply_differs"),
        ({"treasury_after_base_units": 492}, "treasury_differs"),
    ],
)
def test_compare__total_is_not_what_its_transfers_make_it__is_a_break(
    changes: dict[str, int], kind: str
) -> None:
    found = differences([entry("a")], seen([event("a")], **changes))
    assert [(kind, "alpha", True)] == [(d.kind, d.subject, d.is_money) for d in found]


def test_compare__found_payment_at_another_price__is_a_money_break() -> None:
    """Book and event agree, since the book took its payout from the event."""
    found = differences(
        [entry("a", is_own_payment=False)],
        seen([event("a")]),
        judgements={hash32("a"): Judgement(Payout(9), "no terms give it")},
    )
    assert [("price_differs", True, "a payout of 9", "a payout of 7")] == [
        (d.kind, d.is_money, d.words()["expected"], d.words()["actual"]) for d in found
    ]


def test_compare__found_payment_as_our_own_would_be__is_nothing() -> None:
    right = {hash32("a"): Judgement(Payout(7), None)}
    assert differences([entry("a")], seen([event("a")]), judgements=right) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"status": RedemptionStatus.PAID}, False),
        ({"status": RedemptionStatus.CANCELLED}, False),
        ({"payee_address": address("another")}, False),
        ({"shares_base_units": Shares(11)}, False),
        ({"payout_base_units": Payout(8)}, False),
    ],
    ids=["the same", "not final", "cancelled", "another payee", "other shares", "another payout"],
)
def test_is_explained__book_and_event__only_when_both_tell_the_same(
    changes: dict[str, Any], expected: bool
) -> None:
    assert is_explained(entry("a", **changes), event("a")) is expected
