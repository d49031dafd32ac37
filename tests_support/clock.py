"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START_UTC = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """Call it for the time; `advance` moves it on."""

    now_utc: datetime = START_UTC

    def __call__(self) -> datetime:
        return self.now_utc

    def advance(self, *, seconds: float) -> datetime:
        """Move on and give the new time."""
        self.now_utc += timedelta(seconds=seconds)
        return self.now_utc
