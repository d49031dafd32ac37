"""How an endpoint's past answers decide how soon it is asked again. Pure: time is an argument.

A failure halves the score and a good answer mends a fifth of what is missing; the memory of both
fades with a half-life. Repeated failures quarantine the endpoint for a while that doubles each
time; after it the endpoint is on probation: asked again, last of all, until it has answered well
a few times in a row. What enough others or a proof contradict is no failure but a false answer: it
quarantines at once, for twice as long as the last one did, and is told by name for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.domain.observations import EndpointHealth


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """The numbers of the rules above."""

    half_life_seconds: float = 120.0
    failures_to_quarantine: int = 3
    quarantine_seconds: float = 10.0
    quarantine_max_seconds: float = 300.0
    probation_answers: int = 2
    stale_blocks: int = 12
    """Further behind the agreed head than this counts as a failure."""
    contradiction_seconds: float = 3_600.0
    """How long a false answer is remembered and told."""


class HealthRecord:
    """One endpoint's health; changed only through the methods here."""

    def __init__(self, name: str, policy: HealthPolicy) -> None:
        """Starts healthy."""
        self.name = name
        self.head_number: int | None = None
        self.on_wrong_chain = False
        self._policy = policy
        self._score = 1.0
        self._scored_at = 0.0
        self._latency_seconds: float | None = None
        self._failures_in_row = 0
        self._quarantined_until: float | None = None
        self._quarantines_in_row = 0
        self._probation_left = 0
        self._last_error: str | None = None
        self._contradiction: str | None = None
        self._contradicted_at = 0.0
        self._contradictions_in_row = 0

    def succeeded(self, *, now_seconds: float, latency_seconds: float) -> None:
        """It answered, and what it said was usable."""
        self._fade(now_seconds)
        self._score += (1.0 - self._score) / 5
        self._failures_in_row = 0
        known = self._latency_seconds
        self._latency_seconds = (
            latency_seconds if known is None else known + (latency_seconds - known) / 5
        )
        if self.quarantined(now_seconds=now_seconds):
            return
        if self._probation_left:
            self._probation_left -= 1
            if not self._probation_left:
                self._quarantined_until = None
                self._quarantines_in_row = 0

    def failed(self, why: str, *, now_seconds: float) -> None:
        """It gave no answer, an error, or a view of the chain that others contradict."""
        self._fade(now_seconds)
        self._score /= 2
        self._failures_in_row += 1
        self._last_error = why
        on_probation = self._probation_left > 0 and not self.quarantined(now_seconds=now_seconds)
        if on_probation or self._failures_in_row >= self._policy.failures_to_quarantine:
            self._quarantine(now_seconds)

    def contradicted(self, why: str, *, now_seconds: float) -> None:
        """Enough others, or a proof, show an answer of it about the agreed chain as false."""
        if self._told(now_seconds) is None:
            self._contradictions_in_row = 0
        seconds = self._doubled(self._contradictions_in_row)
        self._contradictions_in_row = min(self._contradictions_in_row + 1, 16)
        self._fade(now_seconds)
        self._score = 0.0
        self._last_error = self._contradiction = why
        self._contradicted_at = now_seconds
        self._quarantined_until = max(self._quarantined_until or 0.0, now_seconds + seconds)
        self._probation_left = self._policy.probation_answers
        self._failures_in_row = 0

    def quarantined(self, *, now_seconds: float) -> bool:
        """Whether it is left alone for now, as long as there are others to ask."""
        return self._quarantined_until is not None and now_seconds < self._quarantined_until

    def order_key(self, *, now_seconds: float) -> tuple[bool, bool, float]:
        """Sorts the best first: not quarantined, not on probation, the higher score.

        The score is taken in steps of a quarter, so that two good endpoints keep their configured
        order and do not trade places with every answer.
        """
        self._fade(now_seconds)
        quarantined = self.quarantined(now_seconds=now_seconds)
        return (quarantined, self._probation_left > 0, -round(self._score * 4))

    def show(self, *, now_seconds: float) -> EndpointHealth:
        """The state for people."""
        self._fade(now_seconds)
        latency = self._latency_seconds
        return EndpointHealth(
            name=self.name,
            head_number=self.head_number,
            latency_milliseconds=None if latency is None else latency * 1000,
            score=self._score,
            quarantined=self.on_wrong_chain or self.quarantined(now_seconds=now_seconds),
            last_error=self._last_error,
            contradiction=self._told(now_seconds),
        )

    def _told(self, now_seconds: float) -> str | None:
        """The last false answer, for as long as it is remembered."""
        since = now_seconds - self._contradicted_at
        return self._contradiction if since < self._policy.contradiction_seconds else None

    def _quarantine(self, now_seconds: float) -> None:
        if self.quarantined(now_seconds=now_seconds):
            return
        self._quarantined_until = now_seconds + self._doubled(self._quarantines_in_row)
        self._quarantines_in_row = min(self._quarantines_in_row + 1, 16)
        self._probation_left = self._policy.probation_answers
        self._failures_in_row = 0

    def _doubled(self, times: int) -> float:
        seconds: float = self._policy.quarantine_seconds * 2**times
        return min(seconds, self._policy.quarantine_max_seconds)

    def _fade(self, now_seconds: float) -> None:
        """What is missing from a full score halves with every half-life."""
        elapsed = max(0.0, now_seconds - self._scored_at)
        missing = (1.0 - self._score) * 0.5 ** (elapsed / self._policy.half_life_seconds)
        self._score = 1.0 - missing
        self._scored_at = max(self._scored_at, now_seconds)
