"""Consumers of the outbox: each advances by itself, in order, at least once, in one process at a
time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import RowMapping

from settlement_node.errors import LeaseLost
from settlement_node.notify.deliver import Sink, begin, deliver
from settlement_node.store.database import Store
from settlement_node.store.engine.leases import release_lease, take_lease
from settlement_node.store.fence import Fence
from settlement_node.store.telling.consumers import Consumer, lease_of, list_consumers
from tests_support.clock import Clock

PATIENCE_SECONDS = 60


class Taker:
    """A consumer that keeps the subjects it is given; while `fails` it takes none."""

    def __init__(self, name: str, *, from_now: bool = False) -> None:
        self.name = name
        self.from_now = from_now
        self.fails: str | None = None
        self.given: list[str] = []

    def deliver(self, events: Sequence[RowMapping]) -> None:
        if self.fails is not None:
            raise OSError(self.fails)
        self.given += [event["subject_id"] for event in events]


def emit(store: Store, *subjects: str) -> None:
    with store.transaction(actor="n") as tx:
        for subject in subjects:
            tx.emit("topic", subject, {})


def take(store: Store, sink: Sink, *, holder: str = "one", seconds: float = 30) -> Fence | None:
    """A process's lease of a consumer, which the book then knows."""
    fence = take_lease(store, name=lease_of(sink.name), holder=holder, seconds=seconds)
    if fence is not None:
        begin(store, sink, fence)
    return fence


def taken(store: Store, sink: Sink, *, holder: str = "one", seconds: float = 30) -> Fence:
    fence = take(store, sink, holder=holder, seconds=seconds)
    assert fence is not None
    return fence


def hand_over(store: Store, sink: Sink, fence: Fence, *, batch_max: int = 10) -> int:
    return deliver(store, sink, fence, batch_max=batch_max, checkpoint=lambda name: None)


def consumer(store: Store, name: str) -> Consumer:
    with store.read() as tx:
        (found,) = list_consumers(tx, name=name)
    return found


@pytest.fixture
def timed(store: Store, clock: Clock) -> tuple[Store, Clock]:
    """A store that goes by a clock of ours altogether."""
    store.database_clock = clock
    return store, clock


def test_deliver__more_than_a_batch__comes_in_order_and_none_twice(store: Store) -> None:
    emit(store, *"abcde")
    log = Taker("log")
    fence = taken(store, log)
    counts = [hand_over(store, log, fence, batch_max=2) for _ in range(4)]
    assert ([2, 2, 1, 0], list("abcde")) == (counts, log.given)


def test_deliver__one_fails__the_others_go_on(store: Store) -> None:
    mail, log = Taker("mail"), Taker("log")
    fences = {sink.name: taken(store, sink) for sink in (mail, log)}
    mail.fails = "the mail server is down"
    emit(store, "a", "b")
    with pytest.raises(OSError, match="mail server"):
        hand_over(store, mail, fences["mail"])
    assert (2, ["a", "b"]) == (hand_over(store, log, fences["log"]), log.given)
    assert (0, 1, "OSError: the mail server is down") == (
        consumer(store, "mail").last_event_id,
        consumer(store, "mail").failures_count,
        consumer(store, "mail").last_error,
    )


def test_deliver__it_failed__is_tried_less_and_less_often_and_misses_nothing(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    mail = Taker("mail")
    fence = taken(store, mail, seconds=10**6)
    mail.fails = "down"
    emit(store, "a")
    waits = []
    for _ in range(11):
        with pytest.raises(OSError, match="down"):
            hand_over(store, mail, fence)
        assert hand_over(store, mail, fence) == 0
        due = consumer(store, "mail").next_attempt_at_utc
        assert due is not None
        waits.append((due - clock.now_utc).total_seconds())
        clock.now_utc = due
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256]
    mail.fails = None
    emit(store, "b")
    assert (2, ["a", "b"]) == (hand_over(store, mail, fence), mail.given)
    assert (0, None, None) == (
        consumer(store, "mail").failures_count,
        consumer(store, "mail").last_error,
        consumer(store, "mail").next_attempt_at_utc,
    )


def test_begin__new_to_the_book__starts_where_it_says_and_once(store: Store) -> None:
    emit(store, "before")
    takers = [Taker("all"), Taker("later", from_now=True)]
    for sink in takers:
        taken(store, sink)
    emit(store, "after")
    for sink in takers:
        hand_over(store, sink, taken(store, sink))
    assert [["before", "after"], ["after"]] == [sink.given for sink in takers]


def test_deliver__its_process_ends_before_it_is_noted__the_next_hands_over_the_same_again(
    store: Store,
) -> None:
    emit(store, "a", "b")
    first, second = Taker("log"), Taker("log")
    fence = taken(store, first)

    def die(point: str) -> None:
        raise KeyboardInterrupt(point)

    with pytest.raises(KeyboardInterrupt, match=r"deliver\.before_commit"):
        deliver(store, first, fence, batch_max=10, checkpoint=die)
    release_lease(store, fence)
    emit(store, "c")
    hand_over(store, second, taken(store, second, holder="two"))
    assert (["a", "b"], ["a", "b", "c"]) == (first.given, second.given)


def test_deliver__two_processes__only_who_holds_it_gives_and_moves_it(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    slow, other = Taker("log"), Taker("log")
    old = taken(store, slow, holder="slow")
    assert take(store, other, holder="other") is None
    emit(store, "a")
    clock.advance(seconds=31)
    new = taken(store, other, holder="other")
    with pytest.raises(LeaseLost, match="consumer:log"):
        hand_over(store, slow, old)
    assert slow.given == []
    assert consumer(store, "log").last_event_id == 0
    assert (1, ["a"]) == (hand_over(store, other, new), other.given)


def test_deliver__lost_while_it_hands_over__it_does_not_move_it(
    timed: tuple[Store, Clock],
) -> None:
    store, clock = timed
    other = Taker("log")

    class Late(Taker):
        def deliver(self, events: Sequence[RowMapping]) -> None:
            super().deliver(events)
            clock.advance(seconds=31)
            taken(store, other, holder="other")

    late = Late("log")
    fence = taken(store, late, holder="late")
    emit(store, "a")
    with pytest.raises(LeaseLost, match="consumer:log"):
        hand_over(store, late, fence)
    assert late.given == ["a"]
    assert consumer(store, "log").last_event_id == 0


def test_deliver__a_transaction_commits_late__its_events_are_not_passed_over(store: Store) -> None:
    """The first to take ids holds its commit back; the second's come in between, were they let."""
    log = Taker("log")
    fence = taken(store, log)
    flushed, finish = threading.Event(), threading.Event()

    def commit_late() -> None:
        with store.transaction(actor="late") as tx:
            tx.emit("topic", "late", {})
            tx.flush()
            flushed.set()
            finish.wait(PATIENCE_SECONDS)

    late = threading.Thread(target=commit_late)
    quick = threading.Thread(target=emit, args=(store, "quick"))
    late.start()
    assert flushed.wait(PATIENCE_SECONDS)
    quick.start()
    time.sleep(0.3)
    # On SQLite nobody else can write meanwhile: there is nothing to be passed over.
    early = hand_over(store, log, fence)
    finish.set()
    for thread in (late, quick):
        thread.join(PATIENCE_SECONDS)
    hand_over(store, log, fence)
    assert (0, ["late", "quick"]) == (early, log.given)
