"""Figures for Prometheus: counted requests, and the book as it stands at the scrape."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from settlement_node import __version__
from settlement_node.errors import Transient
from settlement_node.reads.status import StatusOut, read_status
from settlement_node.store.database import Store
from settlement_node.store.telling.overview import open_alerts_by_kind

PREFIX = "settlement_node_"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0)
SCRAPE_KEPT_SECONDS = 1.0
"""Scrapes closer together see the same figures, so that /metrics cannot be used as a load."""
UNTIMED_ROUTES = ("/v1/events",)
HEADS = {
    "head_number": ("head_number", "The head each lane last saw."),
    "head_age_seconds": ("head_lag_seconds", "Age of that head."),
    "final_number": ("final_number", "The highest block called final."),
}
"""A lane's head in the status: field, the name of its figure, words. -1 is of no block."""


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
            status = read_status(self._store, {})
            with self._store.read() as tx:
                figures = list(_figures(status, open_alerts_by_kind(tx)))
            up.add_metric((), 1)
        except Transient:
            up.add_metric((), 0)
        return [build, up, *figures]


def _figures(status: StatusOut, alerts: dict[str, int]) -> Iterator[Metric]:
    yield _gauge("redemptions", "Redemptions by status.", "status", status.redemptions_by_status)
    yield _gauge("settlements", "Settlements by status.", "status", status.settlements_by_status)
    yield _gauge(
        "transactions_unfinal",
        "Transactions that are not final, by lane.",
        "lane",
        {lane.lane: lane.transactions_unfinal for lane in status.lanes},
    )
    breaks = {fund.fund_id: fund.breaks_open_count for fund in status.funds}
    of_lanes = status.breaks_open_count - sum(breaks.values())
    yield _gauge("breaks_open", "Open breaks by fund.", "fund_id", breaks | {"": of_lanes})
    yield _gauge("alerts_open", "Open alerts by kind.", "kind", alerts or {"": 0})
    heads = [lane for lane in status.lanes if lane.head_number is not None]
    for field, (name, words) in HEADS.items():
        told = {lane.lane: getattr(lane, field) for lane in heads}
        values = {lane: -1 if value is None else value for lane, value in told.items()}
        yield _gauge(name, words, "lane", values)
    yield from _workers(status)


def _workers(status: StatusOut) -> Iterator[Metric]:
    labels = ("node_id", "worker")
    runs = CounterMetricFamily(PREFIX + "stage_runs", "Runs of a stage.", labels=labels)
    failures = CounterMetricFamily(PREFIX + "stage_failures", "Failed runs.", labels=labels)
    age = GaugeMetricFamily(
        PREFIX + "stage_last_run_age_seconds", "Since the stage last reported.", labels=labels
    )
    for worker in status.workers:
        names = (worker.node_id, worker.worker)
        runs.add_metric(names, worker.runs_count)
        failures.add_metric(names, worker.failures_count)
        age.add_metric(names, max(0.0, (status.at_utc - worker.last_run_at_utc).total_seconds()))
    yield from (runs, failures, age)


def _gauge(name: str, words: str, label: str, values: dict[str, float] | dict[str, int]) -> Metric:
    gauge = GaugeMetricFamily(PREFIX + name, words, labels=(label,))
    for key, value in values.items():
        gauge.add_metric((key,), value)
    return gauge
