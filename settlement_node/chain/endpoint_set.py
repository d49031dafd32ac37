"""All endpoints of one chain: whom to ask next, and what their answers do to their health."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from settlement_node.chain.endpoint import Endpoint, LogRangeTooLarge
from settlement_node.chain.health import HealthPolicy, HealthRecord
from settlement_node.chain.transport import Transport
from settlement_node.chain.views import EndpointHealth
from settlement_node.errors import InvalidInput, Transient

_Answer = TypeVar("_Answer")


class EndpointSet:
    """The endpoints in their configured order, each with its health."""

    def __init__(
        self,
        transports: Sequence[Transport],
        *,
        now: Callable[[], float],
        policy: HealthPolicy,
        agreement: int,
    ) -> None:
        """`now` gives monotonic seconds; `agreement` is capped by the number of endpoints."""
        names = [transport.name for transport in transports]
        if not names:
            raise InvalidInput("a chain needs at least one endpoint")
        if len(set(names)) != len(names):
            raise InvalidInput("two endpoints have the same name; give each its own")
        if agreement < 1:
            raise InvalidInput("agreement must be at least 1", field="agreement")
        self.agreement = min(agreement, len(names))
        self.now = now
        self.endpoints = tuple(Endpoint(transport) for transport in transports)
        self._records = {name: HealthRecord(name, policy) for name in names}

    def record(self, endpoint: Endpoint) -> HealthRecord:
        """The endpoint's health."""
        return self._records[endpoint.name]

    def in_order(self) -> list[Endpoint]:
        """Whom to ask, the best first; without those of another chain.

        Quarantined endpoints are left out unless that left fewer than must agree: being asked
        for little is better than not being able to decide anything.
        """
        now_seconds = self.now()
        usable = [item for item in self.endpoints if not self.record(item).on_wrong_chain]
        usable.sort(key=lambda item: self.record(item).order_key(now_seconds=now_seconds))
        healthy = [
            item for item in usable if not self.record(item).quarantined(now_seconds=now_seconds)
        ]
        return healthy if len(healthy) >= self.agreement else usable

    def due(self) -> list[Endpoint]:
        """Whom to poll for heads, in configured order: those of another chain as well, since
        that is how they are found to be mended."""
        now_seconds = self.now()
        due = [
            item
            for item in self.endpoints
            if not self.record(item).quarantined(now_seconds=now_seconds)
        ]
        return due if len(due) >= self.agreement else list(self.endpoints)

    def ask(self, endpoint: Endpoint, question: Callable[[Endpoint], _Answer]) -> _Answer:
        """Ask one endpoint and book the outcome to its health; Transient is passed on."""
        answer, latency_seconds = self.poll(endpoint, question)
        self.record(endpoint).succeeded(now_seconds=self.now(), latency_seconds=latency_seconds)
        return answer

    def poll(
        self, endpoint: Endpoint, question: Callable[[Endpoint], _Answer]
    ) -> tuple[_Answer, float]:
        """Ask, but leave it to the caller to book a success, once the answer has been compared
        with others'. Returns the answer and how many seconds it took."""
        started = self.now()
        try:
            answer = question(endpoint)
        except LogRangeTooLarge:
            raise  # a limit, not a failure
        except Transient as error:
            self.record(endpoint).failed(error.message, now_seconds=self.now())
            raise
        return answer, self.now() - started

    def answers(
        self, question: Callable[[Endpoint], _Answer]
    ) -> Iterator[tuple[Endpoint, _Answer]]:
        """Ask one endpoint after another for as long as the caller goes on.

        Endpoints that fail are passed over; raises Transient when none has answered.
        """
        answered = False
        errors: list[str] = []
        for endpoint in self.in_order():
            try:
                answer = self.ask(endpoint, question)
            except LogRangeTooLarge:
                raise
            except Transient as error:
                errors.append(error.message)
                continue
            answered = True
            yield endpoint, answer
        if not answered:
            raise Transient("no endpoint answered: " + ("; ".join(errors) or "none is usable"))

    def first_answer(self, question: Callable[[Endpoint], _Answer]) -> _Answer:
        """The first endpoint's answer that comes; Transient when none comes."""
        for _endpoint, answer in self.answers(question):
            return answer
        raise AssertionError("answers() yields or raises")

    def health(self) -> list[EndpointHealth]:
        """In configured order."""
        now_seconds = self.now()
        return [self.record(item).show(now_seconds=now_seconds) for item in self.endpoints]
