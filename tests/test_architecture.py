"""The folders of ARCHITECTURE, checked by reading the imports: downwards only, nothing too long."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "settlement_node"
LINES_MAX = 400

LAYERS = {
    "units": 0, "errors": 0,
    "domain": 1,
    "config": 2, "store": 2, "chain": 2, "logs": 2,
    "node": 3,
    "api": 4, "cli": 4, "demo": 4,
    "__main__": 5,
}  # fmt: skip
"""The first part of a module's name below the package, and its layer."""

STRANGERS = {
    ("store", "chain"),
    ("chain", "store"),
    ("config", "store"),
    ("config", "chain"),
    ("store", "config"),
    ("chain", "config"),
}
"""Neighbours on one layer that know nothing of each other."""

UNITS_MAY_IMPORT = {"eth_utils"}
"""Checksums and keccak, which the standard library does not have."""


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import in a file, those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


def upward_imports(path: Path) -> list[str]:
    """Imports of a file that point upwards, or at a neighbour it must not know."""
    wrong = []
    here = part_of(path)
    for line, name in imports_of(path):
        parts = name.split(".")
        if parts[0] != PACKAGE.name or len(parts) == 1 or parts[1] not in LAYERS:
            continue
        there = parts[1]
        if LAYERS[there] > LAYERS[here] or (here, there) in STRANGERS:
            wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    return wrong


def foreign_imports(path: Path, allowed: set[str]) -> list[str]:
    """Imports of a file that are neither the standard library, this package, nor allowed."""
    known = sys.stdlib_module_names | {PACKAGE.name} | allowed
    return [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for line, name in imports_of(path)
        if name.split(".")[0] not in known
    ]


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_file__any__is_on_the_map_and_short_enough(path: Path) -> None:
    assert part_of(path) in {*LAYERS, "__init__"}, "give the new part a layer"
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LINES_MAX


def test_imports__all__point_downwards() -> None:
    inside = [path for path in files() if part_of(path) != "__init__"]
    assert [line for path in inside for line in upward_imports(path)] == []


def test_imports__of_the_domain__are_pure() -> None:
    paths = [path for path in files() if part_of(path) == "domain"]
    assert [line for path in paths for line in foreign_imports(path, set())] == []


@pytest.mark.parametrize(
    ("name", "allowed"), [("units.py", UNITS_MAY_IMPORT), ("errors.py", set())]
)
def test_imports__of_the_lowest_layer__are_the_standard_library(
    name: str, allowed: set[str]
) -> None:
    assert foreign_imports(PACKAGE / name, allowed) == []


NO_QUERIES = {
    "sqlalchemy.RowMapping",
    "sqlalchemy.engine.RowMapping",
    "sqlalchemy.exc.IntegrityError",
}
"""What a layer above the store may know of SQL: the type of a row and a constraint's refusal."""


@pytest.mark.parametrize(
    ("library", "home"), [("sqlalchemy", "store"), ("alembic", "store"), ("web3", "chain")]
)
def test_library__of_one_layer__is_used_nowhere_else(library: str, home: str) -> None:
    elsewhere = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files()
        for line, name in imports_of(path)
        if name.split(".")[0] == library and part_of(path) != home and name not in NO_QUERIES
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    "statement",
    [
        "from settlement_node.node import plan",
        "import settlement_node.api.app",
        "def f():\n    from settlement_node.chain import pool",
    ],
)
def test_upward_imports__a_store_file_that_looks_up_or_aside__is_found(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: it sees imports at the top and inside functions."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "settlement_node")
    wrong = tmp_path / "settlement_node" / "store" / "wrong.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(statement)
    assert len(upward_imports(wrong)) == 1
