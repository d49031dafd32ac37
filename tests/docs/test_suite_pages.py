"""The suites' READMEs name all folders and files, and fixtures and commands that are there."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from settlement_node.node.checkpoints import CHECKPOINTS
from tests.defences.catalogue import DEFENCES
from tests.docs.pages import ROOT, SUITE_PAGES
from tests.simulation.mutants import MUTANTS
from tests_support.programs import PROGRAMS

ROW = re.compile(r"^\| `([\w./]+)` \|", re.MULTILINE)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
KNOWN_WORDS = {
    "--only": {row.name for row in DEFENCES},
    "--mutant": set(MUTANTS),
    "--points": set(CHECKPOINTS),
    "ONLY": set(BENCHMARKS),
    "-m": set(PROGRAMS),
}
each_page = pytest.mark.parametrize("page", SUITE_PAGES, ids=lambda path: path.parent.name)


def named_in_tables(page: Path) -> set[str]:
    return set(ROW.findall(page.read_text(encoding="utf-8")))


def fixtures_of(folder: Path) -> set[str]:
    """Names of the fixtures of a suite, those that all suites share among them."""
    files = [*folder.rglob("conftest.py"), *(ROOT / "tests_support").glob("*.py")]
    return {
        node.name
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and any("pytest.fixture" in ast.unparse(mark) for mark in node.decorator_list)
    }


def commands_of(page: Path) -> Iterator[list[str]]:
    """The words of each command, those of ARGS among them."""
    for block in SHELL.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            yield [part for word in words for part in re.split(r"[ =]", word.removeprefix("ARGS="))]


@each_page
def test_page__what_its_tables_name__is_there(page: Path) -> None:
    known = fixtures_of(page.parent)
    missing = {
        name
        for name in named_in_tables(page)
        if name not in known and not (page.parent / name).exists()
    }
    assert set() == missing


@each_page
def test_page__what_is_there__is_named(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    inside = [path for path in page.parent.iterdir() if not path.name.startswith(("_", "."))]
    names = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in inside
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    }
    assert set() == {name for name in names if f"`{name}`" not in text}


@each_page
def test_page__its_commands__name_what_there_is(page: Path) -> None:
    wrong = []
    for words in commands_of(page):
        for option, value in pairwise(words):
            if option in KNOWN_WORDS and value not in KNOWN_WORDS[option]:
                wrong.append(f"{option} {value}")
        if words[0].endswith("pytest"):
            path = ROOT / words[1]
            wrong += [] if path.exists() else [words[1]]
            if "-k" in words and words[words.index("-k") + 1] not in path.read_text("utf-8"):
                wrong.append(" ".join(words))
    assert wrong == []
