"""The operator's key is stolen: whoever has it settles genuine orders, to the right payees, for
next to nothing. Book and chain must not be said to agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from chain_tests.cycle.test_whole_cycle import second_fund
from chain_tests.marks import both_chains
from chain_tests.world import CONFIRMATIONS_BLOCKS, World
from settlement_node.chain.contracts.settler import encode_settle
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.desk import operators
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import SettleItem
from settlement_node.node.cycle import PassEnd
from settlement_node.store import tables as t
from settlement_node.store.chain_memory.foreign import unexplained
from settlement_node.store.engine.lanes import set_lane
from settlement_node.store.telling.attention import open_breaks
from settlement_node.units import Address, Payout, Wei
from tests_support.book import payout_of

S = RedemptionStatus
GWEI = 10**9
ORDERS = 3


def fair_payout(world: World, name: str) -> Payout:
    """What the node itself would pay for an order now."""
    terms = world.fund_row().terms()
    assert terms is not None
    return payout_of(world.row(name).shares_base_units, terms)


def settle_with_stolen_key(
    world: World, names: Sequence[str], payouts: Sequence[int], *, settler: Address | None = None
) -> None:
    """A batch the node knows nothing of: the orders as they are, at the thief's price."""
    world.client.refresh()
    signer = world.stage.operator
    settler = settler or world.stage.fund.settler_address
    rows = [world.row(name) for name in names]
    items = [
        SettleItem(
            row.redemption_id,
            row.redemption_index,
            row.investor_address,
            row.payee_address,
            row.shares_base_units,
            Payout(payout),
        )
        for row, payout in zip(rows, payouts, strict=True)
    ]
    signed = signer.sign(
        TransactionFields(
            chain_id=world.chain.chain_id,
            nonce=world.client.nonce(signer.address),
            to_address=settler,
            data=encode_settle(world.client.batch_hash(settler), items),
            value_wei=Wei(0),
            gas_limit=2_000_000,
            max_fee_per_gas_wei=Wei(50 * GWEI),
            max_priority_fee_per_gas_wei=Wei(GWEI),
        )
    )
    world.send_raw(signed.raw)
    world.mine()


def seen_as_theft(world: World, names: Sequence[str]) -> None:
    """Booked as the chain has it, and stopped by a money break for each order."""
    subjects = {world.row(name).redemption_id for name in names}
    with world.store.read() as tx:
        found = [row for row in open_breaks(tx) if row["kind"] == "price_differs"]
    assert {row["subject"] for row in found} == subjects
    assert all(row["is_money"] and row["fund_id"] == world.fund_id for row in found)
    assert {row["actual"] for row in found} == {"a payout of 1"}
    assert {row["expected"] for row in found} == {
        f"a payout of {fair_payout(world, name)}" for name in names
    }
    assert world.statuses(names) == [S.SETTLED] * len(names)
    assert [world.row(name).payout_base_units for name in names] == [1] * len(names)
    later = world.enter(1, "later")
    for _ in range(3):
        world.mine()
        world.node.tick()
    assert world.statuses(later) == [S.APPROVED]
    assert world.unfinal() == []


@both_chains
def test_stolen_key__node_runs__each_order_is_a_money_break(world: World) -> None:
    world.tick()
    names = world.enter(ORDERS)
    settle_with_stolen_key(world, names, [1] * ORDERS)
    world.tick(PassEnd.STOPPED)
    assert world.breaks() == ["unknown_batch"], "at once, whatever it paid"
    assert world.lane_row().paused
    for _ in range(CONFIRMATIONS_BLOCKS + 1):
        world.node.tick()
        world.mine()
    world.node.tick()
    seen_as_theft(world, names)


def test_unknown_batch__at_the_right_price__stops_the_lane_until_a_person_accepts_it(
    world: World,
) -> None:
    """Another node on another database does no harm, and is told all the same."""
    world.tick()
    names = world.enter(2)
    settle_with_stolen_key(world, names[:1], [fair_payout(world, names[0])])
    world.tick(PassEnd.STOPPED)
    world.step(CONFIRMATIONS_BLOCKS + 1)
    assert world.breaks() == ["unknown_batch"]
    assert world.statuses(names) == [S.SETTLED, S.APPROVED]

    with world.store.transaction(actor="test") as tx:
        (opened,) = open_breaks(tx)
        operators.resolve(tx, opened["break_id"], reason="the old server was still on")
        lane = world.lane
        operators.resume(
            tx, chain_id=lane.chain_id, signer_address=lane.signer_address, reason="it is off"
        )
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert world.breaks() == []


