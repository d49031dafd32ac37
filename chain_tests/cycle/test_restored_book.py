"""A book restored from an older backup, or lost: the chain's own record pays nobody twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_tests.copies import Copies
from chain_tests.marks import both_chains, both_databases, each_program
from chain_tests.world import SHARE, World
from settlement_node.cli.fund_file import FundFile, check_on_chain
from settlement_node.demo.book import account
from settlement_node.desk import operators
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.postings import Account
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import Conflict, InvalidInput
from settlement_node.node.cycle import PassEnd
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.tables import AttemptKind
from settlement_node.store.telling.attention import open_breaks
from settlement_node.units import Shares
from tests_support.book import place, settled_event

S = RedemptionStatus
Backup = Callable[[], Store]


def close_breaks(world: World) -> None:
    """A person closes what is open."""
    with world.store.transaction(actor="test") as tx:
        for row in open_breaks(tx):
            operators.resolve(tx, row["break_id"], reason="the restore was meant")


def restart(world: World, book: Store) -> World:
    """The node's process again, on another book."""
    return world.new_node(store=book, node_id=world.context().node_id)


@each_program
def test_restore__orders_paid_after_the_backup__found_settled_and_the_lane_goes_on(
    world: World, backup: Backup
) -> None:
    early = world.enter(2, "early")
    world.settle()
    between = world.enter(2, "between")
    old = backup()
    world.settle()
    lost_orders = world.orders(2, "lost")
    world.take_in(*lost_orders)
    world.settle()
    world.check_books()
    chain_nonce = world.client.nonce(world.stage.operator.address)
    assert chain_nonce == 3

    restored = restart(world, old)
    assert restored.statuses([*early, *between]) == [S.SETTLED] * 2 + [S.APPROVED] * 2
    restored.tick()
    assert restored.statuses(between) == [S.SETTLED] * 2, "found by the replay, nothing sent"
    assert restored.breaks() == ["book_was_behind"]
    assert restored.lane_row().next_nonce == chain_nonce

    restored.take_in(*lost_orders)
    assert restored.statuses([order.external_id for order in lost_orders]) == [S.SETTLED] * 2
    new = restored.enter(2, "new")
    restored.settle()
    assert restored.statuses(new) == [S.SETTLED] * 2
    assert restored.audit().settled_on_chain == 8
    restored.check_books(breaks=["book_was_behind"])


def test_restore__recognised__said_until_all_is_reconciled_and_a_person_closes_it(
    world: World, backup: Backup
) -> None:
    world.enter(1)
    world.settle()
    world.check_books()
    old = backup()
    lost = world.orders(1, "lost")
    world.take_in(*lost)
    world.settle()
    restored = restart(world, old)
    restored.settle()
    assert restored.breaks() == ["book_was_behind"]

    with pytest.raises(Conflict, match="reconcile first"):
        close_breaks(restored)
    restored.step(2)
    restored.reconcile()
    with pytest.raises(Conflict, match="paid_not_in_book"):
        close_breaks(restored)
    restored.take_in(*lost)
    restored.tick()
    restored.reconcile()
    assert restored.breaks() == ["book_was_behind"], "a clean reconciliation alone closes nothing"
    close_breaks(restored)
    assert restored.breaks() == []


def test_plan__shown_as_paid_in_a_block_that_is_not_final__left_alone(world: World) -> None:
    """Neither is it settled yet: the block may go away."""
    world.tick()
    (name,) = world.enter(1)
    row, head = world.row(name), world.chain.head_number
    event = settled_event(
        row, replace(place(head), settler_address=world.fund_row().settler_address)
    )
    with world.store.transaction(actor="test") as tx:
        chain_book.record_events(tx, world.chain.chain_id, [event])
    world.tick()
    assert (S.APPROVED, []) == (world.status(name), world.unfinal())


@both_databases
@pytest.mark.parametrize("when", ["planned", "sent"])
def test_restore__backup_taken_with_a_batch_in_flight__found_mined_and_booked(
    world: World, backup: Backup, when: str
) -> None:
    names = world.enter(3)
    copies: list[Store] = []

    def at(name: str) -> None:
        if name == "plan.after_commit" and when == "planned" and not copies:
            copies.append(backup())

    world.at_each_point(at)
    world.tick()
    if when == "sent":
        copies.append(backup())
    world.settle()
    world.check_books()

    restored = restart(world, copies[0])
    assert restored.statuses(names) == [S.SETTLING] * 3
    restored.settle()
    assert restored.statuses(names) == [S.SETTLED] * 3
    assert restored.breaks() == []
    assert restored.check_books().transactions == 1


