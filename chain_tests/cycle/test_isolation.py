"""One redemption that cannot be settled never stops another, nor itself comes away half done."""

from __future__ import annotations

import pytest

from chain_tests.cycle.test_whole_cycle import second_fund
from chain_tests.marks import both_chains
from chain_tests.world import SHARE, World
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.node.cycle import PassEnd
from settlement_node.store import tables as t
from settlement_node.store.book import redemptions
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.database import Tx
from settlement_node.store.engine import settlements
from settlement_node.store.rows import ItemRow
from settlement_node.store.tables import ItemOutcome
from settlement_node.units import Shares

S = RedemptionStatus


def items_of(world: World, name: str) -> list[ItemRow]:
    with world.store.read() as tx:
        return settlements.items_of_redemption(tx, world.row(name).redemption_id)


def take_shares(world: World, name: str, shares: int) -> None:
    """Burn some of an investor's shares behind the node's back."""
    fund = world.stage.fund
    from tests_support.deploying import grant_fund_role

    deployer = world.stage.deployer
    grant_fund_role(deployer, fund.share_token_address, "BURNER_ROLE", deployer.address)
    deployer.transact(fund.share_token_address, "FundToken", "burn", [account(name), shares])


def set_permitted(world: World, name: str, *, permitted: bool) -> None:
    world.stage.deployer.transact(
        world.stage.fund.share_token_address,
        "FundToken",
        "setPermitted",
        [account(name), permitted],
    )


def untouched(world: World, name: str, shares: int) -> None:
    """Neither burned nor paid."""
    assert world.shares_of(account(name)) == shares
    assert world.money_of(world.row(name).payee_address) == 0


@both_chains
def test_isolation__payee_blocked_before_planning__held_and_the_others_paid(world: World) -> None:
    names = world.enter(3)
    world.stage.set_blocked(account(names[1]), blocked=True)

    world.settle()
    assert world.statuses(names) == [S.SETTLED, S.HELD, S.SETTLED]
    row = world.row(names[1])
    assert row.hold_reason == HoldReason.PAYOUT_FAILED.value
    assert "AccountBlocked" in (row.hold_detail or "")
    assert items_of(world, names[1]) == []
    untouched(world, names[1], 2 * SHARE)
    world.check_books()


@both_chains
def test_isolation__payee_blocked_after_sending__skipped_on_chain_then_held_and_the_others_paid(
    world: World,
) -> None:
    names = world.enter(3)
    world.tick()
    assert world.statuses(names) == [S.SETTLING] * 3
    hashes = world.drop_pending()
    world.stage.set_blocked(account(names[1]), blocked=True)
    (attempt,) = world.attempts_of(names[0])
    assert hashes == [attempt.attempt_hash]
    world.send_raw(attempt.raw)

    world.settle()
    assert world.statuses(names) == [S.SETTLED, S.HELD, S.SETTLED]
    row = world.row(names[1])
    assert row.hold_reason == HoldReason.PAYOUT_FAILED.value
    assert "AccountBlocked" in (row.hold_detail or "")
    (item,) = items_of(world, names[1])
    assert (item.outcome, item.live) == (ItemOutcome.SKIPPED, False)
    assert item.skip_reason == "payout_failed"
    untouched(world, names[1], 2 * SHARE)
    world.check_books()


def test_isolation__blocked_payee_taken_off_the_list__released_and_paid(world: World) -> None:
    names = world.enter(2)
    world.stage.set_blocked(account(names[0]), blocked=True)
    world.settle()
    assert world.statuses(names) == [S.HELD, S.SETTLED]
    world.stage.set_blocked(account(names[0]), blocked=False)
    world.step(3)
    assert world.status(names[0]) is S.HELD

    release(world, names[0])
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


def release(world: World, name: str) -> None:
    """A person lets a held redemption go on."""
    from settlement_node.domain.lifecycle import RedemptionFact

    with world.store.transaction(actor="a person") as tx:
        row = redemptions.get(tx, world.row(name).redemption_id)
        assert row is not None
        redemptions.record_fact(tx, row, RedemptionFact.HOLD_RELEASED)


