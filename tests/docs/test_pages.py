"""Every page: links lead somewhere, commands and options exist, nothing private is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT
from tests.docs.program import commands

LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
COMMAND = re.compile(r"settlement-node((?: +[a-z][a-z-]*)+)((?:[^`\n|#;]*?--[a-z-]+)*)")
TARGET = re.compile(r"`?\bmake ([a-z][a-z-]+)\b")
PRIVATE = re.compile(r"/work/|/root/|/home/|/tmp/", re.IGNORECASE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page__links__lead_somewhere(path: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(path.read_text(encoding="utf-8")):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        page = (path.parent / target).resolve() if target else path
        if not page.exists() or (anchor and anchor not in anchors_of(page)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page__commands_and_options__exist(path: Path) -> None:
    known = commands()
    wrong = []
    for words, options in COMMAND.findall(path.read_text(encoding="utf-8")):
        path_words = tuple(words.split())
        # Words behind the command are its arguments.
        command = next(
            (path_words[:n] for n in range(len(path_words), 0, -1) if path_words[:n] in known), None
        )
        if command is None:
            wrong.append(f"settlement-node{words}")
            continue
        wrong += [
            f"settlement-node {' '.join(command)} {option}"
            for option in re.findall(r"(--[a-z-]+)", options)
            if option not in known[command]
        ]
    assert wrong == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page__make_targets__exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"```sh\n(.*?)```|`(make [^`]+)`", path.read_text("utf-8"), re.DOTALL)
    named = {t for pair in code for part in pair for t in TARGET.findall(part)}
    assert named - targets == set()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page__paths__are_of_no_one_machine(path: Path) -> None:
    assert PRIVATE.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page__files_of_the_code_it_names__exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    roots = (ROOT, ROOT / "settlement_node", ROOT / "contracts")
    named = set(re.findall(r"`([a-z_]+(?:/[A-Za-z_]+)+\.(?:py|sol|csv|toml))`", text))
    missing = [name for name in sorted(named) if not any((r / name).exists() for r in roots)]
    assert missing == []


def test_names__of_the_code_in_the_architecture_and_the_decisions__exist() -> None:
    folders = ("settlement_node", "contracts", "tests/simulation", "chain_tests")
    sources = [
        path.read_text(encoding="utf-8")
        for folder in folders
        for suffix in ("py", "sol")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
    ]
    words = set(re.findall(r"\w+", "\n".join(sources)))
    pages = [ROOT / "ARCHITECTURE.md", *(ROOT / "docs/adr").glob("*.md")]
    unknown = {
        name: path.name
        for path in pages
        for name in re.findall(r"`(_?[a-z]+(?:_[a-z0-9]+)+)(?:\(\))?`", path.read_text("utf-8"))
        if name not in words
    }
    assert unknown == {}
