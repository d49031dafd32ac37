"""GET /v1/events: order, completeness, resuming, slow readers, and how soon."""

from __future__ import annotations

import ast
import asyncio
import json
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from settlement_node.api.app import create_app
from settlement_node.api.hub import EventHub, Gap, Opened, StreamEvent
from settlement_node.api.routes.events import wanted
from settlement_node.domain.topics import TOPICS
from settlement_node.errors import Transient
from settlement_node.store.database import Store
from settlement_node.store.telling import outbox
from tests.api.support import (
    ENVIRONMENT,
    Api,
    ScriptedChain,
    api_settings,
    node_context,
    problem_of,
    serving,
)
from tests_support.stores import DATABASES


@pytest.fixture(params=DATABASES)
def database_name(request: pytest.FixtureRequest) -> str:
    """Both: what is asked for here is the database's doing."""
    return str(request.param)


@dataclass
class Message:
    event: str | None
    id: str | None
    data: Any
    arrived_at: float


def emit(store: Store, *numbers: int, topic: str = "thing.done") -> None:
    with store.transaction(actor="test") as tx:
        for number in numbers:
            tx.emit(topic, str(number), {"n": number})


def messages(lines: Iterator[str], count: int) -> list[Message]:
    """The first so many messages that have data."""
    found: list[Message] = []
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            data = json.loads(fields["data"])
            found.append(Message(fields.get("event"), fields.get("id"), data, time.perf_counter()))
        fields = {}
        if len(found) == count:
            break
    return found


def wait_until_open(lines: Iterator[str]) -> None:
    for line in lines:
        if line.startswith(": open behind"):
            return
    raise AssertionError("the stream ended before it was open")


@pytest.fixture
def client(app: FastAPI, store: Store, tmp_path: Path) -> Iterator[httpx.Client]:
    store.on_commit = app.state.context.hub.wake
    with serving(app, tmp_path / "api.sock") as served:
        yield served


def numbers(found: list[Message]) -> list[int]:
    return [message.data["payload"]["n"] for message in found]


def test_stream__from_the_beginning__gives_everything_in_order_with_ids(
    client: httpx.Client, store: Store
) -> None:
    emit(store, 1, 2)
    emit(store, 3)
    with client.stream("GET", "/v1/events", params={"after": 0}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        found = messages(answer.iter_lines(), 3)
    assert numbers(found) == [1, 2, 3]
    assert [m.id for m in found] == [str(m.data["event_id"]) for m in found]
    assert found[0].event == found[0].data["topic"] == "thing.done"
    assert found[0].data["created_at_utc"] == "2026-01-05T12:00:00Z"


def test_stream__without_a_position__is_live_only(client: httpx.Client, store: Store) -> None:
    emit(store, 1)
    with client.stream("GET", "/v1/events") as answer:
        lines = answer.iter_lines()
        wait_until_open(lines)
        emit(store, 2)
        assert numbers(messages(lines, 1)) == [2]


def test_stream__resumed_by_last_event_id__loses_and_repeats_none(
    client: httpx.Client, store: Store
) -> None:
    emit(store, *range(10))
    with client.stream("GET", "/v1/events", params={"after": 0}) as answer:
        first = messages(answer.iter_lines(), 4)
    emit(store, *range(10, 15))
    resume = {"Last-Event-ID": str(first[-1].id)}
    with client.stream("GET", "/v1/events", headers=resume) as answer:
        rest = messages(answer.iter_lines(), 11)
    assert numbers(first) + numbers(rest) == list(range(15))


def test_stream__a_long_past_while_new_events_arrive__has_no_hole(
    client: httpx.Client, store: Store
) -> None:
    emit(store, *range(1_200))
    stop = threading.Event()

    def write_on() -> int:
        number = 1_200
        while not stop.is_set() and number < 1_400:
            emit(store, number)
            number += 1
        return number

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write_on)
        with client.stream("GET", "/v1/events", params={"after": 0}) as answer:
            found = messages(answer.iter_lines(), 1_300)
        stop.set()
        writing.result()
    assert numbers(found) == list(range(1_300))


def test_stream__to_two_subscribers__gives_both_everything(
    client: httpx.Client, store: Store
) -> None:
    opened = threading.Barrier(3)

    def follow() -> list[int]:
        with client.stream("GET", "/v1/events") as answer:
            lines = answer.iter_lines()
            wait_until_open(lines)
            opened.wait(60)
            return numbers(messages(lines, 20))

    with ThreadPoolExecutor(2) as readers:
        reading = [readers.submit(follow) for _ in range(2)]
        opened.wait(60)
        for number in range(20):
            emit(store, number)
        assert [r.result(60) for r in reading] == [list(range(20))] * 2


def test_stream__with_topics__gives_these_alone(client: httpx.Client, store: Store) -> None:
    emit(store, 1, topic="redemption.paid")
    emit(store, 2, topic="redemption.settled")
    emit(store, 3, topic="settlement.settled")
    emit(store, 4, topic="redemptions.other")
    asked = {"after": 0, "topic": ["redemption", "settlement.settled"]}
    with client.stream("GET", "/v1/events", params=asked) as answer:
        assert numbers(messages(answer.iter_lines(), 3)) == [1, 2, 3]