@both_chains
@pytest.mark.parametrize("after_planning", [False, True], ids=["before", "after"])
def test_isolation__holder_has_too_few_shares__held_and_the_others_paid(
    world: World, after_planning: bool
) -> None:
    names = world.enter(3)
    if after_planning:
        world.tick()
        hashes = world.drop_pending()
        assert len(hashes) == 1
        (attempt,) = world.attempts_of(names[2])
        take_shares(world, names[2], 1)
        world.send_raw(attempt.raw)
    else:
        take_shares(world, names[2], 1)

    world.settle()
    assert world.statuses(names) == [S.SETTLED, S.SETTLED, S.HELD]
    row = world.row(names[2])
    assert row.hold_reason == HoldReason.BURN_FAILED.value
    assert "InsufficientBalance" in (row.hold_detail or "")
    assert len(items_of(world, names[2])) == int(after_planning)
    untouched(world, names[2], 3 * SHARE - 1)
    world.check_books()


@both_chains
@pytest.mark.parametrize("after_planning", [False, True], ids=["before", "after"])
def test_isolation__holder_no_longer_permitted__held_and_the_others_paid(
    world: World, after_planning: bool
) -> None:
    names = world.enter(3)
    if after_planning:
        world.tick()
        assert len(world.drop_pending()) == 1
        (attempt,) = world.attempts_of(names[0])
        set_permitted(world, names[0], permitted=False)
        world.send_raw(attempt.raw)
    else:
        set_permitted(world, names[0], permitted=False)

    world.settle()
    assert world.statuses(names) == [S.HELD, S.SETTLED, S.SETTLED]
    row = world.row(names[0])
    assert row.hold_reason == HoldReason.BURN_FAILED.value
    assert "HolderNotPermitted" in (row.hold_detail or "")
    untouched(world, names[0], SHARE)
    world.check_books()


def test_isolation__one_holder_orders_more_than_he_has_in_two_orders__first_paid_second_held(
    world: World,
) -> None:
    """Each order alone fits his shares; the preview runs them one after the other."""
    investor = account("one")
    world.stage.give_shares({investor: Shares(5 * SHARE)})
    orders = [world.order("other", SHARE)]
    from settlement_node.domain.redemption import RedemptionOrder

    orders += [
        RedemptionOrder(f"of-one-{n}", investor, investor, Shares(3 * SHARE)) for n in range(2)
    ]
    world.take_in(*orders)

    world.settle()
    assert world.statuses(["other", "of-one-0", "of-one-1"]) == [S.SETTLED, S.SETTLED, S.HELD]
    assert world.shares_of(investor) == 2 * SHARE
    world.check_books()


def test_isolation__payout_rounds_to_zero__held_and_the_others_paid(world: World) -> None:
    world.take_in(world.order("dust", 1), world.order("whole", SHARE))

    world.settle()
    assert world.statuses(["dust", "whole"]) == [S.HELD, S.SETTLED]
    assert world.row("dust").hold_reason == HoldReason.PAYOUT_ROUNDS_TO_ZERO.value
    untouched(world, "dust", 1)
    world.check_books()


def test_isolation__events_of_one_fund_cannot_be_read__the_lanes_other_funds_go_on(
    world: World,
) -> None:
    second = second_fund(world)
    lost = second.enter(1, "second")
    second.tick()
    second.settle()
    assert second.statuses(lost) == [S.SETTLED]
    rebuilt = world.new_node(node_id="other")
    world.node.stop()
    with world.store.transaction(actor="test") as tx:
        # As if the settler's first batch lay before the block it is read from.
        forget_settler_history(tx, second.fund_id, from_block=world.chain.head_number + 1)
    world.mine()

    names = rebuilt.enter(2)
    waiting = World(world.chain, second.stage, world.store, rebuilt.node, rebuilt.events).enter(
        1, "waiting"
    )
    rebuilt.tick(PassEnd.LATER)
    assert list(rebuilt.lane.unscanned) == [second.fund_id]
    rebuilt.step(4, PassEnd.LATER)
    assert rebuilt.statuses(names) == [S.SETTLED] * 2
    assert second.statuses(waiting) == [S.APPROVED]
    assert not rebuilt.lane_row().paused


def forget_settler_history(tx: Tx, fund_id: str, *, from_block: int) -> None:
    """Have a fund's settler read from a later block, and forget what was read of it."""
    (settler,) = settlers_of(tx, fund_id)
    own = settler["settler_address"]
    tx.connection.execute(
        t.settler_events.delete().where(t.settler_events.c.settler_address == own)
    )
    tx.connection.execute(
        t.fund_settlers.update()
        .where(t.fund_settlers.c.settler_address == own)
        .values(from_block=from_block, scanned_to_block=from_block - 1)
    )
