"""The catalogue fits the tree: places, tests and lines are there. Nothing is run without them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.defences.catalogue import DEFENCES
from tests.defences.model import Defence, Line, Part
from tests.defences.workspace import ROOT, patched

LINES_OF_PARTS = {
    Part.SENDING: 12,
    Part.CHAIN: 10,
    Part.TOKENS: 2,
    Part.DATABASE: 8,
    Part.MACHINE: 1,
}
each_row = pytest.mark.parametrize("row", DEFENCES, ids=lambda row: row.name)


@cache
def functions_of(path: Path) -> set[str]:
    """Names of the test functions of a file, pytest's or forge's."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sol":
        return set(re.findall(r"\bfunction (\w+)\(", text))
    return {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


@each_row
def test_row__change__fits_once_and_the_file_compiles_with_it(row: Defence) -> None:
    path = ROOT / row.file
    assert path.relative_to(ROOT).parts[0] in ("settlement_node", "contracts", "Makefile")
    source = path.read_text(encoding="utf-8")
    changed = patched(source, row)
    assert source != changed
    if path.suffix == ".py":
        compile(changed, row.file, "exec")


@each_row
def test_row__tests__exist(row: Defence) -> None:
    assert row.tests
    for test in row.tests:
        file, _, name = test.partition("::")
        assert name.partition("[")[0] in functions_of(ROOT / file), test


def test_rows__variants_they_name__are_collected() -> None:
    """Only pytest knows the brackets; the files are collected once."""
    named = sorted({t for row in DEFENCES for t in row.pytest_ids if "[" in t})
    files = sorted({test.partition("::")[0] for test in named})
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout.splitlines()
    assert set(named) - set(collected) == set()


def test_rows__names__are_unique_and_plain() -> None:
    assert [name for name, count in Counter(r.name for r in DEFENCES).items() if count > 1] == []
    assert [row.name for row in DEFENCES if not re.fullmatch(r"[a-z]+(_[a-z]+)*", row.name)] == []


def test_rows__words__are_one_line_each_and_not_a_sentence_of_code() -> None:
    for row in DEFENCES:
        for words in (row.happens, row.holds):
            assert 10 <= len(words) <= 120, row.name
            assert "\n" not in words, row.name


def test_lines__each__has_a_defence() -> None:
    assert set(Line) - {row.line for row in DEFENCES} == set()
    assert Counter(line.part for line in Line) == LINES_OF_PARTS
    assert len({line.title for line in Line}) == len(Line)
