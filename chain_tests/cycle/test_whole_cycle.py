"""Approved orders become settled redemptions, on both chains and both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from chain_tests.marks import both_chains, both_databases, on_anvil
from chain_tests.world import SHARE, World, wait_until
from settlement_node.demo.book import account
from settlement_node.demo.stage import set_stage
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionOutcome
from settlement_node.domain.postings import Account
from settlement_node.node.runtime import Intervals
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.telling import records
from settlement_node.units import ZERO_HASH, Payout
from tests_support.anvil import AnvilProcess

S = RedemptionStatus


def latency_milliseconds(world: World) -> float:
    """Average time from approval to broadcast."""
    seconds = [
        (row.broadcast_at_utc - row.approved_at_utc).total_seconds()
        for row in world.rows()
        if row.broadcast_at_utc is not None and row.approved_at_utc is not None
    ]
    assert seconds
    return 1000 * sum(seconds) / len(seconds)


def second_fund(world: World, *, treasury: int = 10**15) -> World:
    """A second fund with its own tokens and settler on the same lane, book and node."""
    stage = set_stage(world.chain, treasury_base_units=Payout(treasury), fund_id="second-fund")
    second = World(world.chain, stage, world.store, world.node, world.events)
    second.add_fund()
    return second


@both_chains
@both_databases
def test_cycle__approved_orders__planned_sent_mined_final_settled(
    world: World, figure: Callable[[str], None], chain_name: str, database_name: str
) -> None:
    names = world.enter(5)
    assert world.statuses(names) == [S.APPROVED] * 5

    world.tick()
    assert world.statuses(names) == [S.SETTLING] * 5
    world.step()
    assert world.statuses(names) == [S.PAID] * 5
    world.step()
    assert world.statuses(names) == [S.PAID] * 5
    world.step()
    assert world.statuses(names) == [S.SETTLED] * 5

    found = world.check_books()
    assert (found.settled_on_chain, found.transactions) == (5, 1)
    for n, name in enumerate(names):
        assert world.shares_of(account(name)) == 0
        # 104.25 a share, less a fee of 25 basis points that is rounded up.
        gross = 104_250_000 * (n + 1)
        assert world.money_of(account(name)) == gross - -(-gross * 25 // 10_000)
    figure(
        f"approved → broadcast by hand, {chain_name} and {database_name}:"
        f" {latency_milliseconds(world):.0f} ms on average"
    )


@both_databases
def test_cycle__ledger__owed_then_paid_and_every_account_rests(world: World) -> None:
    world.take_in(world.order("one", 100 * SHARE))
    gross, fee = 10_425_000_000, 26_062_500
    assert world.ledger()[Account.SHARES_RESERVED] == 100 * SHARE
    assert world.ledger()[Account.REDEMPTIONS_PAYABLE] == 0

    world.tick()
    assert world.ledger()[Account.CAPITAL_REDEEMED] == gross
    assert world.ledger()[Account.REDEMPTIONS_PAYABLE] == -(gross - fee)
    assert world.ledger()[Account.TREASURY] == 0
    world.settle()

    assert world.ledger() == {
        Account.SHARES_OUTSTANDING: -100 * SHARE,
        Account.SHARES_RESERVED: 0,
        Account.SHARES_BURNED: 100 * SHARE,
        Account.CAPITAL_REDEEMED: gross,
        Account.REDEMPTIONS_PAYABLE: 0,
        Account.FEES_RETAINED: -fee,
        Account.TREASURY: -(gross - fee),
    }
    world.check_books()


@both_databases
def test_cycle__outbox__every_status_once_and_in_order(world: World) -> None:
    names = world.enter(2)
    world.settle()
    world.tick()

    for name in names:
        mine = world.row(name).redemption_id
        topics = [e["topic"] for e in world.events.events if e["subject_id"] == mine]
        assert topics == [
            "redemption.approved",
            "redemption.settling",
            "redemption.paid",
            "redemption.settled",
        ]
    of_transaction = [
        e["topic"] for e in world.events.events if e["topic"].startswith("transaction.")
    ]
    assert of_transaction == [
        "transaction.signed",
        "transaction.sent",
        "transaction.mined",
        "transaction.final",
    ]
    ids = [e["event_id"] for e in world.events.events]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_cycle__one_redemption__its_whole_story_is_in_the_audit_trail(world: World) -> None:
    (name,) = world.enter(1)
    world.settle()

    with world.store.read() as tx:
        facts = records.audit_of(tx, "redemption", world.row(name).redemption_id)
    assert [fact["action"] for fact in facts] == [
        "requested",
        "approval_given",
        "settlement_planned",
        "payment_mined",
        "payment_final",
    ]
    assert facts[-2]["detail"]["transaction_hash"] == world.attempts_of(name)[0].attempt_hash


@both_chains
def test_cycle__batches_in_flight__chained_by_the_ratchet_and_mined_in_one_block(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(batch_items_max=2, in_flight_max=4))
    names = world.enter(10)

    world.tick()
    assert world.statuses(names) == [S.SETTLING] * 8 + [S.APPROVED] * 2
    with world.store.read() as tx:
        newest_first = settlements.page(tx, fund_id=world.fund_id)
    batches = newest_first[::-1]
    assert [row.nonce for row in world.unfinal()] == [0, 1, 2, 3]
    assert batches[0].previous_batch_hash == ZERO_HASH
    for before, after in pairwise(batches):
        assert after.previous_batch_hash == before.batch_hash
    world.step()
    assert len({row.block_number for row in world.unfinal()[:4]}) == 1
    assert world.statuses(names[:8]) == [S.PAID] * 8

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 10
    assert world.check_books().transactions == 5


def test_cycle__several_investors_with_several_orders__each_order_is_paid_by_itself(
    world: World,
) -> None:
    investor = account("one")
    orders = [world.order("one", (n + 1) * SHARE) for n in range(3)]
    world.take_in(*(replace(order, external_id=f"part-{n}") for n, order in enumerate(orders)))
    assert world.shares_of(investor) == 6 * SHARE

    world.settle()
    assert [row.status for row in world.rows()] == [S.SETTLED] * 3
    assert world.shares_of(investor) == 0
    world.check_books()


@both_chains
def test_cycle__two_funds_on_one_lane__both_settle_with_serial_nonces(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    second = second_fund(world)
    names, others = world.enter(3), second.enter(3, "other")

    world.tick()
    assert [row.nonce for row in world.unfinal()] == [0, 1]
    assert {row.to_address for row in world.unfinal()} == {
        world.stage.fund.settler_address,
        second.stage.fund.settler_address,
    }
    world.until(lambda: not world.unfinal())
    assert world.statuses(names) == [S.SETTLED] * 3
    assert second.statuses(others) == [S.SETTLED] * 3
    world.check_books()
    second.check_books()


def test_cycle__one_fund_of_the_lane_cannot_pay__the_other_goes_on(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    second = second_fund(world, treasury=1)
    names, others = world.enter(2), second.enter(2, "other")

    world.tick()
    world.step(3)
    assert world.statuses(names) == [S.SETTLED] * 2
    assert second.statuses(others) == [S.APPROVED] * 2
    assert {row.waiting_on for row in second.rows()} == {"liquidity"}


@both_chains
def test_cycle__more_orders_than_one_block_holds__settled_in_several_batches(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(batch_gas_bps=300))  # 0.9 of 30 million gas
    names = world.enter(12)

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 12
    found = world.check_books()
    assert 1 < found.transactions < 12
    limits = {world.transaction_of(name).gas_limit for name in names}
    assert max(limits) <= 30_000_000 * 300 // 10_000


@on_anvil
@both_databases
def test_cycle__blocks_every_second__the_scheduler_settles_by_itself(
    world: World, figure: Callable[[str], None], database_name: str
) -> None:
    assert isinstance(world.chain, AnvilProcess)
    world.node.intervals = Intervals(pass_seconds=0.1, deliver_seconds=0.2, reconcile_seconds=1.0)
    world.chain.set_interval(1)
    world.node.start()
    try:
        orders = world.orders(4)
        given = world.client.refresh().head.number
        # An order is approved for shares that are there, as the node sees the chain.
        wait_until(lambda: world.lane.head.number >= given, seconds=120)
        world.take_in(*orders)
        names = [order.external_id for order in orders]
        wait_until(lambda: world.statuses(names) == [S.SETTLED] * 4, seconds=90)
    finally:
        world.node.stop()
    world.chain.set_interval(0)

    world.new_node().check_books()
    figure(
        f"approved → broadcast with the scheduler, anvil and {database_name}:"
        f" {latency_milliseconds(world):.0f} ms on average"
    )


def test_cycle__transaction__outcome_gas_and_price_are_booked(world: World) -> None:
    (name,) = world.enter(1)
    world.settle()

    row = world.transaction_of(name)
    assert row.outcome is TransactionOutcome.SUCCEEDED
    assert row.gas_used is not None
    assert 50_000 < row.gas_used < row.gas_limit
    assert row.effective_gas_price_wei is not None
    receipt = world.client.receipts([world.attempts_of(name)[0].attempt_hash])
    (found,) = receipt.values()
    assert found is not None
    assert (row.gas_used, row.effective_gas_price_wei, row.block_hash) == (
        found.gas_used,
        found.effective_gas_price_wei,
        found.block_hash,
    )
    with world.store.read() as tx:
        assert transactions.count_unfinal(tx, row.chain_id, row.signer_address) == 0