@both_chains
def test_restore__a_replacement_the_backup_never_saw_was_mined__taken_for_ours(
    new_world: Callable[..., World], backup: Backup
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=1))
    names = world.enter(2)
    world.tick()
    world.drop_pending()
    old = backup()
    world.step()
    world.drop_pending()
    world.step(2)
    assert len(world.attempts_of(names[0])) > 1
    world.settle()
    mined = world.transaction_of(names[0]).mined_attempt_hash
    world.check_books()

    restored = restart(world, old)
    assert len(restored.attempts_of(names[0])) == 1
    restored.settle()
    assert restored.statuses(names) == [S.SETTLED] * 2
    assert restored.transaction_of(names[0]).mined_attempt_hash == mined
    assert restored.attempts_of(names[0])[-1].kind is AttemptKind.FOUND
    assert restored.breaks() == []
    restored.check_books()


@both_databases
def test_restore__the_found_replacement_is_undone_and_signed_again__known_and_settled(
    new_world: Callable[..., World], backup: Backup
) -> None:
    """A signer makes the same bytes of the same fees: the next replacement is the lost one."""
    world = new_world(policy=EnginePolicy(replace_after_blocks=1))
    names = world.enter(2)
    world.tick()
    old = backup()
    for _ in range(2):  # sent again first, then replaced
        world.drop_pending()
        world.step()
    lost = world.attempts_of(names[0])[-1]
    world.mine()

    restored = restart(world, old)
    restored.tick()
    restored.tick()
    found = restored.attempts_of(names[0])[-1]
    assert (found.kind, found.attempt_hash) == (AttemptKind.FOUND, lost.attempt_hash)
    restored.reorganise(1)
    for _ in range(2):
        restored.tick()
        restored.drop_pending()
        restored.mine()
    again = restored.attempts_of(names[0])
    assert [attempt.ordinal for attempt in again] == [1, 2]
    assert (again[1].kind, again[1].raw) == (AttemptKind.REPLACEMENT, lost.raw)
    restored.settle()
    assert restored.statuses(names) == [S.SETTLED] * 2
    assert restored.breaks() == []
    restored.check_books()


@both_databases
def test_restore__book_lost_altogether__replayed_and_orders_entered_again_are_found_settled(
    world: World, backup: Backup
) -> None:
    """The fund is entered anew in an empty book; the chain alone knows what was paid."""
    orders = world.orders(4)
    empty = backup()  # the fund is in it, no order is
    world.take_in(*orders[:3])
    world.settle()
    world.check_books()

    restored = restart(world, empty)
    restored.tick()
    restored.step(3)
    restored.take_in(*orders)
    names = [order.external_id for order in orders]
    assert restored.statuses(names) == [S.SETTLED] * 3 + [S.APPROVED]
    restored.settle()
    assert restored.statuses(names) == [S.SETTLED] * 4
    found = restored.check_books()
    assert (found.settled_on_chain, found.transactions) == (4, 2)


def test_restore__orders_entered_in_another_order__their_indexes_do_not_meet_the_old_ones(
    world: World, backup: Backup
) -> None:
    """An index is a bit in the settler: one that was used must not be given to another order."""
    orders = world.orders(4)
    empty = backup()
    world.take_in(*orders[:2])
    world.settle()

    restored = restart(world, empty)
    restored.take_in(*reversed(orders))
    restored.settle()
    assert restored.statuses([order.external_id for order in orders]) == [S.SETTLED] * 4
    restored.check_books()


def test_restore__paid_but_not_final_when_the_order_comes_again__waits_and_is_found(
    world: World, backup: Backup
) -> None:
    orders = world.orders(2)
    empty = backup()
    world.take_in(*orders)
    world.tick()
    world.mine()
    world.tick()

    restored = restart(world, empty)
    restored.tick()
    restored.take_in(*orders)
    names = [order.external_id for order in orders]
    restored.tick()
    assert restored.statuses(names) == [S.APPROVED] * 2, "paid, not final: neither sent nor booked"
    assert restored.unfinal() == []
    restored.step(3)
    assert restored.statuses(names) == [S.SETTLED] * 2
    restored.check_books()


def test_restore__paid_by_the_lost_node_while_this_one_runs__not_planned_and_found(
    world: World, backup: Backup
) -> None:
    """The old process was not quite dead. Its events are the chain's word, final or not."""
    other = world.new_node(store=backup(), node_id="other")
    other.tick()
    orders = world.orders(2)
    names = [order.external_id for order in orders]
    world.take_in(*orders)
    world.tick()
    world.mine()

    other.take_in(*orders)
    other.tick(PassEnd.STOPPED)
    assert other.breaks() == ["unknown_batch"]
    assert other.statuses(names) == [S.APPROVED] * 2, "paid, not final: neither sent nor held"
    assert other.unfinal() == []
    other.step(3)
    assert other.statuses(names) == [S.SETTLED] * 2
    other.check_chain()


