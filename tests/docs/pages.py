"""The project's pages as tests read them: marked blocks, and a folder like a fresh clone after
`make setup` in which they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SUITE_PAGES = tuple(
    ROOT / folder / "README.md"
    for folder in ("tests", "chain_tests", "tests_support", "benchmarks")
)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *SUITE_PAGES])
BLOCK = re.compile(r"<!-- (run|output|test): ([a-z-]+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
COPIED = (
    "Makefile",
    "pyproject.toml",
    "setup.py",
    "requirements.lock",
    "requirements-demo.lock",
    "requirements-dev.lock",
    "package.json",
    "package-lock.json",
    "README.md",
)
DELIMITER = "=====end of block====="


@dataclass(frozen=True, slots=True)
class Block:
    """A marked block: `kind` is run, output or test."""

    kind: str
    name: str
    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    """The marked blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(*found) for found in BLOCK.findall(text)]


def fresh_clone(folder: Path) -> Path:
    """A folder that looks like a clone of this tree after `make setup`."""
    for name in COPIED:
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, arguments in (("python", ""), ("settlement-node", "-m settlement_node ")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        program.chmod(0o755)
    (folder / ".setup").mkdir()
    for name in ("run", "demo", "node", "dev"):
        (folder / ".setup" / name).touch()
    return folder


def run_script(script: str, folder: Path, *, seconds: float) -> list[str]:
    """Run a script with bash in the folder; the output between the delimiters, in order.

    The script and everything it started is ended afterwards, however it ends.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SETTLEMENT_")
    }
    environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
    process = subprocess.Popen(
        ["bash", "-c", "set -euo pipefail\n" + script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"not done in {seconds} s; {_logs(folder)}") from None
    finally:
        _end(process)
    assert process.returncode == 0, f"{output[-3000:]}\n{errors[-3000:]}\n{_logs(folder)}"
    return output.split(DELIMITER + "\n")


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, 15)
        process.wait(timeout=10)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)


def _logs(folder: Path) -> str:
    return "\n".join(
        f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log"))
    )
