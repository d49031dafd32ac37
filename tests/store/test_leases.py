"""Invariant 10: one writer per lane, checked in every commit that touches it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from settlement_node.errors import LeaseLost
from settlement_node.store import tables as t
from settlement_node.store.database import Store
from settlement_node.store.engine.leases import release_lease, take_lease
from settlement_node.store.fence import Fence
from settlement_node.store.telling import records
from tests_support.book import LANE
from tests_support.clock import Clock

YEAR_SECONDS = 365 * 86_400
COMMITS_EACH = 12


def take(store: Store, holder: str, *, seconds: float = 30) -> Fence | None:
    return take_lease(store, name=LANE, holder=holder, seconds=seconds)


def taken(store: Store, holder: str, *, seconds: float = 30) -> Fence:
    fence = take(store, holder, seconds=seconds)
    assert fence is not None
    return fence


@pytest.fixture
def timed(store: Store) -> tuple[Store, Clock]:
    """A store whose leases go by a clock of ours."""
    clock = Clock()
    store.database_clock = clock
    return store, clock


def test_take_lease__free__gives_a_fence(store: Store) -> None:
    assert take(store, "a") == Fence(name=LANE, holder="a", fencing_token=1)


def test_take_lease__held_by_another__gives_none(store: Store) -> None:
    taken(store, "a")
    assert take(store, "b") is None


def test_take_lease__held_by_itself__renews_under_the_same_token(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    first = taken(store, "a", seconds=30)
    clock.advance(seconds=20)
    renewed = taken(store, "a", seconds=30)
    clock.advance(seconds=20)
    assert (first, None) == (renewed, take(store, "b"))


def test_take_lease__run_out__goes_to_another_under_a_higher_token(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    old = taken(store, "a", seconds=30)
    clock.advance(seconds=30)
    new = taken(store, "b", seconds=30)
    assert new.fencing_token > old.fencing_token


def test_take_lease__own_one_run_out__gets_a_higher_token(timed: tuple[Store, Clock]) -> None:
    store, clock = timed
    old = taken(store, "a", seconds=30)
    clock.advance(seconds=31)
    assert taken(store, "a").fencing_token == old.fencing_token + 1


def take_after(store: Store, *, ended: str) -> Fence | None:
    """What another gets that knows one process to have ended."""
    return take_lease(
        store, name=LANE, holder="b", seconds=30, process="two", has_ended=lambda p: p == ended
    )


def test_take_lease__holders_process_has_ended__goes_to_another_at_once_under_a_higher_token(
    store: Store,
) -> None:
    old = take_lease(store, name=LANE, holder="a", seconds=3600, process="one")
    new = take_after(store, ended="one")
    assert (old, new) == (Fence(LANE, "a", 1), Fence(LANE, "b", 2))
    with pytest.raises(LeaseLost), store.transaction(actor="a", fence=old) as tx:
        tx.audit("wrote", "lane", LANE)


def test_take_lease__holders_process_lives_or_is_unknown__gives_none(store: Store) -> None:
    take_lease(store, name=LANE, holder="a", seconds=3600, process="one")
    assert take_after(store, ended="another") is None
    take_lease(store, name=LANE, holder="a", seconds=3600, process=None)
    assert take_after(store, ended="one") is None


def test_take_lease__two_lanes__are_independent(store: Store) -> None:
    taken(store, "a")
    other = take_lease(store, name="1:0xother", holder="b", seconds=30)
    assert other is not None


def test_release_lease__held__frees_the_lane_at_once(store: Store) -> None:
    fence = taken(store, "a")
    release_lease(store, fence)
    assert taken(store, "b").fencing_token == fence.fencing_token + 1


def test_release_lease__taken_over_meanwhile__leaves_the_new_holder_alone(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    old = taken(store, "a", seconds=10)
    clock.advance(seconds=10)
    new = taken(store, "b", seconds=30)
    release_lease(store, old)
    assert (None, new) == (take(store, "a"), taken(store, "b"))


def test_transaction__under_a_live_fence__commits(store: Store) -> None:
    with store.transaction(actor="a", fence=taken(store, "a")) as tx:
        tx.audit("wrote", "lane", LANE)
    with store.read() as tx:
        assert "wrote" in [fact["action"] for fact in records.audit_of(tx, "lane", LANE)]


def test_transaction__after_a_take_over__is_refused_for_the_old_holder_only(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    old = taken(store, "a", seconds=10)
    clock.advance(seconds=10)
    new = taken(store, "b", seconds=30)
    with pytest.raises(LeaseLost), store.transaction(actor="a", fence=old) as tx:
        tx.audit("wrote", "lane", LANE)
    with store.transaction(actor="b", fence=new) as tx:
        tx.audit("wrote", "lane", LANE)
    with store.read() as tx:
        facts = records.audit_of(tx, "lane", LANE)
    assert [f["actor"] for f in facts if f["action"] == "wrote"] == ["b"]


def test_transaction__lease_run_out_but_not_taken__is_refused(timed: tuple[Store, Clock]) -> None:
    store, clock = timed
    fence = taken(store, "a", seconds=10)
    clock.advance(seconds=10)
    with pytest.raises(LeaseLost), store.transaction(actor="a", fence=fence):
        pass


@pytest.mark.parametrize(
    "forged",
    [
        Fence(name=LANE, holder="b", fencing_token=1),
        Fence(name=LANE, holder="a", fencing_token=2),
        Fence(name="1:0xnever", holder="a", fencing_token=1),
    ],
    ids=["another holder", "another token", "another lane"],
)
def test_transaction__under_a_fence_never_given__is_refused(store: Store, forged: Fence) -> None:
    taken(store, "a")
    with pytest.raises(LeaseLost), store.transaction(actor="x", fence=forged):
        pass


def test_take_lease__by_the_databases_own_time__ignores_the_nodes_clock(
    store: Store, clock: Clock
) -> None:
    taken(store, "a", seconds=3600)
    clock.advance(seconds=10 * 3600)
    assert take(store, "b") is None


def test_transaction__the_nodes_clock_jumps__the_lease_goes_by_the_databases(
    store: Store, clock: Clock
) -> None:
    fence = taken(store, "a", seconds=3600)
    clock.advance(seconds=10 * YEAR_SECONDS)
    with store.transaction(actor="a", fence=fence) as tx:
        tx.audit("far ahead", "thing", "1")

    run_out = taken(store, "a", seconds=0)
    clock.advance(seconds=-20 * YEAR_SECONDS)
    with pytest.raises(LeaseLost), store.transaction(actor="a", fence=run_out) as tx:
        tx.audit("far behind", "thing", "1")
    with store.read() as tx:
        assert [f["action"] for f in records.audit_of(tx, "thing", "1")] == ["far ahead"]


def test_database_now__asked_twice__is_near_and_does_not_go_back(store: Store) -> None:
    with store.read() as tx:
        first = store.database_now(tx.connection)
        second = store.database_now(tx.connection)
    assert timedelta(0) <= second - first < timedelta(seconds=5)
    assert first.utcoffset() == timedelta(0)


def test_take_lease__many_at_once__gives_it_to_exactly_one(store: Store) -> None:
    got: list[Fence | None] = []
    failures: list[BaseException] = []
    ready = threading.Barrier(6)

    def run(name: str) -> None:
        try:
            ready.wait()
            got.append(take(store, name))
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f"n{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(fence is not None for fence in got) == [False] * 5 + [True]


def test_take_lease__while_the_holder_commits__waits_for_that_commit(
    timed: tuple[Store, Clock],
) -> None:
    """A commit that passed its check cannot be overtaken by a new holder's first commit."""
    store, clock = timed
    fence = taken(store, "a", seconds=10)
    checked, finish = threading.Event(), threading.Event()
    order: list[str] = []

    def commit() -> None:
        with store.transaction(actor="a", fence=fence) as tx:
            tx.audit("wrote", "lane", LANE)
            checked.set()
            finish.wait(60)
            order.append("old holder commits")

    def take_over() -> None:
        while take(store, "b") is None:
            pass
        order.append("new holder begins")

    writer = threading.Thread(target=commit)
    writer.start()
    assert checked.wait(60)
    clock.advance(seconds=10)
    taker = threading.Thread(target=take_over)
    taker.start()
    taker.join(0.8)
    finish.set()
    writer.join()
    taker.join()
    assert order == ["old holder commits", "new holder begins"]