def test_unknown_batch__the_same_at_two_funds_settlers__each_is_told_and_accepted_by_itself(
    world: World,
) -> None:
    """The first batch of a settler has the hash of another's, if it has the same items."""
    second = second_fund(world)
    world.tick()
    names = world.enter(1)
    for fund in (world, second):
        settle_with_stolen_key(world, names, [1], settler=fund.stage.fund.settler_address)
    settlers = {fund.stage.fund.settler_address for fund in (world, second)}
    assert 1 == len({world.client.batch_hash(settler) for settler in settlers})

    for _ in range(CONFIRMATIONS_BLOCKS + 1):
        world.node.tick()
        world.mine()
    with world.store.transaction(actor="test") as tx:
        told = [row for row in open_breaks(tx) if row["kind"] == "unknown_batch"]
        assert settlers == {row["subject"].split(":")[2] for row in told}
        operators.resolve(tx, told[0]["break_id"], reason="the old server was on")
        left = unexplained(tx, world.chain.chain_id, settlers)
    assert [told[1]["subject"].split(":")[2]] == [batch.settler_address for batch in left]


def test_unknown_batch__beyond_the_nonces_a_restored_book_was_behind__is_not_its_own(
    world: World,
) -> None:
    """What a restore explains ends with the nonces that were used when the lane was taken."""
    world.tick()
    lane = world.lane
    with world.store.transaction(actor="test") as tx:
        set_lane(
            tx,
            lane.chain_id,
            lane.signer_address,
            restored_from_nonce=0,
            restored_below_nonce=1,
        )
    names = world.enter(2)
    settle_with_stolen_key(world, names[:1], [fair_payout(world, names[0])])
    world.tick()
    assert world.breaks() == []
    settle_with_stolen_key(world, names[1:], [1])
    world.tick(PassEnd.STOPPED)
    assert world.breaks() == ["unknown_batch"]


def test_unknown_batch__seen_before_the_settlers_history_was_read__is_history(
    world: World,
) -> None:
    """A new book on a settler that has paid before."""
    names = world.enter(1)
    settle_with_stolen_key(world, names, [fair_payout(world, names[0])])
    world.step(CONFIRMATIONS_BLOCKS + 1)
    assert (S.SETTLED, []) == (world.status(names[0]), world.breaks())


@both_chains
def test_stolen_key__node_is_down__each_order_is_a_money_break(world: World) -> None:
    world.tick()
    names = world.enter(ORDERS)
    settle_with_stolen_key(world, names, [1] * ORDERS)
    world.mine(CONFIRMATIONS_BLOCKS)

    again = world.new_node(node_id=world.context().node_id)
    for _ in range(3):
        again.node.tick()
        again.mine()
    assert "book_was_behind" in again.breaks(), "until a person says that it was a restore"
    seen_as_theft(again, names)


@both_chains
def test_stolen_key__orders_dated_tomorrow__too_early_whatever_the_price(world: World) -> None:
    world.tick()
    tomorrow = world.store.clock() + timedelta(days=1)
    orders = [replace(order, settle_after_utc=tomorrow) for order in world.orders(ORDERS)]
    names = [order.external_id for order in orders]
    world.take_in(*orders)
    settle_with_stolen_key(world, names, [fair_payout(world, name) for name in names])
    for _ in range(CONFIRMATIONS_BLOCKS + 1):
        world.node.tick()
        world.mine()
    world.node.tick()
    with world.store.read() as tx:
        told = [row["detail"] for row in open_breaks(tx) if row["kind"] == "price_differs"]
    assert [True] * ORDERS == ["before its settlement date" in detail for detail in told]


def booked_as_found(world: World) -> str:
    """One order, settled with the stolen key and booked by the node; returns its name."""
    world.tick()
    (name,) = world.enter(1)
    settle_with_stolen_key(world, [name], [1])
    for _ in range(CONFIRMATIONS_BLOCKS + 1):
        world.node.tick()
        world.mine()
    world.node.tick()
    assert world.status(name) is S.SETTLED
    return name


def test_stolen_key__reconciliation__judges_by_what_the_chain_says_then(world: World) -> None:
    booked_as_found(world)
    with world.store.transaction(actor="test") as tx:
        tx.connection.execute(t.breaks.delete())
    assert "price_differs" in world.reconcile()


def test_stolen_key__break_closed_by_a_person__reconciliation_opens_no_second_one(
    world: World,
) -> None:
    booked_as_found(world)
    with world.store.transaction(actor="test") as tx:
        for row in open_breaks(tx):
            operators.resolve(tx, row["break_id"], reason="recovered from the payee")
    assert "price_differs" not in world.reconcile()
