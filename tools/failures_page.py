"""docs/failures.md, drawn from the defence catalogue in `tests/defences/`."""

from __future__ import annotations

from collections import defaultdict

from tests.defences.catalogue import DEFENCES
from tests.defences.model import PART_TITLES, Defence, Line, Part

HEAD = """\
# What goes wrong, and what holds

<!-- Written by tools/make_docs.py from tests/defences/. Do not edit. -->

Transactions get lost, blocks are taken back, databases and processes die. For each trouble with
sending, with the chain, with tokens, and with database and process, this page says what can
happen, what in the node or in the settler holds against it, and which test would fail if that
were taken out.

That is not only said. `make defences` copies the tree, takes out one defence after another as a
careless programmer might have left it out, runs its tests, and fails if they still pass.
`make defences ARGS="--only NAME"` does it for one, `ARGS="--list"` shows all.
"""


def failures() -> str:
    """The page: a table of defences for each line of trouble."""
    rows: dict[Line, list[Defence]] = defaultdict(list)
    for row in DEFENCES:
        rows[row.line].append(row)
    parts = [HEAD]
    for part in Part:
        parts.append(f"## {PART_TITLES[part]}\n")
        parts += [f"### {line.title}\n\n{_table(rows[line])}" for line in Line if line.part is part]
    return "\n".join(parts)


def _table(rows: list[Defence]) -> str:
    lines = [
        "| what goes wrong | what holds | where | the tests that see it gone |",
        "|---|---|---|---|",
    ]
    for row in rows:
        tests = "<br>".join(_test(test) for test in row.tests)
        where = f"`{row.file}`" + (f": `{row.place}`" if row.place else "")
        lines.append(f"| {row.happens} | {row.holds} (`{row.name}`) | {where} | {tests} |")
    return "\n".join(lines) + "\n"


def _test(test: str) -> str:
    """A test by its file and function; the variant matters to the runner alone."""
    file, _, name = test.partition("::")
    return f"`{file}`: `{name.partition('[')[0]}`"
