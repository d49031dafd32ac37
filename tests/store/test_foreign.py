"""Which batches of a settler this book did not make, and when they are no reason to stop."""

from __future__ import annotations

from settlement_node.store.book.settlers import set_scanned
from settlement_node.store.chain_memory import chain_book, foreign
from settlement_node.store.database import Store
from settlement_node.store.tables import AcceptedAs
from settlement_node.units import Hex32
from tests_support.book import (
    CHAIN_ID,
    NEW_FUND,
    add_fund,
    approve,
    batch_event,
    hash32,
    place,
    plan,
)

SETTLER = NEW_FUND.settler_address


def see(store: Store, number: int, *, at_block: int = 20) -> None:
    """The batch of a number, read from the chain."""
    event = batch_event(place(at_block), number=number)
    with store.transaction(actor="node") as tx:
        chain_book.record_events(tx, CHAIN_ID, [event])
        foreign.note_batches(tx, "alpha", CHAIN_ID, SETTLER, [event.batch_hash])


def read_history(store: Store) -> None:
    with store.transaction(actor="node") as tx:
        foreign.set_history_read(tx, "alpha", SETTLER)


def scan_first_block(store: Store) -> None:
    first = NEW_FUND.settler_from_block
    with store.transaction(actor="node") as tx:
        set_scanned(tx, "alpha", SETTLER, from_block=first, to_block=first)


def unexplained(store: Store) -> list[Hex32]:
    with store.read() as tx:
        return [batch.batch_hash for batch in foreign.unexplained(tx, CHAIN_ID, [SETTLER])]


def test_note_batches__before_the_history_was_read__are_explained(store: Store) -> None:
    add_fund(store)
    see(store, 4)
    read_history(store)
    assert unexplained(store) == []


def test_note_batches__after_it__are_unexplained_but_our_own(store: Store) -> None:
    fund = add_fund(store)
    read_history(store)
    plan(store, fund, approve(store, fund, ["a"]), nonce=0)
    see(store, 0)
    see(store, 1, at_block=21)
    assert [hash32("batch 1")] == unexplained(store)


def test_unexplained__its_block_went_away__is_none_until_it_is_mined_again(store: Store) -> None:
    add_fund(store)
    read_history(store)
    see(store, 4)
    with store.transaction(actor="node") as tx:
        chain_book.forget_events(tx, CHAIN_ID, "alpha", SETTLER, from_number=20)
    assert unexplained(store) == []
    see(store, 4, at_block=22)
    assert [hash32("batch 4")] == unexplained(store)


def test_accept_batch__mined_again_in_another_block__stays_explained(store: Store) -> None:
    add_fund(store)
    read_history(store)
    see(store, 4)
    with store.transaction(actor="node") as tx:
        foreign.accept_batch(
            tx, CHAIN_ID, SETTLER, hash32("batch 4"), accepted_as=AcceptedAs.PERSON
        )
        chain_book.forget_events(tx, CHAIN_ID, "alpha", SETTLER, from_number=20)
    see(store, 4, at_block=22)
    assert unexplained(store) == []


def test_settlers_with_unread_history__one_is_added_to_a_running_book__it_alone(
    store: Store,
) -> None:
    add_fund(store)
    scan_first_block(store)
    with store.read() as tx:
        assert [("alpha", SETTLER)] == foreign.settlers_with_unread_history(tx, ["alpha"])
    read_history(store)
    with store.read() as tx:
        assert foreign.settlers_with_unread_history(tx, ["alpha"]) == []


def test_settlers_with_unread_history__the_head_is_below_its_first_block__none(
    store: Store,
) -> None:
    add_fund(store)
    with store.read() as tx:
        assert foreign.settlers_with_unread_history(tx, ["alpha"]) == []
