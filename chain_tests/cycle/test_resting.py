"""A fund whose orders all wait for money rests: nobody is asked again until something changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from chain_tests.marks import both_databases
from chain_tests.world import SHARE, World
from settlement_node.desk import operators
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.store.book.funds import set_nav
from settlement_node.units import Payout

S = RedemptionStatus
PER_SHARE = 103_989_375
"""What one share pays: 104.25 less 25 basis points, rounded up."""


@pytest.fixture
def resting(new_world: Callable[..., World]) -> World:
    """Five orders of ten shares, and money for two shares; one of one share is held."""
    world = new_world(treasury=2 * PER_SHARE, policy=EnginePolicy(batch_items_max=2))
    held, *_ = world.take_in(world.order("held", SHARE))
    with world.store.transaction(actor="test") as tx:
        operators.hold(tx, held.redemption_id, reason="a question to the investor")
    world.take_in(*(world.order(f"large-{n}", 10 * SHARE) for n in range(5)))
    world.tick()
    world.step(3)
    assert {S.APPROVED, S.HELD} == {row.status for row in world.rows()}
    return world


def statements_of(world: World, work: Callable[[], None]) -> list[str]:
    """What a piece of work asks the database."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(world.store.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        sa.event.remove(world.store.engine, "before_cursor_execute", note)
    return asked


@both_databases
def test_resting__nothing_has_changed__no_order_is_read(resting: World) -> None:
    asked = statements_of(resting, lambda: resting.step(2))
    assert [] == [s for s in asked if "settle_after_utc <=" in s or "UPDATE redemptions" in s]


def test_resting__money_comes__planned_in_the_next_pass(resting: World) -> None:
    resting.stage.give_money([resting.stage.treasury.address], Payout(20 * PER_SHARE))
    resting.stage.approve(Payout(10**15))
    resting.step()
    assert 2 == sum(row.status is S.SETTLING for row in resting.rows())


def test_resting__allowance_taken_and_given__planned_in_the_next_pass(resting: World) -> None:
    resting.stage.approve(Payout(0))
    resting.take_in(resting.order("small", SHARE))
    resting.step(2)
    assert S.APPROVED is resting.status("small")
    resting.stage.approve(Payout(10**15))
    resting.step()
    assert S.SETTLING is resting.status("small")


def test_resting__smaller_order_comes__planned_in_the_next_pass(resting: World) -> None:
    resting.take_in(resting.order("small", SHARE))
    resting.tick()
    assert S.SETTLING is resting.status("small")


def test_resting__hold_released__planned_in_the_next_pass(resting: World) -> None:
    with resting.store.transaction(actor="test") as tx:
        operators.release(tx, resting.row("held").redemption_id, reason="answered")
    resting.tick()
    assert S.SETTLING is resting.status("held")


def test_resting__one_held_and_one_released_at_once__the_count_is_the_same_and_it_is_planned(
    resting: World,
) -> None:
    with resting.store.transaction(actor="test") as tx:
        operators.hold(tx, resting.row("large-0").redemption_id, reason="another question")
        operators.release(tx, resting.row("held").redemption_id, reason="answered")
    resting.tick()
    assert S.SETTLING is resting.status("held")


def test_resting__price_falls__planned_in_the_next_pass(resting: World) -> None:
    with resting.store.transaction(actor="test") as tx:
        set_nav(tx, resting.fund_id, nav_per_share=20_000_000, nav_decimals=6)
    resting.tick()
    assert S.SETTLING is resting.status("large-0")


def test_resting__settlement_date_comes__planned_in_the_next_pass(
    new_world: Callable[..., World],
) -> None:
    world = new_world(treasury=2 * PER_SHARE)
    now_utc = datetime(2030, 1, 1, tzinfo=UTC)
    world.store.database_clock = lambda: now_utc
    due = now_utc + timedelta(seconds=5)
    dated = dataclasses.replace(world.order("dated", SHARE), settle_after_utc=due)
    world.take_in(world.order("large", 10 * SHARE), dated)
    world.tick()
    world.step(2)
    assert [S.APPROVED, S.APPROVED] == world.statuses(["large", "dated"])
    world.store.database_clock = lambda: due
    world.tick()
    assert [S.APPROVED, S.SETTLING] == world.statuses(["large", "dated"])


def test_resting__one_room_is_kept_for_is_held__the_next_is_planned(
    new_world: Callable[..., World],
) -> None:
    world = new_world(treasury=100 * PER_SHARE, daily_limit=10 * PER_SHARE)
    world.take_in(world.order("first", 6 * SHARE))
    world.settle()
    oldest, *_ = world.take_in(world.order("oldest", 9 * SHARE), world.order("small", SHARE))
    world.step(2)
    assert [S.APPROVED, S.APPROVED] == world.statuses(["oldest", "small"])
    with world.store.transaction(actor="test") as tx:
        operators.hold(tx, oldest.redemption_id, reason="a question")
    world.tick()
    assert S.SETTLING is world.status("small")
