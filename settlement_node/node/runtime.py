"""The node: leases, lanes and stages on one scheduler, woken by commits, stopped cleanly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from settlement_node.errors import SettlementError, cause_of, words_of
from settlement_node.node.context import Lane, NodeContext
from settlement_node.node.cycle import PassEnd, PassResult, run_pass
from settlement_node.node.lanes import hold_lanes, release
from settlement_node.node.stages.reconcile import reconcile
from settlement_node.node.stages.retain import retain
from settlement_node.node.stages.watch import watch
from settlement_node.notify.deliver import LogSink, Sink, begin, deliver
from settlement_node.store.fence import Fence
from settlement_node.store.telling import records
from settlement_node.store.telling.consumers import lease_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often each stage runs when nothing wakes it, in seconds."""

    pass_seconds: float = 1.0
    lease_seconds: float = 5.0
    reconcile_seconds: float = 60.0
    deliver_seconds: float = 1.0
    watch_seconds: float = 15.0
    retain_seconds: float = 3600.0
    health_seconds: float = 10.0


@dataclass(slots=True)
class WorkerHealth:
    """Totals of one worker since the node started."""

    runs_count: int = 0
    failures_count: int = 0
    last_error: str | None = None


class Node:
    """Runs the stages of every lane it holds.

    One lock keeps passes and leases from overlapping: a lane has one writer inside the process
    too. `tick()` does everything once in the caller's thread; `start()` leaves it to the
    scheduler. A chain client serves one caller at a time: with a `background` context, which has
    clients of its own, reconciliation and watching run beside the passes, without one they wait
    for them.
    """

    def __init__(
        self,
        context: NodeContext,
        *,
        background: NodeContext | None = None,
        intervals: Intervals | None = None,
        sinks: Sequence[Sink] = (LogSink(),),
    ) -> None:
        self.context = context
        self.background = background or context
        self.intervals = intervals or Intervals()
        self.sinks = sinks
        self.lanes: dict[str, Lane] = {}
        self.consumers: dict[str, Fence] = {}
        self.health: dict[str, WorkerHealth] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._beside: AbstractContextManager[Any] = (
            self._lock if background is None else nullcontext()
        )
        self._loop: threading.Thread | None = None
        self._scheduler: BackgroundScheduler | None = None

    def tick(self) -> list[PassResult]:
        """Leases, one pass over every held lane, and delivery; returns the passes' ends."""
        with self._lock:
            self._run("leases", self._leases)
            results = self.run_passes()
            for sink in self.sinks:
                self._run(f"deliver {sink.name}", partial(self._deliver, sink))
        return results

    def run_passes(self) -> list[PassResult]:
        """One pass over every held lane."""
        results: list[PassResult] = []
        with self._lock:
            for key, lane in list(self.lanes.items()):
                if self._stopping.is_set():
                    break
                result = self._run(f"lane {key}", partial(run_pass, lane))
                if result is None:
                    continue
                if result.end is PassEnd.LEASE_LOST:
                    self.lanes.pop(key, None)
                results.append(result)
        return results

    def wake(self) -> None:
        """Have the passes run at once; called after each commit that announced something."""
        self._wake.set()

    def start(self) -> None:
        """Begin: leases first, then the pass loop and the scheduler."""
        self._run("leases", self._leases)
        self._loop = threading.Thread(target=self._pass_loop, name="passes", daemon=True)
        self._loop.start()
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(4 + len(self.sinks))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
            timezone="UTC",
        )
        every = self.intervals
        for name, seconds, work in (
            ("leases", every.lease_seconds, self._leases),
            ("reconcile", every.reconcile_seconds, self._reconcile),
            ("watch", every.watch_seconds, self._watch),
            ("retain", every.retain_seconds, lambda: retain(self.context)),
            ("health", every.health_seconds, self.note_health),
            *(
                (f"deliver {sink.name}", every.deliver_seconds, partial(self._deliver, sink))
                for sink in self.sinks
            ),
        ):
            self._scheduler.add_job(
                self._run, "interval", seconds=seconds, args=(name, work), id=name
            )
        self._scheduler.start()
        log.info("node_started", node_id=self.context.node_id, lanes=list(self.lanes))

    def stop(self) -> None:
        """Finish the commit at hand, stop the stages, give the leases back."""
        self._stopping.set()
        self._wake.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None
        if self._loop is not None:
            self._loop.join(timeout=60)
            self._loop = None
        with self._lock:
            lanes = [lane.fence for lane in self.lanes.values()]
            release(self.context.store, [*lanes, *self.consumers.values()])
            self.lanes.clear()
            self.consumers.clear()
        self._run("health", self._forget_health)
        log.info("node_stopped", node_id=self.context.node_id)

    def run_until_stopped(self) -> None:
        """Start, and return once `stop_soon()` was called."""
        self.start()
        while not self._stopping.wait(0.5):
            pass
        self.stop()

    def stop_soon(self) -> None:
        """Ask `run_until_stopped` to end, from any thread. Not for a signal handler, which may have
        interrupted the very lock that this takes."""
        self._stopping.set()
        self._wake.set()

    def note_health(self) -> None:
        """Write the workers' totals where every process can read them, for as long as the node
        lives: like its leases they lapse unless they are renewed."""
        seconds = max(self.context.lease_seconds, 3 * self.intervals.health_seconds)
        with self.context.store.transaction(actor=self.context.node_id) as tx:
            for name, health in list(self.health.items()):
                records.note_worker(
                    tx,
                    node_id=self.context.node_id,
                    worker=name[:40],
                    seconds=seconds,
                    **asdict(health),
                )

    def _forget_health(self) -> None:
        with self.context.store.transaction(actor=self.context.node_id) as tx:
            records.forget_workers(tx, node_id=self.context.node_id)

    def _pass_loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            self.run_passes()
            self._wake.wait(self.intervals.pass_seconds)

    def _leases(self) -> None:
        # Without the lock: a lease must be renewed while a long pass is under way.
        hold_lanes(self.context, self.lanes)
        for sink in self.sinks:
            fence = self.context.lease(lease_of(sink.name))
            if fence is None:
                self.consumers.pop(sink.name, None)
            elif self.consumers.get(sink.name) != fence:
                begin(self.context.store, sink, fence)
                self.consumers[sink.name] = fence

    def _reconcile(self) -> None:
        with self._beside:
            reconcile(self.background)

    def _watch(self) -> None:
        with self._beside:
            watch(self.background, list(self.lanes.values()))

    def _deliver(self, sink: Sink) -> None:
        batch_max = self.context.policy.deliver_batch_max
        handed = batch_max
        while handed == batch_max and not self._stopping.is_set():
            fence = self.consumers.get(sink.name)
            handed = 0
            if fence is not None:
                handed = deliver(
                    self.context.store,
                    sink,
                    fence,
                    batch_max=batch_max,
                    checkpoint=self.context.checkpoint,
                )

    def _run(self, name: str, work: Callable[[], Any]) -> Any:
        """Have a worker work once, and go on whatever comes of it. Every line of its log says whose
        it is."""
        result = failure = None
        with structlog.contextvars.bound_contextvars(worker=name):
            try:
                result = work()
            except SettlementError as error:
                failure = error.message
                log.warning("worker_failed", code=error.code, reason=failure, cause=cause_of(error))
            except Exception as error:
                failure = words_of(error)
                log.exception("worker_failed")
        if isinstance(result, PassResult) and result.end not in (PassEnd.DONE, PassEnd.LATER):
            failure = result.reason
        health = self.health.setdefault(name, WorkerHealth())
        health.runs_count += 1
        if failure is not None:
            health.failures_count += 1
            health.last_error = failure
        return result
