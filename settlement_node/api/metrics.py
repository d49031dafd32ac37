"""Figures for Prometheus: counted requests, and the book as it stands at the scrape."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from settlement_node import __version__
from settlement_node.errors import Transient
from settlement_node.store.book import redemptions
from settlement_node.store.database import ReadTx, Store
from settlement_node.store.telling import overview, records

PREFIX = "settlement_node_"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0)
SCRAPE_KEPT_SECONDS = 1.0
"""Scrapes closer together see the same figures, so that /metrics cannot be used as a load."""
UNTIMED_ROUTES = ("/v1/events",)


class Metrics:
    """One registry per application; there is no global one."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            PREFIX + "http_requests",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            PREFIX + "http_request_seconds",
            "Time to answer, without the event stream.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.registry.register(BookCollector(store))

    def note_request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the path's pattern, never the path."""
        method = method if method in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE") else "other"
        self._requests.labels(method, route, str(status)).inc()
        if route not in UNTIMED_ROUTES:
            self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


class BookCollector(Collector):
    """Reads the book at a scrape: a handful of queries, kept for a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._kept: list[Metric] = []
        self._kept_until = float("-inf")

    def describe(self) -> Iterable[Metric]:
        """Nothing at registration: the database need not answer yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures; `database_up` 0 and no others when the database does not answer."""
        with self._turn:
            if time.monotonic() >= self._kept_until:
                self._kept = self._read()
                self._kept_until = time.monotonic() + SCRAPE_KEPT_SECONDS
        yield from self._kept

    def _read(self) -> list[Metric]:
        up = GaugeMetricFamily(PREFIX + "database_up", "Whether the database answers.")
        build = GaugeMetricFamily(PREFIX + "build_info", "The version.", labels=("version",))
        build.add_metric((__version__,), 1)
        figures: list[Metric] = []
        try:
            with self._store.read() as tx:
                figures = list(_figures(tx))
            up.add_metric((), 1)
        except Transient:
            up.add_metric((), 0)
        return [build, up, *figures]


def _figures(tx: ReadTx) -> Iterator[Metric]:
    yield _gauge(
        "redemptions",
        "Redemptions by status.",
        "status",
        {s.value: n for s, n in redemptions.count_by_status(tx).items()},
    )
    yield _gauge(
        "settlements",
        "Settlements by status.",
        "status",
        {s.value: n for s, n in overview.settlements_by_status(tx).items()},
    )
    yield _gauge(
        "transactions_unfinal",
        "Transactions that are not final, by lane.",
        "lane",
        {f"{chain}:{signer}": n for (chain, signer), n in overview.unfinal_by_lane(tx).items()},
    )
    yield _gauge(
        "breaks_open",
        "Open breaks by fund.",
        "fund_id",
        {fund or "": n for fund, n in overview.open_breaks_by_fund(tx).items()} or {"": 0},
    )
    alerts = overview.open_alerts_by_kind(tx)
    yield _gauge("alerts_open", "Open alerts by kind.", "kind", alerts or {"": 0})
    yield from _heads(tx)
    yield from _workers(tx)


def _heads(tx: ReadTx) -> Iterator[Metric]:
    heads = overview.heads_by_lane(tx)
    now = tx.now_utc.timestamp()
    yield _gauge(
        "head_number",
        "The head each lane last saw.",
        "lane",
        {lane: row["block_number"] for lane, row in heads.items()},
    )
    yield _gauge(
        "head_lag_seconds",
        "Age of that head.",
        "lane",
        {lane: max(0.0, now - row["timestamp_seconds"]) for lane, row in heads.items()},
    )
    yield _gauge(
        "final_number",
        "The highest block called final.",
        "lane",
        {lane: -1 if (n := row["final_number"]) is None else n for lane, row in heads.items()},
    )


def _workers(tx: ReadTx) -> Iterator[Metric]:
    labels = ("node_id", "worker")
    runs = CounterMetricFamily(PREFIX + "stage_runs", "Runs of a stage.", labels=labels)
    failures = CounterMetricFamily(PREFIX + "stage_failures", "Failed runs.", labels=labels)
    age = GaugeMetricFamily(
        PREFIX + "stage_last_run_age_seconds", "Since the stage last reported.", labels=labels
    )
    for row in records.list_workers(tx):
        names = (row["node_id"], row["worker"])
        runs.add_metric(names, row["runs_count"])
        failures.add_metric(names, row["failures_count"])
        age.add_metric(names, _seconds_since(row["last_run_at_utc"], tx.now_utc))
    yield from (runs, failures, age)


def _seconds_since(at: datetime, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds())


def _gauge(name: str, words: str, label: str, values: dict[str, float] | dict[str, int]) -> Metric:
    gauge = GaugeMetricFamily(PREFIX + name, words, labels=(label,))
    for key, value in values.items():
        gauge.add_metric((key,), value)
    return gauge
