"""The folders of ARCHITECTURE, checked by reading the imports: downwards only, nothing too long."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "settlement_node"
LINES_MAX = 400
BIGGEST_ROOM = 0.2

ROOMS = (
    ("units", "errors"),
    ("domain.engine", "domain"),
    ("config", "logs"),
    ("store", "store.tables", "store.migrations", "chain.views", "chain.wire"),
    ("store.engine", "store.book", "store.chain_memory", "store.telling", "store.people"),
    ("chain.endpoints",),
    ("chain.contracts", "chain.signers"),
    ("chain",),
    ("devchain", "methods"),
    ("booking",),
    ("reads",),
    ("desk", "notify"),
    ("sources", "node.stages", "node"),
    ("assembly",),
    ("api", "console", "cli", "demo"),
    ("__main__",),
)
"""The rooms of the package from the lowest up. What stands on one line are neighbours, which may
know each other as long as their files do not import one another in a circle. A room named with its
folder ("node.stages") is a folder inside; the folder's own files are the room "node"."""

LAYERS = {room: layer for layer, rooms in enumerate(ROOMS) for room in rooms}

STRANGERS = (
    {"store", "chain"},
    {"config", "store"},
    {"config", "chain"},
    {"devchain", "reads"},
    {"notify", "desk"},
    {"sources", "node"},
    {"console", "api"},
    {"api", "demo"},
)
"""Folders that know nothing of each other, whatever stands above."""

OPEN_TO_FACES = {
    *("units", "errors", "logs", "config", "domain", "domain.engine"),
    *("reads", "desk", "sources", "node", "assembly", "store"),
}
"""What every face works with: words and amounts, what is asked and done, the running parts, and the
database as a whole. The rules, the SQL and the chain are behind these."""
FACES_MAY_KNOW = {
    "api": {
        "chain": "the chains of this process, whose health it shows",
        "store.people": "the keys of requests that may be repeated are its own rows",
        "store.telling": "the event stream is a reader of the outbox; a scraper's figures",
    },
    "cli": {
        "api": "it starts the interface and prints its description",
        "demo": "it starts the demonstration",
        "devchain": "it starts the chain of the demonstration, and names its keys",
        "chain": "deploying and checking speak with a chain before there is a node",
        "chain.contracts": "an address that a deployment will have",
        "chain.signers": "it makes keys and reads their addresses",
        "chain.views": "what a settler and its tokens say, beside what a fund's file says",
        "methods": "how a settler and its tokens come onto a chain, and how a burn is tried",
        "node.stages": "what planning will ask the tokens, it asks when a fund is added",
        "store.book": "a fund's file becomes its rows, and its rows a file",
        "store.chain_memory": "a chain started anew is behind what the book has as final",
        "store.engine": "the name of a lane",
    },
    "demo": {
        "chain": "it watches the chain and audits from the chain's logs alone",
        "chain.signers": "it signs for the people it plays",
        "chain.wire": "it deploys over a transport",
        "methods": "it deploys a settler and tokens",
        "node.stages": "it reconciles by hand at its end",
        "store.book": "it enters its fund, and compares the book's rows with the chain",
        "store.telling": "it counts open breaks",
    },
}
"""Which rooms below a face knows besides, and why."""

UNITS_MAY_IMPORT = {"eth_utils"}
"""Checksums and keccak, which the standard library does not have."""


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(parts: Sequence[str]) -> str:
    """The room of a module, by its name's parts below the package: the innermost that is known."""
    inner = ".".join(parts[:2])
    return inner if inner in LAYERS else parts[0]


def part_of(path: Path) -> str:
    """The folder or file below the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    """A file's module, below the package; a folder's own file is the folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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
    """Imports of a file that point upwards, or at a folder it must not know."""
    wrong = []
    here = room_of(path.relative_to(PACKAGE).with_suffix("").parts)
    for line, name in imports_of(path):
        parts = name.split(".")
        if parts[0] != PACKAGE.name or len(parts) == 1 or room_of(parts[1:]) not in LAYERS:
            continue
        there = room_of(parts[1:])
        folders = {part_of(path), parts[1]}
        if LAYERS[there] > LAYERS[here] or folders in STRANGERS:
            wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    return wrong


def beside_the_answers(path: Path) -> set[str]:
    """Rooms that a face's file knows beside its own and those open to every face."""
    here = room_of(path.relative_to(PACKAGE).with_suffix("").parts)
    known = {
        room_of(name.split(".")[1:])
        for _, name in imports_of(path)
        if name.startswith(f"{PACKAGE.name}.")
    }
    return {room for room in known & LAYERS.keys() if room not in {here, *OPEN_TO_FACES}}


def graph() -> dict[str, set[str]]:
    """Which module of the package imports which, inside functions too."""
    modules = {module_of(path): path for path in files()}
    return {
        module: {
            found
            for _, name in imports_of(path)
            if name.startswith(f"{PACKAGE.name}.")
            for found in (
                name.removeprefix(f"{PACKAGE.name}."),
                name.removeprefix(f"{PACKAGE.name}.").rpartition(".")[0],
            )
            if found in modules and found != module
        }
        for module, path in modules.items()
    }


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
    room = room_of(path.relative_to(PACKAGE).with_suffix("").parts)
    assert room in {*LAYERS, "__init__"}, "give the new room a layer"
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LINES_MAX


def test_imports__all__point_downwards() -> None:
    inside = [path for path in files() if part_of(path) != "__init__"]
    assert [line for path in inside for line in upward_imports(path)] == []


def test_imports__all__go_in_no_circle() -> None:
    try:
        order = list(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert len(files()) - 1 <= len(order)


@pytest.mark.parametrize("face", FACES_MAY_KNOW)
def test_imports__of_a_face__are_answers_actions_and_what_it_has_a_reason_for(face: str) -> None:
    """No face holds a rule: both ways, so that a reason goes when what needed it is gone."""
    known = {room for path in files() if part_of(path) == face for room in beside_the_answers(path)}
    assert set(FACES_MAY_KNOW[face]) == known


def test_rooms__the_biggest__is_a_fifth_of_the_package_at_most() -> None:
    lengths: Counter[str] = Counter()
    for path in files():
        lengths[part_of(path)] += len(path.read_text(encoding="utf-8").splitlines())
    room, lines = lengths.most_common(1)[0]
    assert lines <= BIGGEST_ROOM * lengths.total(), room


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
    ("library", "home"),
    [("sqlalchemy", "store"), ("alembic", "store"), ("web3", "chain"), ("eth", "devchain")],
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
        "from settlement_node.node.stages import plan",
        "import settlement_node.api.app",
        "def f():\n    from settlement_node.chain import client",
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


def test_beside_the_answers__a_face_that_reads_the_tables_itself__is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the faces can fail."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "settlement_node")
    wrong = tmp_path / "settlement_node" / "api" / "wrong.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("from settlement_node.store.tables import redemptions")
    assert {"store.tables"} == beside_the_answers(wrong)
