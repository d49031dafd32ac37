"""Pauses of every kind: nothing is burned unpaid while they last, and work resumes by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_tests.marks import both_chains
from chain_tests.world import World
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.stages.watch import watch
from settlement_node.store.book.funds import set_fund_paused
from settlement_node.store.engine.lanes import set_lane_paused

S = RedemptionStatus


def set_settler_paused(world: World, *, paused: bool) -> None:
    world.stage.deployer.transact(
        world.stage.fund.settler_address, "RedemptionSettler", "pause" if paused else "unpause"
    )


def set_share_paused(world: World, *, paused: bool) -> None:
    world.stage.deployer.transact(
        world.stage.fund.share_token_address, "FundToken", "pause" if paused else "unpause"
    )


def set_money_paused(world: World, *, paused: bool) -> None:
    world.stage.deployer.transact(
        world.stage.fund.payout_token_address, "TestStablecoin", "pause" if paused else "unpause"
    )


PAUSES = {
    "settler": (set_settler_paused, "settler"),
    "share": (set_share_paused, "token_paused"),
    "money": (set_money_paused, "token_paused"),
}


def look(world: World) -> None:
    """The watch stage, which runs on its own interval."""
    watch(world.context(), world.node.lanes.values())


@both_chains
@pytest.mark.parametrize("what", list(PAUSES))
def test_pause__before_planning__waits_and_resumes_by_itself(world: World, what: str) -> None:
    set_paused, word = PAUSES[what]
    names = world.enter(3)
    supply = [world.shares_of(row.investor_address) for row in world.rows()]
    set_paused(world, paused=True)

    world.tick()
    world.step(3)
    assert world.statuses(names) == [S.APPROVED] * 3
    assert {row.waiting_on for row in world.rows()} == {word}
    assert [world.shares_of(row.investor_address) for row in world.rows()] == supply
    assert world.unfinal() == []

    set_paused(world, paused=False)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    world.check_books()


@both_chains
@pytest.mark.parametrize("what", list(PAUSES))
def test_pause__after_sending__nothing_burned_unpaid_and_resumes_by_itself(
    world: World, what: str
) -> None:
    """The batch is mined while everything in it fails; nobody is held for it."""
    set_paused, word = PAUSES[what]
    names = world.enter(3)
    shares = [world.shares_of(row.investor_address) for row in world.rows()]
    world.tick()
    assert len(world.drop_pending()) == 1
    (attempt,) = world.attempts_of(names[0])
    set_paused(world, paused=True)
    world.send_raw(attempt.raw)

    world.step(6)
    assert world.statuses(names) == [S.APPROVED] * 3
    assert {row.waiting_on for row in world.rows()} == {word}
    assert [world.shares_of(row.investor_address) for row in world.rows()] == shares

    set_paused(world, paused=False)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    world.check_books()


def test_pause__settler_paused__alert_raised_and_cleared(world: World) -> None:
    world.tick()
    set_settler_paused(world, paused=True)
    world.tick()
    look(world)
    assert world.alerts() == {"settler_paused"}

    set_settler_paused(world, paused=False)
    world.tick()
    look(world)
    assert world.alerts() == set()


def test_pause__operator_revoked__waits_for_the_settler_and_says_so(world: World) -> None:
    names = world.enter(2)
    world.stage.deployer.transact(
        world.stage.fund.settler_address, "RedemptionSettler", "revokeOperator"
    )

    world.tick()
    world.step(2)
    look(world)
    assert world.statuses(names) == [S.APPROVED] * 2
    assert {row.waiting_on for row in world.rows()} == {"settler"}
    assert world.alerts() == {"settler_paused"}
    assert world.unfinal() == []


@pytest.mark.parametrize("what", ["lane", "fund"])
def test_pause__by_a_person__what_is_in_flight_is_tracked_and_nothing_new_planned(
    world: World, what: str
) -> None:
    def set_paused(*, paused: bool) -> None:
        with world.store.transaction(actor="a person") as tx:
            if what == "lane":
                fund = world.stage.fund
                set_lane_paused(tx, fund.chain_id, fund.lane_address, paused=paused, reason="audit")
            else:
                set_fund_paused(tx, world.fund_id, paused=paused, reason="audit")

    first = world.enter(2, "first")
    world.tick()
    set_paused(paused=True)
    second = world.enter(2, "second")
    world.step(4)
    assert world.statuses(first) == [S.SETTLED] * 2
    assert world.statuses(second) == [S.APPROVED] * 2
    assert {world.row(name).waiting_on for name in second} == {f"{what}_paused"}

    set_paused(paused=False)
    world.settle()
    assert world.statuses(second) == [S.SETTLED] * 2
    world.check_books()


def test_pause__of_a_lane_whose_batch_the_mempools_forgot__sent_again_only_when_resumed(
    world: World,
) -> None:
    fund = world.stage.fund
    names = world.enter(2)
    world.tick()
    with world.store.transaction(actor="a person") as tx:
        set_lane_paused(tx, fund.chain_id, fund.lane_address, paused=True, reason="audit")
    (dropped,) = world.drop_pending()
    world.step(6)
    (attempt,) = world.attempts_of(names[0])
    assert (attempt.attempt_hash, attempt.sends_count) == (dropped, 1)
    assert not world.is_pending(dropped)

    with world.store.transaction(actor="a person") as tx:
        set_lane_paused(tx, fund.chain_id, fund.lane_address, paused=False, reason="audit")
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


def pause_at(world: World, point: str) -> None:
    """Have a person pause the lane the first time the node comes to a point."""
    fund = world.stage.fund
    passed: list[str] = []

    def at(name: str) -> None:
        if name == point and not passed:
            passed.append(name)
            with world.store.transaction(actor="a person") as tx:
                set_lane_paused(tx, fund.chain_id, fund.lane_address, paused=True, reason="audit")

    world.at_each_point(at)


def test_pause__of_a_lane_while_a_pass_is_under_way__that_pass_sends_nothing_again(
    world: World,
) -> None:
    names = world.enter(2)
    world.tick()
    (dropped,) = world.drop_pending()
    pause_at(world, "heads.after_commit")
    world.step(6)
    (attempt,) = world.attempts_of(names[0])
    assert (dropped, 1) == (attempt.attempt_hash, attempt.sends_count)


def test_pause__of_a_lane_while_a_batch_is_planned__signed_only_when_resumed(
    world: World,
) -> None:
    names = world.enter(2)
    pause_at(world, "plan.after_commit")
    world.tick()
    assert [S.SETTLING] * 2 == world.statuses(names)
    assert [] == world.attempts_of(names[0])


def test_pause__settlement_date_in_the_future__not_planned_before(
    new_world: Callable[..., World],
) -> None:
    import dataclasses
    from datetime import UTC, datetime, timedelta

    world = new_world()
    now = datetime(2030, 1, 1, tzinfo=UTC)
    world.store.database_clock = lambda: now
    due = now + timedelta(days=1)
    order = dataclasses.replace(world.order("later"), settle_after_utc=due)
    world.take_in(order)
    world.tick()
    world.step(2)
    assert world.status("later") is S.APPROVED

    world.store.database_clock = lambda: due
    world.settle()
    assert world.status("later") is S.SETTLED