def test_stream__a_position_no_longer_kept__begins_with_a_gap(
    client: httpx.Client, store: Store
) -> None:
    emit(store, 1, 2, 3)
    with store.transaction(actor="retain") as tx:
        outbox.drop_old(tx, before_utc=tx.now_utc + timedelta(days=1), limit=2)
    with client.stream("GET", "/v1/events", headers={"Last-Event-ID": "1"}) as answer:
        gap, event = messages(answer.iter_lines(), 2)
    assert gap.event == "gap"
    assert gap.data == {"requested_after": 1, "oldest_kept_id": 3, "newest_id": 3}
    assert event.data["payload"] == {"n": 3}


def test_stream__a_position_of_the_future__is_a_gap_and_goes_on_live(
    client: httpx.Client, store: Store
) -> None:
    emit(store, 1)
    with client.stream("GET", "/v1/events", params={"after": 500}) as answer:
        lines = answer.iter_lines()
        (gap,) = messages(lines, 1)
        assert gap.data["newest_id"] == 1
        wait_until_open(lines)
        emit(store, 2)
        assert numbers(messages(lines, 1)) == [2]


@pytest.mark.parametrize(
    ("params", "headers", "field"),
    [
        ({"after": -1}, {}, "after"),
        ({"after": "x"}, {}, "after"),
        ({"after": 2**63}, {}, "after"),
        ({}, {"Last-Event-ID": "abc"}, "Last-Event-ID"),
        ({}, {"Last-Event-ID": "1" * 30}, "Last-Event-ID"),
        ({"topic": "a b"}, {}, "topic"),
        ({"topic": ["x"] * 21}, {}, "topic"),
    ],
    ids=str,
)
def test_stream__a_bad_position_or_topic__is_422(
    api: Api, params: dict[str, Any], headers: dict[str, str], field: str
) -> None:
    assert problem_of(api.get("/v1/events", params=params, headers=headers), 422)["field"] == field


def test_stream__beyond_the_places__is_503(
    store: Store, chain: ScriptedChain, tmp_path: Path
) -> None:
    app = create_app(
        node_context(store, chain), api_settings(event_subscribers_max=1), environment=ENVIRONMENT
    )
    with (
        serving(app, tmp_path / "one.sock") as client,
        client.stream("GET", "/v1/events") as first,
    ):
        lines = first.iter_lines()
        wait_until_open(lines)
        problem_of(client.get("/v1/events"), 503)


def test_hub__reading_the_past__takes_a_place(store: Store) -> None:
    hub = EventHub(store, queue_max=10, subscribers_max=1)
    emit(store, 1)

    async def read_the_past() -> None:
        with hub.place():
            stream = hub.stream(after=0)
            assert isinstance(await anext(stream), StreamEvent)
            assert hub.subscribers_count == 1
            with pytest.raises(Transient, match="every place"), hub.place():
                pass
            await stream.aclose()

    asyncio.run(read_the_past())
    assert hub.subscribers_count == 0


def test_stream__of_the_past_beyond_the_places__is_503(
    store: Store, chain: ScriptedChain, tmp_path: Path
) -> None:
    app = create_app(
        node_context(store, chain), api_settings(event_subscribers_max=1), environment=ENVIRONMENT
    )
    emit(store, 1)
    with (
        serving(app, tmp_path / "one.sock") as client,
        client.stream("GET", "/v1/events", params={"after": 0}) as first,
    ):
        assert first.status_code == 200
        problem_of(client.get("/v1/events", params={"after": 0}), 503)


@pytest.mark.parametrize("topic", ["redemtion", "redemption.setled", "redemption.", "Break"])
def test_stream__an_unknown_topic__is_422_and_names_those_there_are(api: Api, topic: str) -> None:
    problem = problem_of(api.get("/v1/events", params={"topic": ["break", topic]}), 422)
    assert problem["field"] == "topic"
    assert "redemption, transaction, settlement, head" in problem["detail"]


def test_topics__every_word_the_code_announces__is_known() -> None:
    """By the sources: a new event has its topic in the table."""
    found = set()
    for path in Path("settlement_node").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "emit":
                found.add(ast.unparse(call.args[0]) if call.args else "")
    whole = {ast.literal_eval(text) for text in found if text.startswith("'")}
    assert whole <= set(TOPICS)
    assert found - {repr(topic) for topic in whole} == {
        "f'redemption.{following.value}'",
        "f'settlement.{status.value}'",
        "f'transaction.{following.value}'",
        "action.replace('_', '.')",
    }


def test_stream__at_the_stop_of_the_server__ends(
    client: httpx.Client, app: FastAPI, store: Store
) -> None:
    with client.stream("GET", "/v1/events") as answer:
        lines = answer.iter_lines()
        wait_until_open(lines)
        emit(store, 1)
        assert numbers(messages(lines, 1)) == [1]
        app.state.context.hub.close()
        assert [line for line in lines if line.startswith("data")] == []


