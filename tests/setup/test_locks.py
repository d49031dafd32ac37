"""The locks: whole, by hash, alike, and tied to no registry."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
LOCKS = {
    "requirements.lock": ("build",),
    "requirements-dev.lock": ("build", "dev"),
    "requirements-aws.lock": ("aws",),
    "requirements-demo.lock": ("demo",),
}
"""Each lock, and the dependency groups it serves; what the node needs is in the first two."""
PYTHONS = ("3.11", "3.12")
ENTRY = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\\n"
    r"(?P<hashes>(?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
    r"(?: {4}# .*\n)*",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock; without a marker it is installed everywhere."""

    version: str
    marker: str | None

    def applies_to(self, python_version: str) -> bool:
        return self.marker is None or Marker(self.marker).evaluate(environment(python_version))


def environment(python_version: str) -> dict[str, str]:
    """This machine, with another Python."""
    here = {name: str(value) for name, value in default_environment().items()}
    full = f"{python_version}.1"
    return here | {"python_version": python_version, "python_full_version": full, "extra": ""}


def entries(lock: str) -> dict[str, Locked]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        found["name"]: Locked(found["version"], found["marker"]) for found in ENTRY.finditer(text)
    }


def declared(lock: str) -> list[Requirement]:
    """What pyproject.toml asks of a lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups: dict[str, list[Any]] = project["dependency-groups"]

    def of_group(name: str) -> list[str]:
        return [
            line
            for entry in groups[name]
            for line in (of_group(entry["include-group"]) if isinstance(entry, dict) else [entry])
        ]

    lines = [line for name in LOCKS[lock] for line in of_group(name)]
    if "build" in LOCKS[lock]:
        lines += project["project"]["dependencies"]
    return [Requirement(line) for line in lines]


def needs_of(wanted: Requirement, python_version: str) -> list[Requirement]:
    """What a package asks for, itself and by the extras wanted of it, as installed here."""
    found = []
    for line in metadata.requires(wanted.name) or []:
        needed = Requirement(line)
        if needed.marker is None or any(
            needed.marker.evaluate(environment(python_version) | {"extra": extra})
            for extra in ("", *wanted.extras)
        ):
            found.append(needed)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_lock__every_line__is_a_version_with_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "" == ENTRY.sub("", text)
    assert "://" not in text


@pytest.mark.parametrize("python_version", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_lock__what_its_packages_ask_for__is_in_it_and_fits(lock: str, python_version: str) -> None:
    locked = entries(lock)
    waiting, seen, missing = declared(lock), set(), []
    while waiting:
        wanted = waiting.pop()
        key = (name := canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        entry = locked.get(name)
        if entry is None or not entry.applies_to(python_version):
            missing.append(f"{wanted}: not in it")
        elif not wanted.specifier.contains(entry.version, prereleases=True):
            missing.append(f"{wanted}: it has {entry.version}")
        elif metadata.version(name) != entry.version:
            missing.append(f"{name}: {metadata.version(name)} is installed; run make setup")
        else:
            waiting += needs_of(wanted, python_version)
    assert [] == missing
    unused = {name for name, entry in locked.items() if entry.applies_to(python_version)}
    assert set() == unused - {name for name, _ in seen}


def test_locks__a_package_in_several__has_one_version() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, entry in entries(lock).items():
            versions.setdefault(name, set()).add(entry.version)
    assert {} == {name: found for name, found in versions.items() if len(found) > 1}


def test_package_lock__every_package__has_a_hash_and_no_address() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert packages
    assert [] == [name for name, entry in packages.items() if "integrity" not in entry]
    assert '"resolved"' not in text


def test_installs__of_every_lock__take_it_whole_and_by_hash() -> None:
    listed = ("Makefile", ".ci", "tools", "docs", *(path.name for path in ROOT.glob("*.md")))
    files = [
        path
        for name in listed
        for path in (ROOT / name, *(ROOT / name).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]
    lines = [
        line.strip()
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"pip3? install", line)
    ]
    from_locks = [line for line in lines if "--no-index" not in line]
    assert from_locks
    for line in from_locks:
        assert "--no-deps --require-hashes -r" in line, line
