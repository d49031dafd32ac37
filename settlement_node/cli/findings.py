"""What a look at settings, endpoints and funds found, in a line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
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


def right(about: str, words: str) -> Finding:
    """As it should be."""
    return Finding(Verdict.RIGHT, about, words)


def note(about: str, words: str) -> Finding:
    """Worth knowing."""
    return Finding(Verdict.NOTE, about, words)


def wrong(about: str, words: str) -> Finding:
    """To be mended."""
    return Finding(Verdict.WRONG, about, words)