def test_latency__commit_to_subscriber__is_measured(
    client: httpx.Client, store: Store, database_name: str
) -> None:
    """Order and completeness are asserted; the figure is printed, since machines differ."""
    rounds = 60
    committed: list[float] = []
    with ThreadPoolExecutor(1) as reader:
        opened = threading.Event()

        def follow() -> list[Message]:
            with client.stream("GET", "/v1/events") as answer:
                lines = answer.iter_lines()
                wait_until_open(lines)
                opened.set()
                return messages(lines, rounds)

        reading = reader.submit(follow)
        assert opened.wait(60)
        for number in range(rounds):
            emit(store, number)
            committed.append(time.perf_counter())
            time.sleep(0.01)
        found = reading.result(60)
    assert numbers(found) == list(range(rounds))
    late = sorted((m.arrived_at - done) * 1000 for m, done in zip(found, committed, strict=True))
    print(
        f"\ncommit to subscriber on {database_name}: median {statistics.median(late):.1f} ms,"
        f" p95 {late[int(rounds * 0.95)]:.1f} ms, worst {late[-1]:.1f} ms"
    )


def test_hub__a_commit_of_another_process__is_seen_by_polling(store: Store) -> None:
    """Nobody calls `wake` here."""
    hub = EventHub(store, queue_max=10, subscribers_max=10)

    async def follow() -> Any:
        hub.start()
        stream = hub.stream(after=None)
        assert isinstance(await anext(stream), Opened)
        await asyncio.to_thread(emit, store, 1)
        item = await asyncio.wait_for(anext(stream), 60)
        await stream.aclose()
        return item

    item = asyncio.run(follow())
    hub.close()
    assert isinstance(item, StreamEvent)
    assert item.payload == {"n": 1}
    assert hub.subscribers_count == 0


def test_hub__a_subscriber_that_does_not_keep_up__is_ended_and_resumes_without_loss(
    store: Store,
) -> None:
    hub = EventHub(store, queue_max=10, subscribers_max=10)

    async def collect(after: int | None, *, slow: bool) -> list[int]:
        got: list[int] = []
        stream = hub.stream(after=after)
        async for item in stream:
            if isinstance(item, Opened) and slow:
                await asyncio.to_thread(emit, store, *range(100))
                while hub._position < 100:
                    await asyncio.sleep(0.01)
            if isinstance(item, StreamEvent):
                got.append(item.event_id)
            if got and got[-1] == 100:
                break
        await stream.aclose()
        return got

    async def both() -> tuple[list[int], list[int]]:
        hub.start()
        first = await asyncio.wait_for(collect(None, slow=True), 60)
        rest = await asyncio.wait_for(collect(first[-1], slow=False), 60)
        return first, rest

    first, rest = asyncio.run(both())
    hub.close()
    assert first == list(range(1, 11))
    assert first + rest == list(range(1, 101))


def test_hub__a_position_behind_what_is_kept__is_a_gap_first(store: Store) -> None:
    hub = EventHub(store, queue_max=10, subscribers_max=10)
    emit(store, 1)

    async def first_item() -> Any:
        stream = hub.stream(after=7)
        item = await anext(stream)
        await stream.aclose()
        return item

    assert asyncio.run(first_item()) == Gap(requested_after=7, oldest_kept_id=1, newest_id=1)


def test_hub__closed__takes_nobody(store: Store) -> None:
    hub = EventHub(store, queue_max=10, subscribers_max=10)
    hub.start()
    hub.close()
    with pytest.raises(Transient):
        hub.place().__enter__()


def test_hub__a_database_that_fails_for_a_moment__goes_on(store: Store) -> None:
    hub = EventHub(store, queue_max=10, subscribers_max=10)
    plain, failures = store.read, [Transient("away"), ValueError("strange")]

    def failing() -> Any:
        if threading.current_thread().name == "event-hub" and failures:
            raise failures.pop(0)
        return plain()

    async def follow() -> Any:
        hub.start()
        stream = hub.stream(after=None)
        await anext(stream)
        store.read = failing  # type: ignore[method-assign]
        while failures:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(emit, store, 1)
        item = await asyncio.wait_for(anext(stream), 60)
        await stream.aclose()
        return item

    item = asyncio.run(follow())
    hub.close()
    assert failures == []
    assert item.payload == {"n": 1}


@pytest.mark.parametrize(
    ("topic", "asked", "passes"),
    [
        ("redemption.paid", (), True),
        ("redemption.paid", ("redemption",), True),
        ("redemption.paid", ("redemption.paid",), True),
        ("redemption.paid", ("redemption.pai",), False),
        ("redemptions.paid", ("redemption",), False),
    ],
)
def test_wanted__topic_and_filter__fit_by_whole_words(
    topic: str, asked: tuple[str, ...], passes: bool
) -> None:
    assert wanted(topic, asked) is passes
