"""Many seeds on every core, the counts of all of them, and a failing seed cut to its shortest."""

from __future__ import annotations

import gc
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from settlement_node.errors import InvalidInput
from tests.simulation.faults import LIES, REGISTRY
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import Outcome, World, silence_logs

STEPS = 36
DOUBLE_PAID, LOST, STUCK = "double_paid", "lost", "stuck"
SEED_MAX = 2**63 - 1
SEEDS_TO_JUDGE_LIES = 500
"""In as many runs each kind of lie has had its occasions."""


@dataclass(slots=True)
class Totals:
    """Sums over runs. `stopped` counts runs in which a lane stopped for a reason it must."""

    seeds: int = 0
    steps: int = 0
    redemptions: int = 0
    settled: int = 0
    crashes: int = 0
    reorgs: int = 0
    restored: int = 0
    stopped: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    failing: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.seeds += 1
        self.steps += outcome.steps
        self.redemptions += outcome.redemptions
        self.settled += outcome.settled
        self.crashes += outcome.crashes
        self.reorgs += outcome.reorgs
        self.restored += outcome.restored
        self.stopped += outcome.stopped is not None
        self.faults.update(outcome.faults)
        if outcome.violations:
            self.violations.update(v.kind for v in outcome.violations)
            self.failing.append(outcome)

    def line(self) -> str:
        """The one line at the end."""
        named = {kind: self.violations[kind] for kind in (DOUBLE_PAID, LOST, STUCK)}
        others = sum(self.violations.values()) - sum(named.values())
        return (
            f"seeds={self.seeds} steps={self.steps} redemptions={self.redemptions}"
            f" settled={self.settled} faults={sum(self.faults.values())} crashes={self.crashes}"
            f" reorgs={self.reorgs} restores={self.restored} stopped={self.stopped}"
            f" double_paid={named[DOUBLE_PAID]} lost={named[LOST]} stuck={named[STUCK]}"
            f" violations={others}"
        )

    def seldom_told(self) -> dict[str, int]:
        """The kinds of lies that were told less than once a seed, in a run long enough to say."""
        if self.seeds < SEEDS_TO_JUDGE_LIES:
            return {}
        return {name: self.faults[name] for name in LIES if self.faults[name] < self.seeds}

    def faults_document(self) -> dict[str, int]:
        """Every fault by kind, those that never happened as zero."""
        return {name: self.faults[name] for name in REGISTRY}


@dataclass(frozen=True, slots=True)
class Job:
    """What each process runs."""

    steps: int = STEPS
    mutant: str | None = None
    watched: frozenset[str] | None = None
    faults: tuple[str, ...] | None = None
    """Only these happen, at their ordinary rates; None for what each seed draws."""


def check_seed(seed: int, *, field_name: str = "seed") -> int:
    """A seed is a number from 0 to 2^63 − 1."""
    if not 0 <= seed <= SEED_MAX:
        raise InvalidInput(f"{field_name} must be between 0 and {SEED_MAX}", field=field_name)
    return seed


def run_seed(
    seed: int,
    job: Job,
    *,
    stop_after_step: int | None = None,
    keep_trace: bool = False,
) -> Outcome:
    """One run. The same seed and job give the same trace, in any process."""
    mutant = None if job.mutant is None else MUTANTS[job.mutant]
    world = World(
        seed,
        steps=job.steps,
        naive_settler=mutant is not None,
        watched=job.watched,
        faults=job.faults,
        stop_after_step=stop_after_step,
        keep_trace=keep_trace,
    )
    if mutant is None:
        return world.run()
    with mutant.applied():
        return world.run()


def run_many(seeds: Sequence[int], job: Job, *, jobs: int) -> Iterator[Outcome]:
    """Runs in `jobs` processes, in the order they finish."""
    if jobs == 1:
        _prepare()
        for seed in seeds:
            yield run_seed(seed, job)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_prepare) as pool:
        yield from pool.imap_unordered(_run, [(seed, job) for seed in seeds], chunksize=4)


def _prepare() -> None:
    silence_logs()
    # The runs make much garbage without cycles; collecting by count alone costs a tenth.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def _run(work: tuple[int, Job]) -> Outcome:
    return run_seed(*work)


def shortest(seed: int, job: Job) -> Outcome:
    """The same seed with faults ending as early as it still fails.

    A binary search: whether a prefix fails is not strictly monotonic, so the answer is a short
    failing prefix and, for all but odd cases, the shortest.
    """
    best = run_seed(seed, job, keep_trace=True)
    low, high = -1, best.violations[0].step if best.violations else job.steps
    while high - low > 1:
        middle = (low + high) // 2
        tried = run_seed(seed, job, stop_after_step=middle, keep_trace=True)
        if tried.violations:
            best, high = tried, middle
        else:
            low = middle
    best.faults_until = high
    return best


def run_and_report(
    seeds: Sequence[int], job: Job, *, jobs: int, faults_json: Path | None, quiet: bool
) -> int:
    """The command: runs, shows progress, prints the line, writes the counts; 1 on a violation, or
    when a long run has told some kind of lie too seldom to show anything."""
    totals = Totals()
    started = time.monotonic()
    for outcome in run_many(seeds, job, jobs=jobs):
        totals.add(outcome)
        if outcome.violations:
            first = outcome.violations[0]
            print(f"\nseed {outcome.seed} step {first.step}: {first.kind}: {first.words[:300]}")
        _progress(totals, len(seeds), time.monotonic() - started, quiet=quiet)
    if not quiet and sys.stderr.isatty():
        print("", file=sys.stderr)
    if faults_json is not None:
        faults_json.parent.mkdir(parents=True, exist_ok=True)
        faults_json.write_text(
            json.dumps(totals.faults_document(), indent=2) + "\n", encoding="utf-8"
        )
    for failing in _first(totals.failing, 3):
        _explain(failing.seed, job)
    seldom = totals.seldom_told() if job.faults is None and job.mutant is None else {}
    if seldom:
        print(f"lies told less than once a seed, which the faults' rates should see to: {seldom}")
    print(totals.line())
    return 1 if totals.failing or seldom else 0


def _first(outcomes: Iterable[Outcome], count: int) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.seed)[:count]


def _explain(seed: int, job: Job) -> None:
    silence_logs()
    cut = shortest(seed, job)
    print(f"\nseed {seed}, faults until step {cut.faults_until}; the last of its trace:")
    for line in cut.trace[-25:]:
        print("  " + line[:200])
    for violation in cut.violations[:3]:
        print(f"  => {violation.kind} at step {violation.step}: {violation.words[:400]}")
    options = [] if job.steps == STEPS else [f"--steps {job.steps}"]
    options += [] if job.mutant is None else [f"--mutant {job.mutant}"]
    options += [] if job.faults is None else [f"--faults {','.join(job.faults)}"]
    arguments = f' ARGS="{" ".join(options)}"' if options else ""
    print(f"replay: make simulate SEEDS=1 SEED={seed}{arguments}")


def _progress(totals: Totals, of: int, seconds: float, *, quiet: bool) -> None:
    if quiet or (totals.seeds % 5 and totals.seeds != of):
        return
    rate = totals.seeds / seconds if seconds else 0.0
    # In a log a line each, so that whoever waits sees that it goes on.
    start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
    print(
        f"{start}{totals.seeds}/{of} seeds, {rate:.2f} a second, {len(totals.failing)} failing",
        end=end,
        file=sys.stderr,
        flush=True,
    )
