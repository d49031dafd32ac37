"""What the book remembers of the chain, and how a reorganisation is undone in it."""

from __future__ import annotations

import threading

import pytest

from settlement_node.domain.observations import RedemptionSkippedEvent, SkipReason
from settlement_node.errors import Transient
from settlement_node.store.book import funds, payments, settlers
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from tests_support.book import (
    CHAIN_ID,
    LANE,
    NEW_FUND,
    add_fund,
    address,
    approve,
    batch_event,
    block,
    hash32,
    place,
    request,
    settled_event,
)

SETTLER = NEW_FUND.settler_address
on_postgresql = pytest.mark.parametrize("database_name", ["postgresql"], indirect=True)
OTHER_LANE = f"{CHAIN_ID}:{address('other lane')}"


def remember(store: Store, first: int, last: int, *, fork: str = "main", lane: str = LANE) -> None:
    with store.transaction(actor="test") as tx:
        chain_book.remember_heads(tx, lane, [block(n, fork=fork) for n in range(first, last + 1)])


def test_remembered_heads__some__are_hashes_by_number(store: Store) -> None:
    remember(store, 5, 8)
    with store.read() as tx:
        assert chain_book.remembered_heads(tx, LANE, from_number=7) == {
            7: block(7).block_hash, 8: block(8).block_hash,
        }  # fmt: skip
        assert chain_book.latest_head(tx, LANE) == (8, block(8).block_hash)


def test_heads__none_remembered__say_so(store: Store) -> None:
    with store.read() as tx:
        assert chain_book.remembered_heads(tx, LANE) == {}
        assert chain_book.latest_head(tx, LANE) is None
        assert chain_book.highest_final(tx, LANE) == -1


def test_mark_final__up_to_a_number__is_remembered_per_lane(store: Store) -> None:
    remember(store, 5, 8)
    remember(store, 5, 8, lane=OTHER_LANE)
    with store.transaction(actor="test") as tx:
        chain_book.mark_final(tx, LANE, up_to_number=6)
    with store.read() as tx:
        assert (6, -1) == tuple(chain_book.highest_final(tx, lane) for lane in (LANE, OTHER_LANE))


def test_forget_heads__from_a_number__makes_room_for_the_other_fork(store: Store) -> None:
    remember(store, 5, 8)
    remember(store, 5, 8, lane=OTHER_LANE)
    with store.transaction(actor="test") as tx:
        chain_book.forget_heads(tx, LANE, from_number=7)
    remember(store, 7, 7, fork="other")
    with store.read() as tx:
        heads = chain_book.remembered_heads(tx, LANE)
        untouched = chain_book.remembered_heads(tx, OTHER_LANE)
    assert heads == {n: block(n, fork="other" if n == 7 else "main").block_hash for n in (5, 6, 7)}
    assert sorted(untouched) == [5, 6, 7, 8]


def test_drop_old_heads__below_a_number__says_how_many(store: Store) -> None:
    remember(store, 5, 8)
    with store.transaction(actor="test") as tx:
        dropped = chain_book.drop_old_heads(tx, LANE, below_number=7)
        assert (2, [7, 8]) == (dropped, sorted(chain_book.remembered_heads(tx, LANE)))


def test_record_events__seen_again__are_not_new(store: Store) -> None:
    rows = request(store, add_fund(store), ["a", "b"])
    events = [settled_event(row, place(20, log_index=n)) for n, row in enumerate(rows)]
    with store.transaction(actor="test") as tx:
        counts = [
            chain_book.record_events(tx, CHAIN_ID, wanted)
            for wanted in (events[:1], events, events, [])
        ]
    assert counts == [1, 1, 0, 0]


def test_settled_events__asked_by_id__are_those_that_paid(store: Store) -> None:
    paid, skipped, _silent = rows = request(store, add_fund(store), ["a", "b", "c"])
    skip = RedemptionSkippedEvent(
        place=place(20, log_index=1),
        redemption_id_hex=skipped.redemption_id,
        redemption_index=2**200,
        skip_reason=SkipReason.BURN_FAILED,
        detail=b"\xff" * 5000,
    )
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, CHAIN_ID, [settled_event(paid, place(20)), skip])
        found = chain_book.settled_events(tx, CHAIN_ID, [row.redemption_id for row in rows])
    assert list(found) == [paid.redemption_id]
    event = found[paid.redemption_id]
    assert (20, 10**18, 1_000_000) == (
        event.block_number, event.shares_base_units, event.payout_base_units,
    )  # fmt: skip


def test_settled_events__of_another_chain__are_not_ours(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, 1, [settled_event(row, place(20))])
        assert chain_book.settled_events(tx, CHAIN_ID, [row.redemption_id]) == {}


def test_ratchet_tip__several_batches__is_the_last_in_chain_order(store: Store) -> None:
    with store.transaction(actor="test") as tx:
        chain_book.record_events(
            tx,
            CHAIN_ID,
            [
                batch_event(place(22, log_index=9), number=3),
                batch_event(place(22, log_index=1), number=2),
                batch_event(place(9), number=1),
                batch_event(place(30, settler_address=address("older")), number=7),
            ],
        )
        tip = chain_book.ratchet_tip(tx, CHAIN_ID, SETTLER)
        none = chain_book.ratchet_tip(tx, CHAIN_ID, address("new"))
    assert tip is not None
    assert (hash32("batch 3"), None) == (tip.batch_hash, none)


