"""What a false endpoint once wrote into the book: a re-scan forgets it and reads anew, nothing is
planned meanwhile, and what was booked by it comes up as a break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_tests.marks import both_databases, each_program
from chain_tests.world import World
from settlement_node.demo.book import account
from settlement_node.desk import operators
from settlement_node.domain.breaks import BookedNotPaid
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import (
    BatchSettledEvent,
    EventPlace,
    RedemptionSettledEvent,
    SettlerEvent,
)
from settlement_node.errors import Conflict
from settlement_node.node.cycle import PassEnd
from settlement_node.node.stages.plan import plan
from settlement_node.node.stages.reconcile import AnotherRun, reconcile_fund
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import add_settler, set_scanned, settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.rows import RedemptionRow
from settlement_node.store.telling import attention, records
from settlement_node.units import Hex32
from tests_support.book import payout_of

S = RedemptionStatus
FALSE_HASH = Hex32("0x" + "fa" * 32)
WHY = "an endpoint has lied"


def place_in(world: World, block_number: int, log_index: int) -> EventPlace:
    """A place in a block as it is on the chain, in a transaction that never was."""
    world.client.refresh()
    return EventPlace(
        settler_address=world.stage.fund.settler_address,
        block_number=block_number,
        block_hash=world.client.blocks([block_number])[block_number].block_hash,
        transaction_hash=FALSE_HASH,
        log_index=log_index,
    )


def false_payment(world: World, row: RedemptionRow, block_number: int) -> RedemptionSettledEvent:
    """What a liar shows: the order as ordered, paid at the fund's price."""
    with world.store.read() as tx:
        terms = get_fund(tx, world.fund_id).terms()
    assert terms is not None
    return RedemptionSettledEvent(
        place=place_in(world, block_number, 0),
        redemption_id_hex=row.redemption_id,
        redemption_index=row.redemption_index,
        investor_address=row.investor_address,
        payee_address=row.payee_address,
        shares_base_units=row.shares_base_units,
        payout_base_units=payout_of(row.shares_base_units, terms),
    )


def record(world: World, *events: SettlerEvent) -> None:
    """A page that was believed once."""
    blocks = world.client.blocks(sorted({event.place.block_number for event in events}))
    times = {number: block.timestamp_seconds for number, block in blocks.items()}
    with world.store.transaction(actor="a liar") as tx:
        chain_book.record_events(tx, world.chain.chain_id, events, timestamps_seconds=times)


def rescan(world: World, from_block: int = 0) -> None:
    with world.store.transaction(actor="operator") as tx:
        operators.rescan(tx, world.fund_id, from_block=from_block, reason=WHY)


def resolve_all(world: World) -> None:
    with world.store.transaction(actor="operator") as tx:
        for row in attention.open_breaks(tx):
            operators.resolve(tx, row["break_id"], reason="looked into")


def scanned_to(world: World) -> int:
    with world.store.read() as tx:
        return min(row["scanned_to_block"] for row in settlers_of(tx, world.fund_id))


@each_program
def test_rescan__order_booked_as_paid_by_a_false_page__a_break_and_never_paid_again(
    world: World,
) -> None:
    world.enter(1, "true")
    world.settle()
    world.step(2)
    assert world.reconcile() == []
    at = world.lane.head.final_number
    (victim,) = world.take_in(world.order("victim"))
    record(world, false_payment(world, victim, at))
    world.step(1)
    assert world.status("victim") is S.SETTLED, "the false event was believed"
    assert world.reconcile() == [], "the newest blocks alone show nothing"

    rescan(world, at)
    world.step(1)
    assert world.reconcile() == ["booked_not_paid"]
    world.enter(1, "later")
    world.step(3)
    assert world.status("later-0") is S.APPROVED, "an open money break stops planning"
    resolve_all(world)
    world.settle()
    assert world.statuses(["victim", "later-0"]) == [S.SETTLED] * 2
    assert world.money_of(victim.payee_address) == 0, "for a person to decide, not for the node"
    assert world.reconcile() == []


@both_databases
def test_rescan__order_not_paid_though_a_false_page_says_so__forgotten_and_then_paid(
    world: World,
) -> None:
    """The false payment is not final yet, so that the order only waits for it."""
    world.enter(1, "true")
    world.settle()
    (victim,) = world.take_in(world.order("victim"))
    head = world.chain.head_number
    record(world, false_payment(world, victim, head))
    world.tick()
    assert (world.status("victim"), world.unfinal()) == (S.APPROVED, [])

    rescan(world, head)
    world.settle()
    assert world.status("victim") is S.SETTLED
    world.check_books()


def test_scan__a_batch_that_never_was_is_the_last_known__forgotten_and_the_fund_goes_on(
    world: World,
) -> None:
    world.enter(1, "true")
    world.settle()
    with world.store.read() as tx:
        tip = chain_book.ratchet_tip(tx, world.chain.chain_id, world.stage.fund.settler_address)
    assert tip is not None
    assert tip.batch_hash is not None
    head = world.chain.head_number
    record(
        world,
        BatchSettledEvent(
            place=place_in(world, head, 0),
            batch_hash=FALSE_HASH,
            previous_batch_hash=tip.batch_hash,
            settled_count=0,
            skipped_count=0,
        ),
    )
    world.step(1, PassEnd.LATER)
    world.enter(1, "later")
    world.settle()
    assert world.status("later-0") is S.SETTLED
    world.check_books()


