"""The node's workers: each says what fails; each consumer of events has one, and none of them keeps
the outbox for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import RowMapping
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from settlement_node.errors import Transient
from settlement_node.node.context import NodeContext
from settlement_node.node.runtime import Intervals, Node
from settlement_node.node.stages.retain import OUTBOX_KEPT, UNREAD_KEPT, retain
from settlement_node.node.stages.watch import watch
from settlement_node.store.database import Store, open_engine
from settlement_node.store.engine.leases import take_lease
from settlement_node.store.telling import attention, consumers, outbox
from tests_support.clock import Clock

PATIENCE_SECONDS = 60
QUICK = Intervals(deliver_seconds=0.05, lease_seconds=0.1)
IN_THE_BOOK = pytest.mark.parametrize("database_name", ["sqlite"], indirect=True)


class Taker:
    """A consumer that says when it was given something, and takes as long as `hold` is unset."""

    from_now = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.hold = threading.Event()
        self.given = threading.Event()

    def deliver(self, events: Sequence[RowMapping]) -> None:
        assert events
        self.given.set()
        assert self.hold.wait(PATIENCE_SECONDS)


@pytest.fixture
def context(store: Store, clock: Clock) -> NodeContext:
    store.database_clock = clock
    return NodeContext(store=store, chains={}, signers={}, node_id="node")


def emit(store: Store, *subjects: str) -> None:
    with store.transaction(actor="n") as tx:
        for subject in subjects:
            tx.emit("topic", subject, {})


def enter(store: Store, *names: str) -> None:
    with store.transaction(actor="n") as tx:
        for name in names:
            consumers.enter(tx, name, from_now=False)


@IN_THE_BOOK
def test_node__a_consumer_hangs__the_others_are_given(context: NodeContext) -> None:
    hangs, other = Taker("hangs"), Taker("other")
    other.hold.set()
    node = Node(context, sinks=[hangs, other], intervals=QUICK)
    node.start()
    try:
        emit(context.store, "a")
        assert hangs.given.wait(PATIENCE_SECONDS)
        other.given.clear()
        emit(context.store, "b")
        assert other.given.wait(PATIENCE_SECONDS / 6)
    finally:
        hangs.hold.set()
        node.stop()


@IN_THE_BOOK
def test_node__another_holds_the_consumer__it_is_given_nothing_until_that_ends(
    context: NodeContext, clock: Clock
) -> None:
    taker = Taker("log")
    taker.hold.set()
    emit(context.store, "a")
    take_lease(context.store, name=consumers.lease_of("log"), holder="other", seconds=30)
    node = Node(context, sinks=[taker])
    node.tick()
    assert not taker.given.is_set()
    clock.advance(seconds=31)
    node.tick()
    assert taker.given.is_set()


@IN_THE_BOOK
def test_node__stopped__another_has_its_consumer_at_once(context: NodeContext) -> None:
    node = Node(context, sinks=[Taker("log")])
    node.tick()
    node.stop()
    assert take_lease(context.store, name=consumers.lease_of("log"), holder="b", seconds=30)


@IN_THE_BOOK
def test_retain__a_consumer_stands_still_too_long__is_passed_over_and_said(
    context: NodeContext, clock: Clock
) -> None:
    store = context.store
    enter(store, "dead")
    emit(store, "a", "b")
    clock.advance(seconds=(OUTBOX_KEPT + timedelta(days=1)).total_seconds())
    emit(store, "c")
    assert retain(context) == 0
    clock.advance(seconds=(UNREAD_KEPT - OUTBOX_KEPT).total_seconds())
    with capture_logs() as lines:
        assert retain(context) == 2
    assert [("error", "dead", 0, 2)] == [
        (line["log_level"], line["consumer"], line["after_event_id"], line["to_event_id"])
        for line in lines
        if line["event"] == "events_missed"
    ]
    with store.read() as tx:
        assert ["c"] == [event["subject_id"] for event in outbox.after(tx, 0)]


@IN_THE_BOOK
def test_node__a_worker_fails__its_log_line_has_the_worker_and_the_cause(
    context: NodeContext,
) -> None:
    class Fails(Taker):
        def deliver(self, events: Sequence[RowMapping]) -> None:
            assert events
            raise Transient("the mail server does not answer", cause="connection refused")

    emit(context.store, "a")
    with capture_logs(processors=[merge_contextvars]) as lines:
        Node(context, sinks=[Fails("mail")]).tick()
    assert [("deliver mail", "the mail server does not answer", "connection refused")] == [
        (line["worker"], line["reason"], line["cause"])
        for line in lines
        if line["event"] == "worker_failed"
    ]


@IN_THE_BOOK
def test_node__the_database_refuses_writes__the_log_says_so_of_each_worker(
    context: NodeContext,
) -> None:
    emit(context.store, "a")
    path = context.store.engine.url.database
    refusing = open_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    node = Node(replace(context, store=Store(refusing)))
    with capture_logs(processors=[merge_contextvars]) as lines:
        node.tick()
        node._run("health", node.note_health)
    refusing.dispose()
    failed = {line["worker"]: line["cause"] for line in lines if line["event"] == "worker_failed"}
    assert failed.keys() == {"leases", "health"}
    assert all("can only be read" in cause for cause in failed.values())


@IN_THE_BOOK
def test_log_sink__events__are_no_lines_at_info(context: NodeContext) -> None:
    emit(context.store, "a")
    with capture_logs() as lines:
        Node(context).tick()
    assert [("debug", "topic")] == [
        (line["log_level"], line["topic"]) for line in lines if line["event"] == "event"
    ]


def told(context: NodeContext) -> Iterator[tuple[str, str]]:
    watch(context, [])
    with context.store.read() as tx:
        for alert in attention.open_alerts(tx):
            yield alert["subject"], alert["detail"]


@IN_THE_BOOK
def test_watch__a_consumer_is_not_given_its_events__is_told_until_it_is(
    context: NodeContext, clock: Clock
) -> None:
    store = context.store
    enter(store, "mail", "log")
    emit(store, "a")
    with store.transaction(actor="n") as tx:
        event_id = outbox.last_id(tx)
        consumers.advance(tx, "log", to_event_id=event_id)
        consumers.note_failure(tx, "mail", "server down", next_attempt_at_utc=clock.now_utc)
    early = list(told(context))
    clock.advance(seconds=300)
    late = list(told(context))
    with store.transaction(actor="n") as tx:
        consumers.advance(tx, "mail", to_event_id=event_id)
    words = "not given what happened since 2026-01-05 12:00 UTC: server down"
    assert ([], [("consumer:mail", words)], []) == (early, late, list(told(context)))
