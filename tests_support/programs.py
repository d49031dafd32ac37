"""Which real program each test ran on, from its fixtures' parameters, counted in the summary."""

from __future__ import annotations

from collections import Counter

import pytest

PROGRAMS = ("sqlite", "postgresql", "pyevm", "anvil")
"""Markers, and the parameter values that set them."""
COUNTED = "ran_on"


def programs_of(item: pytest.Item) -> set[str]:
    """Programs a test uses: by parameter, by marker, or by a fixture named after one."""
    names = {marker.name for marker in item.iter_markers()}
    callspec = getattr(item, "callspec", None)
    if callspec is not None:
        names |= {value for value in callspec.params.values() if isinstance(value, str)}
    for fixture in getattr(item, "fixturenames", ()):
        names |= {program for program in PROGRAMS if fixture.startswith(f"{program}_")}
    return names & set(PROGRAMS)


class ProgramCount:
    """Counts, in the process that collects the reports, what passed on each program."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark each test with its programs, so that `-m postgresql` selects."""
        for item in items:
            for program in sorted(programs_of(item)):
                item.add_marker(program)
                item.user_properties.append((COUNTED, program))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a finished test; reports of parallel workers arrive here too."""
        if report.when != "call" or report.skipped:
            return
        counter = self.passed if report.passed else self.failed
        counter.update(str(value) for name, value in report.user_properties if name == COUNTED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many tests ran on each program; a zero is worth seeing too."""
        parts = []
        for program in PROGRAMS:
            failed = f" ({self.failed[program]} failed)" if self.failed[program] else ""
            parts.append(f"{program} {self.passed[program] + self.failed[program]}{failed}")
        terminalreporter.write_line("ran on: " + ", ".join(parts))
