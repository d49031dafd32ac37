"""`python -m tests.defences`: take out each defence once, in a copy, and see who notices."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.defences.catalogue import DEFENCES
from tests.defences.checking import Verdict, check_row, check_untouched
from tests.defences.model import Defence, Part
from tests.defences.places import Misfit
from tests.defences.workspace import Workspace, copy_tree


def main(arguments: Sequence[str], rows: Sequence[Defence] = DEFENCES) -> int:
    """Parse, run, report; 0 when every defence is seen, 1 when one is missed, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m tests.defences", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this row")
    parser.add_argument("--part", choices=[part.value for part in Part], help="the rows of a part")
    parser.add_argument("--list", action="store_true", help="show the rows and run nothing")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
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
    return _check(chosen, as_json=given.json)


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


def _check(rows: Sequence[Defence], *, as_json: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="settlement-defences-")).resolve()
    try:
        workspace = copy_tree(folder / "tree")
        _say(f"{len(rows)} defences; first every named test as it is ...")
        wrong = check_untouched(workspace, rows)
        if wrong:
            _say("these do not pass while every defence stands:\n  " + "\n  ".join(wrong))
        verdicts = [] if wrong else [_checked(workspace, row, rows) for row in rows]
    except Misfit as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
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


def _checked(workspace: Workspace, row: Defence, rows: Sequence[Defence]) -> Verdict:
    verdict = check_row(workspace, row)
    place = f"{rows.index(row) + 1:3}/{len(rows)}"
    _say(f"{place} {row.name:40} {'seen' if verdict.seen else 'MISSED'} {verdict.seconds:5.1f} s")
    if not verdict.seen:
        _say(f"        {verdict.why}\n{verdict.output}")
    return verdict


def _say(words: str) -> None:
    """Progress is for people, and out of the way of the result."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
