"""`python -m tests.defences`: take out each defence once, in a copy, and see who notices."""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.defences.catalogue import DEFENCES
from tests.defences.checking import Verdict, check_row, check_untouched
from tests.defences.model import Defence, Part
from tests.defences.places import Misfit
from tests.defences.workspace import Workspace, copy_tree
from tests_support.postgresql import PostgresqlOwner, is_owned

JOBS = os.cpu_count() or 1


def main(arguments: Sequence[str], rows: Sequence[Defence] = DEFENCES) -> int:
    """Parse, run, report; 0 when every defence is seen, 1 when one is missed, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m tests.defences", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this row")
    parser.add_argument("--part", choices=[part.value for part in Part], help="the rows of a part")
    parser.add_argument("--list", action="store_true", help="show the rows and run nothing")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    parser.add_argument("--jobs", type=int, default=JOBS, help="how many rows at once")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.only) - {row.name for row in rows})
    if unknown:
        names = ", ".join(sorted(row.name for row in rows))
        print(f"error: no defence is called {', '.join(unknown)}; known: {names}", file=sys.stderr)
        return 2
    chosen = [
        row
        for row in rows
        if (not given.only or row.name in given.only) and given.part in (None, row.part.value)
    ]
    if not chosen:
        print("error: no row is both in --only and in --part", file=sys.stderr)
        return 2
    if given.list:
        return _list(chosen, as_json=given.json)
    if given.jobs < 1:
        print("error: --jobs must be at least 1", file=sys.stderr)
        return 2
    return _check(chosen, as_json=given.json, jobs=min(given.jobs, len(chosen)))


def _list(rows: Sequence[Defence], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([_described(row) for row in rows], ensure_ascii=False))
        return 0
    for row in rows:
        print(f"{row.part.value:9} {row.name:40} {row.line.title}")
    return 0


def _described(row: Defence) -> dict[str, object]:
    return {
        "name": row.name,
        "part": row.part.value,
        "line": row.line.title,
        "happens": row.happens,
        "holds": row.holds,
        "at": row.at,
        "tests": list(row.tests),
    }


def _check(rows: Sequence[Defence], *, as_json: bool, jobs: int) -> int:
    try:
        with _workspaces(jobs) as workspaces:
            _say(f"{len(rows)} defences; first every named test as it is ...")
            wrong = check_untouched(workspaces[0], rows, workers=jobs if jobs > 1 else 0)
            if wrong:
                _say("these do not pass while every defence stands:\n  " + "\n  ".join(wrong))
            verdicts = [] if wrong else _check_rows(workspaces, rows)
    except Misfit as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    seen = sum(verdict.seen for verdict in verdicts)
    counts = {
        "defences": len(rows),
        "seen": seen,
        "missed": len(rows) - seen,
        "lines": len({row.line for row in rows}),
    }
    if as_json:
        rows_shown = [
            {"name": v.name, "seen": v.seen, "why": v.why, "seconds": round(v.seconds, 1)}
            for v in verdicts
        ]
        print(json.dumps({**counts, "untouched": wrong, "rows": rows_shown}, ensure_ascii=False))
    else:
        print(" ".join(f"{name}={count}" for name, count in counts.items()))
    return 0 if seen == len(rows) else 1


@contextmanager
def _workspaces(count: int) -> Iterator[list[Workspace]]:
    """Copies of the tree, one for each row that is out at the same time; one PostgreSQL for all."""
    folder = Path(tempfile.mkdtemp(prefix="settlement-defences-")).resolve()
    owner = None if is_owned() else PostgresqlOwner()
    try:
        yield [copy_tree(folder / f"tree-{n}") for n in range(count)]
    finally:
        if owner is not None:
            owner.pytest_unconfigure()
        shutil.rmtree(folder, ignore_errors=True)


def _check_rows(workspaces: Sequence[Workspace], rows: Sequence[Defence]) -> list[Verdict]:
    """Every row in a workspace that is free; whatever ends this early stops what is running."""
    free: queue.SimpleQueue[Workspace] = queue.SimpleQueue()
    for workspace in workspaces:
        free.put(workspace)
    counted = iter(range(1, len(rows) + 1))
    telling = threading.Lock()

    def check(row: Defence) -> Verdict:
        workspace = free.get()
        try:
            verdict = check_row(workspace, row)
        finally:
            free.put(workspace)
        with telling:
            _tell(verdict, f"{next(counted):3}/{len(rows)}")
        return verdict

    with ThreadPoolExecutor(len(workspaces)) as threads:
        try:
            return list(threads.map(check, rows))
        except BaseException:
            for workspace in workspaces:
                workspace.stopped.set()
            threads.shutdown(cancel_futures=True)
            raise


def _tell(verdict: Verdict, place: str) -> None:
    said = "seen" if verdict.seen else "MISSED"
    _say(f"{place} {verdict.name:40} {said} {verdict.seconds:5.1f} s")
    if not verdict.seen:
        _say(f"        {verdict.why}\n{verdict.output}")


def _say(words: str) -> None:
    """Progress is for people, and out of the way of the result."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
