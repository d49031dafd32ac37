"""Stopping a lane: what must never be, as the break that a person resolves."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.errors import InvariantBroken


@dataclass(frozen=True, slots=True)
class LaneStop:
    """The money break that stops a lane: its kind, what it concerns, and what was expected and
    found where a person's resolving depends on it."""

    kind: str
    subject: str
    expected: str = ""
    actual: str = ""


class LaneStopped(InvariantBroken):
    """Something that must never be, of a kind the runbook knows."""

    def __init__(self, message: str, stop: LaneStop) -> None:
        super().__init__(message)
        self.stop = stop


def stop_of(error: InvariantBroken, *, lane_key: str) -> LaneStop:
    """The break to open for an error: the one it names, or that of any other broken invariant."""
    if isinstance(error, LaneStopped):
        return error.stop
    return LaneStop(kind="invariant_broken", subject=lane_key)
