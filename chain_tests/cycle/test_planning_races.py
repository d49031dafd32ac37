"""What a plan stands on, changed by another process while the plan is being committed: either the
commit sees it, or whoever changes it is told so only when the plan is in the book."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from chain_tests.marks import both_databases, on_postgresql
from chain_tests.world import SHARE, World
from settlement_node.desk import operators
from settlement_node.desk.intake import take_in
from settlement_node.domain.breaks import SupplyDiffers
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.errors import Transient
from settlement_node.node.stages.heads import follow_head
from settlement_node.node.stages.plan import plan
from settlement_node.node.stages.scan import scan
from settlement_node.store.book.funds import get_fund
from settlement_node.store.database import Store, Tx, open_engine
from settlement_node.store.telling.attention import open_break

PATIENCE_SECONDS = 60.0
S = RedemptionStatus


def pause_fund(world: World, tx: Tx) -> None:
    operators.pause_fund(tx, world.fund_id, reason="the administrator asked")


def set_nav(world: World, tx: Tx) -> None:
    operators.set_nav(tx, world.fund_id, price="0.5", nav_decimals=6, reason="the price fell")


def pause_lane(world: World, tx: Tx) -> None:
    operators.pause(
        tx,
        chain_id=world.chain.chain_id,
        signer_address=world.stage.operator.address,
        reason="the key may be known",
    )


def find_difference(world: World, tx: Tx) -> None:
    open_break(tx, get_fund(tx, world.fund_id), SupplyDiffers(world.fund_id, 1, 2))


CHANGES: dict[str, Callable[[World, Tx], None]] = {
    "fund pause": pause_fund,
    "fund nav": set_nav,
    "lane pause": pause_lane,
    "money break": find_difference,
}


@pytest.fixture
def other(postgresql_url: str, book: Store) -> Iterator[Store]:
    """The same database over connections of another process."""
    engine = open_engine(postgresql_url)
    yield Store(engine)
    engine.dispose()


def is_somebody_waiting(store: Store) -> bool:
    """Whether a connection waits for a lock of another."""
    with store.read() as tx:
        count = tx.connection.execute(
            sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        ).scalar_one()
    return bool(count)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "the other thread neither waited nor ended"
        time.sleep(0.01)


@on_postgresql
@pytest.mark.parametrize("change", list(CHANGES))
def test_plan__changed_by_a_commit_still_open__waits_for_it_and_plans_nothing_on_the_old(
    world: World, other: Store, change: str
) -> None:
    world.tick()
    world.enter(2)
    lane = world.lane
    follow_head(lane)
    scan(lane)

    def plan_now() -> None:
        with suppress(Transient):
            plan(lane)

    planning = threading.Thread(target=plan_now)
    with other.transaction(actor="person") as tx:
        CHANGES[change](world, tx)
        planning.start()
        until(lambda: not planning.is_alive() or is_somebody_waiting(other))
    planning.join(PATIENCE_SECONDS)
    assert [] == world.unfinal()


@on_postgresql
@pytest.mark.parametrize("change", list(CHANGES))
def test_plan__changed_while_it_commits__is_in_the_book_before_the_change_is_acknowledged(
    world: World, other: Store, change: str
) -> None:
    world.tick()
    world.enter(2)
    acknowledged = threading.Event()
    acknowledged_before_the_plan: list[bool] = []

    def change_it() -> None:
        with other.transaction(actor="person") as tx:
            CHANGES[change](world, tx)
        acknowledged.set()

    changing = threading.Thread(target=change_it)

    def meanwhile(
        _connection: sa.Connection, _cursor: object, statement: str, *_rest: object
    ) -> None:
        if statement.startswith("INSERT INTO settlements"):
            changing.start()
            until(lambda: acknowledged.is_set() or is_somebody_waiting(other))
            acknowledged_before_the_plan.append(acknowledged.is_set())

    engine = world.store.engine
    sa.event.listen(engine, "before_cursor_execute", meanwhile)
    try:
        world.tick()
    finally:
        sa.event.remove(engine, "before_cursor_execute", meanwhile)
    changing.join(PATIENCE_SECONDS)
    assert acknowledged_before_the_plan == [False]
    assert acknowledged.is_set()


@on_postgresql
def test_plan__orders_are_being_taken_in__is_not_kept_waiting(world: World, other: Store) -> None:
    world.tick()
    names = world.enter(2)
    later = world.order("later", SHARE)

    def not_for_ever(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")

    sa.event.listen(world.store.engine, "begin", not_for_ever)
    with other.transaction(actor="person") as tx:
        take_in(tx, world.fund_id, [later], approved_by="person")
        world.tick()
    assert world.statuses([*names, "later"]) == [S.SETTLING, S.SETTLING, S.APPROVED]


@both_databases
def test_plan__the_nodes_clock_is_wrong__settlement_dates_go_by_the_databases(world: World) -> None:
    world.tick()
    with world.store.read() as tx:
        now_utc = world.store.database_now(tx.connection)
    come, ahead = world.orders(2)
    come = dataclasses.replace(come, settle_after_utc=now_utc - timedelta(seconds=5))
    ahead = dataclasses.replace(ahead, settle_after_utc=now_utc + timedelta(hours=1))
    world.take_in(come, ahead)
    for skew in (timedelta(days=-3), timedelta(days=3)):
        world.store.clock = lambda skew=skew: now_utc + skew
        world.tick()
        world.mine()
    assert world.statuses([come.external_id, ahead.external_id]) != [S.APPROVED, S.APPROVED]
    assert world.status(ahead.external_id) is S.APPROVED
