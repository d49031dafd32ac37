"""The simulator's own tests run without the stages' log lines, and leave logging as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.world import silence_logs


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """No log lines."""
    before = structlog.get_config()
    silence_logs()
    yield
    structlog.configure(**before)