@both_databases
@pytest.mark.parametrize("during", ["scan.before_commit", "plan.before_commit"])
def test_rescan__during_a_pass__that_pass_writes_nothing_and_the_next_reads_first(
    world: World, during: str
) -> None:
    world.tick()
    world.enter(1, "later")
    passed: list[str] = []

    def at(name: str) -> None:
        if name == during and not passed:
            passed.append(name)
            rescan(world)

    world.at_each_point(at)
    world.mine()
    world.tick(PassEnd.LATER)
    assert passed == [during]
    assert scanned_to(world) == world.stage.fund.settler_from_block - 1
    assert world.unfinal() == [], "nothing is planned on events that are not read"
    world.settle()
    assert world.status("later-0") is S.SETTLED
    world.check_books()


def test_rescan__while_a_restored_book_is_explained__waits_and_stops_nothing(
    world: World, backup: Callable[[], Store]
) -> None:
    """What the chain has used beyond the book is explained by events that are just not there."""
    world.tick()
    names = world.enter(2, "between")
    old = backup()
    world.settle()
    world.step(2)
    restored = world.new_node(store=old, node_id=world.context().node_id)
    asked: list[str] = []

    def at(name: str) -> None:
        if name == "found.before_commit" and not asked:
            asked.append(name)
            rescan(restored)

    restored.at_each_point(at)
    restored.tick(PassEnd.LATER)
    assert (asked, restored.breaks()) == (["found.before_commit"], [])
    restored.settle()
    assert restored.statuses(names) == [S.SETTLED] * 2
    restored.check_books(breaks=["book_was_behind"])


def test_rescan__payment_by_a_former_settler_is_out_of_the_book__not_planned_until_read(
    world: World,
) -> None:
    """Neither the present settler nor this process's own memory knows of such a payment."""
    world.tick()
    former = account("a former settler")
    order = world.order("paid before")
    world.step(1)
    (row,) = world.take_in(order)
    with world.store.transaction(actor="test") as tx:
        add_settler(tx, world.fund_id, settler_address=former, from_block=1)
        to_block = world.lane.head.number
        set_scanned(tx, world.fund_id, former, from_block=1, to_block=to_block)
    paid = false_payment(world, row, to_block)
    record(world, replace(paid, place=replace(paid.place, settler_address=former)))
    assert plan(world.lane) == 0, "shown as paid"

    rescan(world)
    assert plan(world.lane) == 0, "not read"
    assert world.unfinal() == []


@both_databases
def test_rescan__events_not_read_again_yet__nothing_is_cancelled_or_released(
    world: World,
) -> None:
    world.enter(1, "true")
    world.settle()
    (row,) = world.take_in(world.order("asked"))
    rescan(world)
    with (
        pytest.raises(Conflict, match="still being read"),
        world.store.transaction(actor="operator") as tx,
    ):
        operators.cancel_redemption(tx, row.redemption_id, reason="the investor asked")
    world.tick()
    assert world.status("asked") is S.SETTLING


@both_databases
def test_rescan__payment_is_there_after_all__its_break_closes_with_a_note(world: World) -> None:
    world.enter(1, "true")
    world.settle()
    world.step(2)
    assert world.reconcile() == []
    subject = world.row("true-0").redemption_id
    with world.store.transaction(actor="reconciliation of before") as tx:
        attention.open_break(tx, get_fund(tx, world.fund_id), BookedNotPaid(subject))
        (opened,) = attention.open_breaks(tx)
    world.step(1)
    assert world.reconcile() == ["booked_not_paid"], "the newest blocks do not explain it"

    rescan(world)
    world.step(1)
    assert world.reconcile() == []
    with world.store.read() as tx:
        facts = records.audit_of(tx, "break", str(opened["break_id"]))
    assert "book and chain have the same payment now" in facts[-1]["detail"]["reason"]


def test_reconcile__the_false_event_is_still_in_the_book__its_break_stays_open(
    world: World,
) -> None:
    """What the book remembers may be what was wrong: only what is read anew explains."""
    world.enter(1, "true")
    world.settle()
    (victim,) = world.take_in(world.order("victim"))
    record(world, false_payment(world, victim, world.chain.head_number))
    world.step(4)
    assert world.status("victim") is S.SETTLED
    assert world.reconcile() == ["booked_not_paid"]
    world.step(2)
    assert world.reconcile() == ["booked_not_paid"]


def test_rescan__payments_of_before_the_book__stay_history_and_stop_nothing(
    world: World, backup: Callable[[], Store]
) -> None:
    empty = backup()
    world.enter(1, "before")
    world.settle()
    world.step(2)
    again = world.new_node(store=empty, node_id="again")
    again.tick()
    again.step(1)
    assert again.reconcile() == ["paid_not_in_book"]
    resolve_all(again)

    rescan(again)
    again.step(1)
    assert again.reconcile() == ["paid_not_in_book"]
    with again.store.read() as tx:
        assert not attention.open_breaks(tx, money_only=True)
    again.enter(1, "new")
    again.settle()
    assert again.status("new-0") is S.SETTLED


def test_rescan__while_reconciliation_is_at_work__its_run_is_not_written(world: World) -> None:
    world.enter(1, "true")
    world.settle()
    world.step(2)
    world.reconcile()
    world.step(2)

    def at(name: str) -> None:
        if name == "reconcile.before_commit":
            rescan(world)

    world.at_each_point(at)
    with world.store.read() as tx:
        fund = get_fund(tx, world.fund_id)
    with pytest.raises(AnotherRun):
        reconcile_fund(world.context(), fund)
