"""The Pythons of this machine: for each version asked for, the one that brings the oldest pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROBE = "import sys, ensurepip; print('%d.%d' % sys.version_info[:2], ensurepip.version())"
KEPT_BY_TOOLS = (
    (os.environ.get("PYENV_ROOT", "~/.pyenv"), "versions/*/bin"),
    ("~/.local/share/uv/python", "*/bin"),
)
"""Where pyenv and uv keep theirs, which need not be on the path."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can make an environment; `pip_version` is what it puts there."""

    path: Path
    python_version: str
    pip_version: str

    @property
    def pip_order(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.pip_version.split(".") if part.isdigit())


def with_oldest_pip(python_version: str) -> Interpreter | None:
    """The one of that version ("3.12") with the oldest bundled pip; None if there is none."""
    name = f"python{python_version}"
    found = {found.path: found for path in _paths(name) if (found := _probed(path))}
    fitting = [one for one in found.values() if one.python_version == python_version]
    return min(fitting, key=lambda one: one.pip_order, default=None)


def _paths(name: str) -> Iterator[Path]:
    yield Path(sys._base_executable)  # type: ignore[attr-defined]
    for folder in os.get_exec_path():
        if at := shutil.which(name, path=folder):
            yield Path(at)
    for root, pattern in KEPT_BY_TOOLS:
        for folder in sorted(Path(root).expanduser().glob(pattern)):
            yield folder / name


def _probed(path: Path) -> Interpreter | None:
    try:
        ended = subprocess.run(
            [path, "-c", PROBE], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    python_version, pip_version = ended.stdout.split()
    return Interpreter(path, python_version, pip_version)
