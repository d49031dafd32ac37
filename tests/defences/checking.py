"""Takes out one defence after another and looks who notices."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.defences.model import Defence
from tests.defences.running import TAIL_CHARACTERS, Run, run_forge, run_pytest
from tests.defences.workspace import Workspace

ROW_SECONDS = 240.0
"""For the tests of one row; a contract is compiled anew within it."""
UNTOUCHED_SECONDS = 900.0
"""For every named test, before anything is taken out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the tests of a row saw that the defence was gone; if not, why not."""

    name: str
    seen: bool
    why: str
    seconds: float
    output: str = ""


def check_untouched(
    workspace: Workspace, rows: Iterable[Defence], *, workers: int = 0
) -> list[str]:
    """What keeps the named tests from passing while every defence stands; nothing, that is."""
    chosen = list(rows)
    pytest_ids = list(dict.fromkeys(test for row in chosen for test in row.pytest_ids))
    forge_ids = list(dict.fromkeys(test for row in chosen for test in row.forge_ids))
    wrong: list[str] = []
    for tests, run in _runs(
        workspace, pytest_ids, forge_ids, seconds=UNTOUCHED_SECONDS, workers=workers
    ):
        if run.trouble:
            wrong.append(f"{run.trouble}\n{run.output[-TAIL_CHARACTERS:]}")
            continue
        wrong += [
            f"{test}: {', '.join(sorted(run.ends_of(test))) or 'not run'}"
            for test in tests
            if run.ends_of(test) != {"passed"}
        ]
    return wrong


def check_row(workspace: Workspace, row: Defence, *, seconds: float = ROW_SECONDS) -> Verdict:
    """Take the defence out, run its tests, put it back."""
    began = time.monotonic()
    faults: list[str] = []
    output = ""
    with workspace.without(row):
        for tests, run in _runs(workspace, row.pytest_ids, row.forge_ids, seconds=seconds):
            output += run.output[-TAIL_CHARACTERS:]
            faults += [run.trouble] if run.trouble else _not_failed(run, tests)
    return Verdict(
        row.name, not faults, "; ".join(faults) or "seen", time.monotonic() - began, output
    )


def _not_failed(run: Run, tests: Sequence[str]) -> Iterator[str]:
    for test in tests:
        ends = run.ends_of(test)
        if "failed" not in ends:
            yield f"{test} ended as {', '.join(sorted(ends)) or 'not run'}, not as failed"


def _runs(
    workspace: Workspace,
    pytest_ids: Sequence[str],
    forge_ids: Sequence[str],
    *,
    seconds: float,
    workers: int = 0,
) -> Iterator[tuple[Sequence[str], Run]]:
    folder, stopped = workspace.folder, workspace.stopped
    if pytest_ids:
        yield (
            pytest_ids,
            run_pytest(folder, pytest_ids, seconds=seconds, stopped=stopped, workers=workers),
        )
    if forge_ids:
        yield forge_ids, run_forge(folder, forge_ids, seconds=seconds, stopped=stopped)
