"""What a look at settings, endpoints and funds found, in a line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any


class Verdict(StrEnum):
    """A note is right as it stands, and worth knowing."""

    RIGHT = "right"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    about: str
    words: str

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


right = partial(Finding, Verdict.RIGHT)
"""As it should be."""
note = partial(Finding, Verdict.NOTE)
"""Worth knowing."""
wrong = partial(Finding, Verdict.WRONG)
"""To be mended."""
