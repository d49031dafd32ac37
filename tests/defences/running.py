"""Runs named tests in a copied tree, pytest's and forge's, and says how each ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.defences.report import REPORT_VARIABLE

ENDING_SECONDS = 30.0
"""For an interrupted pytest to stop the servers it started."""
LOOK_SECONDS = 1.0
"""Between two looks whether everything is to stop."""
TAIL_CHARACTERS = 1500


@dataclass(frozen=True, slots=True)
class Run:
    """How the named tests ended: passed, failed, error or skipped. `trouble` says why the run as
    a whole proves nothing, `output` is the end of what it printed."""

    ends: Mapping[str, str] = field(default_factory=dict)
    trouble: str | None = None
    output: str = ""

    def ends_of(self, test: str) -> set[str]:
        """The ends of a test; one without brackets stands for all its variants."""
        return {end for name, end in self.ends.items() if test in (name, name.partition("[")[0])}


def run_pytest(
    folder: Path,
    tests: Sequence[str],
    *,
    seconds: float,
    stopped: threading.Event,
    workers: int = 0,
) -> Run:
    """Run tests by node id in the copied tree, in this many processes beside it."""
    report = folder / ".defence-report.json"
    report.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider",
        "-p", "tests.defences.report", "--hypothesis-seed=0", "-n", str(workers), *tests,
    ]  # fmt: skip
    environment = {REPORT_VARIABLE: str(report), "PYTHONPATH": str(folder)}
    code, output = _run(command, folder, environment, seconds=seconds, stopped=stopped)
    if code is None:
        return Run(trouble=f"not done within {seconds:.0f} s", output=output)
    if not report.exists():
        return Run(trouble=f"pytest ended with {code} before any test", output=output)
    found = json.loads(report.read_text())
    if Path(found["package"]) != folder / "settlement_node":
        return Run(trouble=f"it tested {found['package']}, not the copy", output=output)
    ends = found["ends"]
    if code not in (0, 1):
        return Run(ends, f"pytest ended with {code}: tests not found or not importable", output)
    return Run(ends, output=output)


def run_forge(
    folder: Path, tests: Sequence[str], *, seconds: float, stopped: threading.Event
) -> Run:
    """Run contract tests by `file::name` in the copied tree, file by file."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        path, _, name = test.partition("::")
        by_file[path].append(name)
    ends: dict[str, str] = {}
    environment = {"PATH": f"{folder / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"}
    for path, names in by_file.items():
        command = [
            "forge", "test", "--json", "--match-path", path,
            "--match-test", rf"^({'|'.join(map(re.escape, names))})\(",
        ]  # fmt: skip
        code, output = _run(command, folder, environment, seconds=seconds, stopped=stopped)
        if code is None:
            return Run(ends, f"not done within {seconds:.0f} s", output)
        try:
            suites = json.loads(output[output.index("{") :])
        except ValueError:
            return Run(ends, f"forge ended with {code} without a result", output)
        for suite in suites.values():
            for signature, result in suite["test_results"].items():
                end = "passed" if result["status"] == "Success" else "failed"
                ends[f"{path}::{signature.partition('(')[0]}"] = end
    return Run(ends)


def _run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    seconds: float,
    stopped: threading.Event,
) -> tuple[int | None, str]:
    """Exit code, None when the time was up, and output. Nothing it started is left behind."""
    # What one row compiled, the next one reads.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + seconds
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or stopped.is_set():
                return None, _end(process)
            try:
                output, _ = process.communicate(timeout=min(left, LOOK_SECONDS))
            except subprocess.TimeoutExpired:
                continue
            return process.returncode, output
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen[str]) -> str:
    """As a person would with Ctrl-C, so that databases and chains are stopped; then for good."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return output