def test_leases__two_nodes_fighting_over_a_lane__every_commit_has_the_newest_token(
    timed: tuple[Store, Clock],
) -> None:
    """Real threads, short leases: tokens in commit order never go down.

    Time goes on with every take that finds the lane held, so that leases lapse as often on a slow
    machine as on a fast one. Whoever is left alone gets its commits in.
    """
    store, clock = timed
    turn = threading.Lock()
    failures: list[BaseException] = []

    def run(name: str) -> None:
        try:
            commits = 0
            while commits < COMMITS_EACH:
                fence = take(store, name, seconds=1)
                if fence is None:
                    with turn:
                        clock.advance(seconds=1)
                    continue
                try:
                    with store.transaction(actor=name, fence=fence) as tx:
                        tx.emit("token", name, {"token": fence.fencing_token})
                    commits += 1
                except LeaseLost:
                    pass
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f"n{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        rows = tx.connection.execute(sa.select(t.outbox).order_by(t.outbox.c.event_id)).all()
    tokens = [row.payload["token"] for row in rows]
    assert failures == []
    assert len(tokens) == 3 * COMMITS_EACH
    assert tokens == sorted(tokens)
    by_token = {(row.payload["token"], row.subject_id) for row in rows}
    assert len({token for token, _ in by_token}) == len(by_token)
