"""A pytest plugin that writes down how each test ended, and which package it was that ran."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

REPORT_VARIABLE = "SETTLEMENT_DEFENCE_REPORT"


class Ends:
    """Collects; a failure in a fixture is an error, which proves nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ends: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.ends[report.nodeid] = report.outcome
        elif report.failed and self.ends.get(report.nodeid) != "failed":
            self.ends[report.nodeid] = "error"
        elif report.skipped:
            self.ends[report.nodeid] = "skipped"

    def pytest_sessionfinish(self) -> None:
        import settlement_node

        package = str(Path(settlement_node.__file__).parent)
        self.path.write_text(json.dumps({"package": package, "ends": self.ends}))


def pytest_configure(config: pytest.Config) -> None:
    """Report where the variable says."""
    config.pluginmanager.register(Ends(Path(os.environ[REPORT_VARIABLE])), "defence-report")
