"""`growth`: what a pass, the status and the lists cost, with a little and with much history.

Both books hold the same open work, which is none; only what is behind it differs. A figure is the
median of several, and the ratio is that of the book with much history to the one with little.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection

from benchmarks.figures import Figure
from benchmarks.history import copy_history
from benchmarks.node import node_of, settled
from benchmarks.scene import DATABASES, Scene, scene
from settlement_node.store.telling.attention import open_breaks

BATCH = 100
LITTLE, MUCH = 1_000, 1_000_000
TIMES_MAX = 1.2
REPEATS = 21
PASSES_MAX = 30
PASSES_BEFORE = 3
"""So that everything is read that is read once."""


def measure(scale: float, databases: Sequence[str] = DATABASES) -> list[Figure]:
    """On either database."""
    much = max(2 * BATCH, round(MUCH * scale))
    little = min(LITTLE, much // 2)
    return [figure for database in databases for figure in _on(database, little, much)]


def _on(database: str, little: int, much: int) -> list[Figure]:
    before, after = _costs(database, little), _costs(database, much)
    return [
        Figure(
            f"{what} with {much:,} of history against {little:,}, {database}",
            after[what] / before[what],
            "×",
            TIMES_MAX,
        )
        for what in before
    ]


def _costs(database: str, history: int) -> dict[str, float]:
    """Milliseconds of each thing on a book with so much history."""
    with scene(database) as played:
        played.chain.set_interval(0)
        node = node_of(played, batch=BATCH)
        node.tick()
        played.enter(played.orders(BATCH))
        for _ in range(PASSES_MAX):
            played.chain.mine()
            node.tick()
            if settled(played) == BATCH:
                break
        # Its copies' blocks come before it, so that there must be as many.
        played.chain.mine(history // BATCH)
        copy_history(played, history // BATCH - 1)
        for _ in range(PASSES_BEFORE):
            played.chain.mine()
            node.tick()
        with played.store.read() as tx:
            assert not open_breaks(tx), "the copied history is not sound"
        costs = {"a pass": _median(lambda: _pass(played, node.tick))}
        played.daemon.start(api=True)
        with played.daemon.connection() as asked:
            for path in ("/v1/status", *_lists(json.loads(_get(asked, "/openapi.json")))):
                costs[path] = _median(lambda path=path: _seconds_of(asked, path))
    return costs


def _seconds_of(asked: HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    _get(asked, path)
    return time.perf_counter() - began


def _get(asked: HTTPConnection, path: str) -> bytes:
    asked.request("GET", path)
    answer = asked.getresponse()
    body = answer.read()
    assert answer.status == 200, (path, body[:300])
    return body


def _pass(played: Scene, tick: Callable[[], object]) -> float:
    """A pass over a new block."""
    played.chain.mine()
    began = time.perf_counter()
    tick()
    return time.perf_counter() - began


def _lists(document: dict[str, dict[str, dict[str, object]]]) -> list[str]:
    """Every path that is read in pages, without parameters in it."""
    return [
        path
        for path, operations in document["paths"].items()
        if "{" not in path and _takes_limit(operations.get("get"))
    ]


def _takes_limit(operation: object) -> bool:
    parameters = operation.get("parameters", []) if isinstance(operation, dict) else []
    return any(parameter["name"] == "limit" for parameter in parameters)


def _median(once: Callable[[], float]) -> float:
    once()
    return 1000 * statistics.median(once() for _ in range(REPEATS))