def test_batch_event_and_batch_after__either_end_of_a_step__find_it(store: Store) -> None:
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, CHAIN_ID, [batch_event(place(20), number=2)])
        to = chain_book.batch_event(tx, CHAIN_ID, SETTLER, hash32("batch 2"))
        onwards = chain_book.batch_after(tx, CHAIN_ID, SETTLER, hash32("batch 1"))
        last = chain_book.batch_after(tx, CHAIN_ID, SETTLER, hash32("batch 2"))
    assert to is not None
    assert (to, None) == (onwards, last)


def test_forget_events__from_a_block__drops_them_and_rewinds_the_scan(store: Store) -> None:
    fund = add_fund(store)
    older = address("older settler")
    rows = request(store, fund, ["a", "b", "c"])
    with store.transaction(actor="test") as tx:
        settlers.add_settler(tx, fund.fund_id, settler_address=older, from_block=1)
        chain_book.record_events(
            tx,
            CHAIN_ID,
            [
                settled_event(rows[0], place(20)),
                settled_event(rows[1], place(21)),
                settled_event(rows[2], place(22, settler_address=older)),
            ],
        )
        for settler in (SETTLER, older):
            start = NEW_FUND.settler_from_block if settler == SETTLER else 1
            settlers.set_scanned(tx, fund.fund_id, settler, from_block=start, to_block=25)
        chain_book.forget_events(tx, CHAIN_ID, fund.fund_id, SETTLER, from_number=21)
        left = chain_book.settled_events(tx, CHAIN_ID, [row.redemption_id for row in rows])
        scanned = {
            row["settler_address"]: row["scanned_to_block"]
            for row in settlers.settlers_of(tx, fund.fund_id)
        }
    assert {rows[0].redemption_id, rows[2].redemption_id} == set(left)
    assert scanned == {SETTLER: 20, older: 25}


@on_postgresql
def test_forget_events__while_a_page_is_being_written__takes_that_page_out_too(
    store: Store,
) -> None:
    fund = add_fund(store)
    (row,) = request(store, fund, ["a"])
    written, finish = threading.Event(), threading.Event()

    def write_page() -> None:
        with store.transaction(actor="node") as tx:
            funds.lock_fund_to_plan(tx, fund.fund_id)
            chain_book.record_events(tx, CHAIN_ID, [settled_event(row, place(20))])
            settlers.set_scanned(tx, fund.fund_id, SETTLER, from_block=10, to_block=25)
            written.set()
            finish.wait(60)

    def forget() -> None:
        with store.transaction(actor="operator") as tx:
            chain_book.forget_events(tx, CHAIN_ID, fund.fund_id, SETTLER, from_number=15)

    writer = threading.Thread(target=write_page)
    writer.start()
    assert written.wait(60)
    forgetter = threading.Thread(target=forget)
    forgetter.start()
    forgetter.join(0.5)
    finish.set()
    writer.join()
    forgetter.join()
    with store.read() as tx:
        assert chain_book.settled_events(tx, CHAIN_ID, [row.redemption_id]) == {}
        assert [14] == [s["scanned_to_block"] for s in settlers.settlers_of(tx, fund.fund_id)]


def test_set_scanned__taken_back_meanwhile__is_not_overwritten(store: Store) -> None:
    fund = add_fund(store)
    with store.transaction(actor="node") as tx:
        settlers.set_scanned(tx, fund.fund_id, SETTLER, from_block=10, to_block=20)
        chain_book.forget_events(tx, CHAIN_ID, fund.fund_id, SETTLER, from_number=12)
    with pytest.raises(Transient, match="read again"), store.transaction(actor="node") as tx:
        settlers.set_scanned(tx, fund.fund_id, SETTLER, from_block=21, to_block=30)
    with store.read() as tx:
        assert [11] == [s["scanned_to_block"] for s in settlers.settlers_of(tx, fund.fund_id)]


def test_forget_events__above_the_scan__does_not_move_it_forward(store: Store) -> None:
    fund = add_fund(store)
    with store.transaction(actor="test") as tx:
        settlers.set_scanned(tx, fund.fund_id, SETTLER, from_block=10, to_block=15)
        chain_book.forget_events(tx, CHAIN_ID, fund.fund_id, SETTLER, from_number=21)
        assert settlers.settlers_of(tx, fund.fund_id)[0]["scanned_to_block"] == 15


def test_record_events__mined_again_after_a_reorganisation__are_new(store: Store) -> None:
    fund = add_fund(store)
    row = request(store, fund, ["a"])[0]
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, CHAIN_ID, [settled_event(row, place(20))])
        chain_book.forget_events(tx, CHAIN_ID, fund.fund_id, SETTLER, from_number=20)
        again = chain_book.record_events(tx, CHAIN_ID, [settled_event(row, place(20))])
    assert again == 1


def test_waiting_but_settled__paid_by_two_settlers__is_found_once(store: Store) -> None:
    fund = add_fund(store)
    rows = approve(store, fund, ["a", "b", "c"])
    old = address("old settler")
    with store.transaction(actor="test") as tx:
        for number, row in enumerate(reversed(rows), start=10):
            events = [
                settled_event(row, place(number)),
                settled_event(row, place(number, log_index=1, settler_address=old)),
            ]
            chain_book.record_events(tx, CHAIN_ID, events)
    with store.read() as tx:
        found = payments.waiting_but_settled(tx, fund, final_number=20, limit=2)
    assert [row.external_id for row in found] == ["a", "b"]