def test_restore__paid_not_final_and_then_undone__planned_after_all(
    world: World, backup: Backup
) -> None:
    orders = world.orders(1)
    empty = backup()
    world.take_in(*orders)
    world.tick()
    world.mine()
    restored = restart(world, empty)
    restored.tick()
    restored.take_in(*orders)
    restored.tick()
    assert restored.unfinal() == []

    restored.reorganise(1)
    restored.settle()
    assert restored.status(orders[0].external_id) is S.SETTLED
    assert restored.shares_of(orders[0].investor_address) == 0
    restored.check_books()
    assert SHARE == 10**18


def test_fund__read_from_a_block_behind_its_first_batch__not_taken_in(world: World) -> None:
    world.enter(1)
    world.settle()
    made = world.stage.fund
    told_otherwise = ("nav", "checks", "errors_abi", "errors")
    words = {
        name: getattr(made, name) for name in FundFile.model_fields if name not in told_otherwise
    } | {"burn_style": made.burn_style.value}
    late = FundFile(**{**words, "settler_from_block": world.chain.head_number})

    world.client.refresh()
    with pytest.raises(InvalidInput, match="had paid a batch before that block"):
        check_on_chain(late, world.client)
    assert check_on_chain(FundFile(**words), world.client).fund_id == made.fund_id


def otherwise(order: RedemptionOrder) -> RedemptionOrder:
    """The same external id, other particulars."""
    return replace(order, payee_address=account("somebody else"), shares_base_units=Shares(SHARE))


@both_databases
def test_restore__order_entered_again_otherwise_than_it_was_paid__refused_with_both_sides(
    world: World, backup: Backup
) -> None:
    (order,) = world.orders(1)
    empty = backup()
    world.take_in(order)
    world.settle()

    restored = restart(world, empty)
    restored.tick()
    restored.step(3)
    with pytest.raises(Conflict, match=f"paid {order.external_id} already, and otherwise"):
        restored.take_in(otherwise(order))
    assert restored.rows() == []
    restored.take_in(order)
    assert restored.status(order.external_id) is S.SETTLED
    restored.check_books()


def test_restore__entered_otherwise_before_the_replay__a_break_and_the_ledger_as_the_chain(
    world: World, backup: Backup
) -> None:
    (order,) = world.orders(1)
    empty = backup()
    world.take_in(order)
    world.settle()
    paid = world.row(order.external_id).payout_base_units

    restored = restart(world, empty)
    restored.take_in(otherwise(order))
    restored.tick()
    restored.step(3)
    assert restored.status(order.external_id) is S.SETTLED
    assert restored.breaks() == ["amounts_differ"]
    ledger = restored.ledger()
    assert ledger[Account.SHARES_BURNED] == order.shares_base_units
    assert ledger[Account.SHARES_OUTSTANDING] == -order.shares_base_units
    assert (ledger[Account.SHARES_RESERVED], ledger[Account.TREASURY]) == (0, -(paid or 0))


def test_restore__found_paid_and_the_chain_loses_it_below_finality__comes_up_as_a_break(
    world: World, backup: Backup
) -> None:
    (order,) = world.orders(1)
    empty = backup()
    world.take_in(order)
    world.settle()
    world.step(2)

    restored = restart(world, empty)
    restored.tick()
    restored.step(3)
    restored.take_in(order)
    assert restored.reconcile() == []
    at = restored.row(order.external_id).found_block_number
    assert at is not None
    restored.reorganise(restored.chain.head_number - at + 1)
    restored.tick(PassEnd.STOPPED)
    with restored.store.transaction(actor="test") as tx:
        for found in open_breaks(tx):
            operators.resolve(tx, found["break_id"], reason="the fork is accepted")
        operators.resume(
            tx,
            chain_id=restored.chain.chain_id,
            signer_address=restored.stage.operator.address,
            reason="looked at",
        )
    for _ in range(5):
        restored.mine()
        restored.node.tick()
    assert "booked_not_paid" in restored.reconcile()


@both_databases
def test_restore__of_a_backup_taken_in_the_middle_of_a_restore__no_batch_is_a_strangers(
    world: World, backup: Backup, copies: Copies
) -> None:
    """The book is put back twice: what the first gap held was not yet called its own then."""
    world.enter(1, "early")
    world.settle()
    first = backup()
    world.enter(1, "lost")
    world.settle()

    restored = restart(world, first)
    taken: list[Store] = []

    def at(name: str) -> None:
        if name == "nonce.after_commit":
            taken.append(copies.of(restored.store))

    restored.at_each_point(at)
    restored.enter(1, "between")
    restored.settle()
    assert restored.breaks() == ["book_was_behind"]

    again = restart(restored, taken[0])
    again.enter(1, "new")
    again.settle()
    assert (again.breaks(), again.lane_row().paused) == (["book_was_behind"] * 2, False)
    assert 0 == again.audit().double_paid
