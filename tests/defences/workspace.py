"""A copy of the tree in which a defence can be taken out and put back."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.defences.model import Defence
from tests.defences.places import Misfit

ROOT = Path(__file__).parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".*",
    "node_modules",
    "notes",
    "build",
    "dist",
    "var",
    "__pycache__",
    "*.egg-info",
    "*.sqlite",
    "*.sqlite-*",
)
SHARED = (".venv", "node_modules")
"""Too large to copy and never written by a test."""


def patched(source: str, row: Defence) -> str:
    """A file's text without the defence; raises Misfit where the row does not fit any more."""
    try:
        return row.change.applied(source, row.place)
    except Misfit as error:
        raise Misfit(f"{row.name}: in {row.at}: {error}") from None


@dataclass(slots=True)
class Workspace:
    """A copied tree. What is written gets a time of its own, so that bytecode of another version
    is never taken for the present one's. Once `stopped` is set nothing is run in it any more."""

    folder: Path
    stopped: threading.Event = field(default_factory=threading.Event)
    writes: int = 0

    @contextmanager
    def without(self, row: Defence) -> Iterator[None]:
        """The tree without one defence, for as long as the context lasts."""
        path = self.folder / row.file
        original = path.read_text(encoding="utf-8")
        self._write(path, patched(original, row))
        try:
            yield
        finally:
            self._write(path, original)

    def _write(self, path: Path, text: str) -> None:
        self.writes += 1
        changed_at = path.stat().st_mtime + 2 * self.writes
        path.write_text(text, encoding="utf-8")
        os.utime(path, (changed_at, changed_at))


def copy_tree(folder: Path, *, root: Path = ROOT) -> Workspace:
    """Copy the tree as it stands now, uncommitted changes too."""
    shutil.copytree(root, folder, ignore=LEFT_OUT, symlinks=True)
    for name in SHARED:
        if (root / name).exists():
            (folder / name).symlink_to((root / name).resolve())
    return Workspace(folder)
