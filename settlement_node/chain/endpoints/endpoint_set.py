"""All endpoints of one chain: whom to ask next, when an answer counts, and who was wrong.

No answer counts because one endpoint gave it: `agreed` asks on until enough have given the same
content. What they contradict is booked to its endpoint by name; what nothing decides is remembered
as a disagreement for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from settlement_node.chain.endpoints.agreement import (
    Answer,
    EndpointsDisagree,
    difference,
    who_says_what,
)
from settlement_node.chain.endpoints.endpoint import Endpoint
from settlement_node.chain.endpoints.health import HealthPolicy, HealthRecord
from settlement_node.chain.views import Disagreement
from settlement_node.chain.wire.transport import Transport
from settlement_node.domain.observations import EndpointHealth
from settlement_node.errors import InvalidInput, Transient

_Content = TypeVar("_Content")
READ_ATTEMPTS = 4
"""How often one endpoint is asked what it does not answer. Sends are never repeated."""
READ_AGAIN_SECONDS = 2.0
"""What took long to fail would do so again: failed endpoints are asked again within this time."""
DISAGREEMENT_SECONDS = 600.0
"""A disagreement is forgotten when its question was not asked for so long."""
DISAGREEMENTS_MAX = 100


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
        self._disagreements: dict[str, tuple[Disagreement, float]] = {}

    def record(self, endpoint: Endpoint) -> HealthRecord:
        """The endpoint's health."""
        return self._records[endpoint.name]

    def in_order(self) -> list[Endpoint]:
        """Whom to ask, the best first; without those of another chain.

        Quarantined endpoints are left out unless that left fewer than must agree: being asked
        for little is better than not being able to decide anything.
        """
        return self._healthy(self._usable())

    def due(self) -> list[Endpoint]:
        """Whom to poll for heads, in configured order: those of another chain as well, since
        that is how they are found to be mended."""
        return self._healthy(list(self.endpoints))

    def _healthy(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        now_seconds = self.now()
        healthy = [
            item for item in endpoints if not self.record(item).quarantined(now_seconds=now_seconds)
        ]
        return healthy if len(healthy) >= self.agreement else endpoints

    # Asking

    def poll(
        self, endpoint: Endpoint, question: Callable[[Endpoint], _Content], *, again: bool = False
    ) -> Answer[_Content]:
        """Ask, but leave it to the caller to book a success, once the answer has been compared
        with others'. A failure is booked, unless the question is only asked `again`."""
        started = self.now()
        try:
            content = question(endpoint)
        except Transient as error:
            if not again:
                self.record(endpoint).failed(error.message, now_seconds=self.now())
            raise
        return Answer(endpoint, content, self.now() - started)

    def insist(
        self, endpoint: Endpoint, question: Callable[[Endpoint], _Content]
    ) -> Answer[_Content]:
        """As `poll`, and a failing endpoint is asked a few times more."""
        started = self.now()
        for attempt in range(1, READ_ATTEMPTS):
            try:
                return self.poll(endpoint, question, again=attempt > 1)
            except Transient:
                if self.now() - started >= READ_AGAIN_SECONDS:
                    raise
        return self.poll(endpoint, question, again=True)

    def answers(
        self, question: Callable[[Endpoint], _Content], *, errors: list[str] | None = None
    ) -> Iterator[Answer[_Content]]:
        """Ask one endpoint after another for as long as the caller goes on: the healthy ones, then
        those that failed once more, a few times, and at last those in quarantine.

        Raises Transient when none has answered. What went wrong is added to `errors`. Only for
        questions: what is sent is sent once.
        """
        errors = [] if errors is None else errors
        started = self.now()
        first = self.in_order()
        answered = False
        asking: list[Endpoint] = list(first)
        for attempt in range(READ_ATTEMPTS):
            if attempt and self.now() - started >= READ_AGAIN_SECONDS:
                break
            failed: list[Endpoint] = []
            for endpoint in asking:
                try:
                    answer = self.poll(endpoint, question, again=attempt > 0)
                except Transient as error:
                    errors.append(error.message)
                    failed.append(endpoint)
                    continue
                answered = True
                yield answer
            asking = failed
        for endpoint in self._usable():
            if endpoint in first:
                continue
            try:
                answer = self.poll(endpoint, question)
            except Transient as error:
                errors.append(error.message)
                continue
            answered = True
            yield answer
        if not answered:
            raise Transient(
                "no endpoint answered: " + ("; ".join(dict.fromkeys(errors)) or "none is usable")
            )

    def agreed(
        self,
        question: Callable[[Endpoint], _Content | None],
        *,
        about: str,
        excused: Callable[[_Content], bool] = lambda _content: False,
        proof: Callable[[], _Content | None] = lambda: None,
    ) -> _Content:
        """The content that `agreement` endpoints gave, asked about something at the agreed block.

        Contents are compared whole and must be hashable; `None` says nothing. Who said something
        else is blamed, unless it is `excused`: an endpoint's own limit, say, which tells nothing of
        the chain. Where they differ and nobody is left to ask, `proof` may know the content.
        Raises EndpointsDisagree when they differ and nobody is left to decide, Transient when too
        few answered. `about` names the question, the same each time it is asked.
        """
        votes: dict[Hashable, list[Answer[_Content]]] = {}
        errors: list[str] = []
        for answer in self.answers(question, errors=errors):
            content = answer.content
            if content is None:
                continue
            same = votes.setdefault(content, [])
            same.append(Answer(answer.endpoint, content, answer.latency_seconds))
            if len(same) >= self.agreement:
                others = [item for group in votes.values() if group is not same for item in group]
                wrong = [item for item in others if not excused(item.content)]
                self.settle(about, right=same, wrong=wrong)
                return content
        answered = [item for group in votes.values() for item in group]
        if len(votes) > 1:
            proven = proof()
            if proven is None:
                raise self.undecided(about, answered)
            self._settle_by(about, proven, answered)
            return proven
        raise Transient(
            f"{len(answered)} endpoints answered about {about}, {self.agreement} must agree: "
            + ("; ".join(dict.fromkeys(errors)) or "no more are usable")
        )

    # Judging

    def stands(self, answer: Answer[Any]) -> None:
        """Book an answer that turned out to be usable."""
        self.record(answer.endpoint).succeeded(
            now_seconds=self.now(), latency_seconds=answer.latency_seconds
        )

    def settle(
        self, about: str, *, right: Iterable[Answer[Any]], wrong: Iterable[Answer[Any]] = ()
    ) -> None:
        """A question is decided: book it to those who were right and to those who were not."""
        right = list(right)
        self._settle_by(about, right[0].content, [*right, *wrong])

    def _settle_by(self, about: str, true: object, answers: Iterable[Answer[Any]]) -> None:
        for answer in answers:
            if answer.content == true:
                self.stands(answer)
            else:
                said, so = difference(answer.content, true)
                self.blame(answer.endpoint, f"{about}: it says {said}, and it is {so}")
        self._disagreements.pop(about, None)

    def blame(self, endpoint: Endpoint, why: str) -> None:
        """Book a false answer about the agreed chain."""
        self.record(endpoint).contradicted(why, now_seconds=self.now())

    def undecided(self, about: str, answers: Sequence[Answer[Any]]) -> EndpointsDisagree:
        """Remember that endpoints differ about something, and give the error that says so."""
        detail = f"endpoints disagree about {about}: {who_says_what(answers)}"
        if len(self._disagreements) < DISAGREEMENTS_MAX or about in self._disagreements:
            self._disagreements[about] = (Disagreement(about, detail), self.now())
        return EndpointsDisagree(
            detail, about=about, endpoints=tuple(item.endpoint.name for item in answers)
        )

    def is_decided(self, about: str) -> None:
        """The endpoints no longer differ about it."""
        self._disagreements.pop(about, None)

    def disagreements(self) -> list[Disagreement]:
        """What the endpoints differ about now, the oldest first."""
        oldest = self.now() - DISAGREEMENT_SECONDS
        # Passes, reconciliation and whoever asks for the status use one set at the same time.
        for about, (_, at_seconds) in list(self._disagreements.items()):
            if at_seconds <= oldest:
                self._disagreements.pop(about, None)
        return [disagreement for disagreement, _ in list(self._disagreements.values())]

    def health(self) -> list[EndpointHealth]:
        """In configured order."""
        now_seconds = self.now()
        return [self.record(item).show(now_seconds=now_seconds) for item in self.endpoints]

    def _usable(self) -> list[Endpoint]:
        now_seconds = self.now()
        usable = [item for item in self.endpoints if not self.record(item).on_wrong_chain]
        usable.sort(key=lambda item: self.record(item).order_key(now_seconds=now_seconds))
        return usable
