"""`latency`: from an approval to bytes sent, and from a commit to a subscriber of its event.

Both are upper bounds. An approval's time is taken when its commit begins, a send's once its answer
is being written down, an event's when the commit that tells of it begins.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException

import sqlalchemy as sa

from benchmarks.figures import Figure, percentile
from benchmarks.scene import DATABASES, Scene, scene, wait_for
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.store import tables as t

ORDERS = 200
SPACING_SECONDS = (0.1, 0.3)
"""Between two orders: so that each is a batch of its own, at any place within a pass."""
P50_MILLISECONDS, P99_MILLISECONDS, STREAM_P99_MILLISECONDS = 40, 200, 50


class Subscriber(threading.Thread):
    """Reads the event stream and writes down when each event came, beside when it happened."""

    def __init__(self, connection: HTTPConnection) -> None:
        super().__init__(daemon=True)
        self.delays_milliseconds: list[float] = []
        connection.request("GET", "/v1/events")
        self.answer = connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def run(self) -> None:
        with suppress(OSError, HTTPException):  # the stream ends when the daemon is killed
            self._read()

    def _read(self) -> None:
        while line := self.answer.readline():
            if line.startswith(b"data:"):
                came = datetime.now(UTC)
                happened = _time_of(json.loads(line[5:]))
                if happened is not None:
                    self.delays_milliseconds.append((came - happened).total_seconds() * 1000)


def measure(scale: float, databases: Sequence[str] = DATABASES) -> list[Figure]:
    """Orders one by one through the API, on either database."""
    return [figure for name in databases for figure in _on(name, max(5, round(ORDERS * scale)))]


def _on(database: str, count: int) -> list[Figure]:
    with scene(database) as played:
        first, *orders = played.orders(count + 1)
        played.daemon.start(api=True)
        # What is only done once, such as the first look at the chain, is not the question.
        _post(played, first)
        wait_for(lambda: _sent(played) == 1, played.daemon)
        with played.daemon.connection() as followed:
            subscriber = Subscriber(followed)
            subscriber.start()
            numbers = random.Random(count)
            for order in orders:
                _post(played, order)
                time.sleep(numbers.uniform(*SPACING_SECONDS))
            wait_for(lambda: _sent(played) == count + 1, played.daemon)
            played.daemon.kill()
            subscriber.join()
        waits = _waits_milliseconds(played)[1:]
        delays = subscriber.delays_milliseconds
    return [
        Figure(f"approved → sent, p50, {database}", percentile(waits, 50), "ms", P50_MILLISECONDS),
        Figure(f"approved → sent, p99, {database}", percentile(waits, 99), "ms", P99_MILLISECONDS),
        Figure(f"commit → subscriber, p50, {database}", percentile(delays, 50), "ms"),
        Figure(
            f"commit → subscriber, p99, {database}",
            percentile(delays, 99),
            "ms",
            STREAM_P99_MILLISECONDS,
        ),
    ]


def _post(played: Scene, order: RedemptionOrder) -> None:
    """One order by the API."""
    body = {
        "fund_id": played.stage.fund.fund_id,
        "redemptions": [
            {
                "external_id": order.external_id,
                "investor_address": order.investor_address,
                "payee_address": order.payee_address,
                "shares_base_units": str(order.shares_base_units),
            }
        ],
    }
    headers = {
        "Authorization": f"Bearer {played.daemon.api_key}",
        "Content-Type": "application/json",
    }
    with played.daemon.connection() as asked:
        asked.request("POST", "/v1/redemptions", json.dumps(body), headers)
        answer = asked.getresponse()
        assert answer.status == 201, answer.read()


def _sent(played: Scene) -> int:
    with played.store.read() as tx:
        r = t.redemptions.c
        query = sa.select(sa.func.count()).where(r.broadcast_at_utc.is_not(None))
        return int(tx.connection.execute(query).scalar_one())


def _waits_milliseconds(played: Scene) -> list[float]:
    r = t.redemptions.c
    query = sa.select(r.approved_at_utc, r.broadcast_at_utc).order_by(r.redemption_index)
    with played.store.read() as tx:
        rows = tx.connection.execute(query).all()
    return [(sent - approved).total_seconds() * 1000 for approved, sent in rows]


def _time_of(event: dict[str, str]) -> datetime | None:
    at = event.get("created_at_utc")
    return None if at is None else datetime.fromisoformat(at)
