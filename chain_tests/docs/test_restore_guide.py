"""The restore steps of the deploying guide, from the backup to the end: nothing is left open."""

from __future__ import annotations

from collections.abc import Callable

from chain_tests.marks import each_program
from chain_tests.world import World
from settlement_node.desk import operators
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.stages.watch import watch
from settlement_node.store.database import Store
from settlement_node.store.migrate import upgrade
from settlement_node.store.telling import attention, records

S = RedemptionStatus
MISSING = 15


@each_program
def test_restore_guide__followed_to_the_end__new_orders_settle_and_nothing_is_left_open(
    world: World, backup: Callable[[], Store]
) -> None:
    early = world.enter(2, "early")
    world.settle()
    world.check_books()
    between = world.enter(2, "between")
    old = backup()
    world.settle()
    missing = world.orders(MISSING, "missing")
    world.take_in(*missing)
    world.settle()
    world.check_books()

    # 1. Restore, `db upgrade`, run the node.
    upgrade(old.engine)
    restored = world.new_node(store=old, node_id=world.context().node_id)
    # 2. Wait for the replay; what the chain paid meanwhile and nobody has entered is told.
    restored.tick()
    restored.step(3)
    assert restored.statuses([*early, *between]) == [S.SETTLED] * 4
    assert restored.reconcile() == ["book_was_behind", *["paid_not_in_book"] * MISSING]
    new = restored.enter(2, "new")
    restored.step(2)
    assert restored.statuses(new) == [S.APPROVED] * 2, "not while the book lacks payments"
    with restored.store.read() as tx:
        behind, *opened = [row["break_id"] for row in attention.open_breaks(tx)]
    # 3. Enter the orders that are missing since the backup, with their external ids.
    restored.take_in(*missing)
    assert restored.statuses([order.external_id for order in missing]) == [S.SETTLED] * MISSING

    restored.settle()
    assert restored.statuses(new) == [S.SETTLED] * 2
    # 4. Reconcile; what is left is that the book was behind, and a person closes it.
    restored.check_books(breaks=["book_was_behind"])
    with restored.store.transaction(actor="operator") as tx:
        operators.resolve(tx, behind, reason="the restore was meant")
    watch(restored.context(), restored.node.lanes.values())
    assert (restored.breaks(), restored.alerts()) == ([], set())
    with restored.store.read() as tx:
        notes = [records.audit_of(tx, "break", str(number))[-1]["detail"] for number in opened]
    assert all("same payment" in note["reason"] for note in notes)


def test_restore_guide__one_missing_order_stays_out__its_break_waits_for_a_person(
    world: World, backup: Callable[[], Store]
) -> None:
    old = backup()
    missing = world.orders(3, "missing")
    world.take_in(*missing)
    world.settle()
    world.check_books()

    restored = world.new_node(store=old, node_id=world.context().node_id)
    restored.tick()
    restored.step(3)
    restored.reconcile()
    restored.take_in(*missing[:2])
    restored.step(1)
    with restored.store.read() as tx:
        (left,) = attention.open_breaks(tx)
    world_id = world.row(missing[2].external_id).redemption_id
    assert (left["kind"], left["subject"]) == ("paid_not_in_book", world_id)
