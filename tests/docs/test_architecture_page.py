"""ARCHITECTURE names functions and files; each is there under that name, where the page says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PACKAGE = ROOT / "settlement_node"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LIFE = PAGE.partition("## The life of one redemption")[2].partition("\n## ")[0]
PLACED = re.compile(r"`(\w+(?:\.\w+)*)`\s+(?:once\s+)?\(`([\w/]+\.py)`\)")
NAMED = re.compile(r"`(_?[a-z]+(?:_[a-z]+)+)(?:\(\))?`")


@cache
def defined(path: Path) -> frozenset[str]:
    """What a file defines at its top level and in its classes, and the members of its words."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                names.add(node.value.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(names)


@pytest.mark.parametrize("step", re.split(r"\n\d+\. ", LIFE)[1:], ids=lambda step: step[:20])
def test_life_of_one_redemption__each_step__names_a_function(step: str) -> None:
    functions = frozenset[str]().union(*map(defined, PACKAGE.rglob("*.py")))
    assert set(re.findall(r"`(\w+)`", step)) & functions


@pytest.mark.parametrize(("name", "file"), sorted(set(PLACED.findall(PAGE))))
def test_architecture__function_with_its_file__is_defined_there(name: str, file: str) -> None:
    path = PACKAGE / file.removeprefix("settlement_node/")
    assert path.is_file(), f"{file} is no file of the package"
    assert name.rpartition(".")[2] in defined(path)


@pytest.mark.parametrize("name", sorted(set(NAMED.findall(LIFE))))
def test_life_of_one_redemption__any_name__is_one_of_the_package(name: str) -> None:
    assert any(name in defined(path) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`((?:\w+/)+\w+\.py)`", PAGE))))
def test_architecture__any_file__is_there(file: str) -> None:
    assert (PACKAGE / file).is_file() or (ROOT / file).is_file()
