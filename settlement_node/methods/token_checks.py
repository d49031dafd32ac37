"""Putting a fund's questions to its tokens, all of a batch in one round trip or two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.contracts.settler_reads import Calls
from settlement_node.chain.endpoints.endpoint import CallOutcome, CallRequest, CallReturned
from settlement_node.chain.wire.words import (
    MalformedData,
    address_word,
    read_address,
    read_uint,
    selector,
    uint_word,
)
from settlement_node.domain.token_checks import Arguments, CheckedToken, TokenCheck
from settlement_node.units import ZERO_ADDRESS, Address

QUESTION_GAS_LIMIT = 5_000_000
"""Many times what a registry with several claims takes. An investor's own contract may be asked on
the way, and must not be able to keep an endpoint busy until it gives up on the whole batch."""


@dataclass(frozen=True, slots=True)
class Question:
    """A check about one account; about the token itself it names none. `shares_base_units` counts
    for questions about a burn only."""

    check: TokenCheck
    account_address: Address | None = None
    shares_base_units: int = 0

    def data(self) -> bytes:
        """The call data."""
        head = selector(self.check.function)
        if self.check.arguments is Arguments.NOTHING or self.account_address is None:
            return head
        head += address_word(self.account_address)
        if self.check.arguments is Arguments.ACCOUNT:
            return head
        shares = uint_word(self.shares_base_units, field="shares_base_units")
        return head + address_word(ZERO_ADDRESS) + shares


@dataclass(frozen=True, slots=True)
class Answered:
    """The one word of the answer."""

    word: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer, or none that is understood. Never taken for a good one."""

    words: str


Answer = Answered | Unanswered


def ask_tokens(
    calls: Calls, tokens: Mapping[CheckedToken, Address], questions: Iterable[Question]
) -> dict[Question, Answer]:
    """Every question's answer at the agreed head. One round trip, and one before it when a token
    first has to say whom to ask."""
    wanted = list(dict.fromkeys(questions))
    if not wanted:
        return {}
    asked = _whom_to_ask(calls, tokens, [question.check for question in wanted])
    answers: dict[Question, Answer] = {}
    requests: dict[Question, CallRequest] = {}
    for question in wanted:
        whom = asked[question.check.token, question.check.asked_of]
        if isinstance(whom, Unanswered):
            answers[question] = whom
        else:
            requests[question] = CallRequest(whom, question.data(), gas_limit=QUESTION_GAS_LIMIT)
    outcomes = calls(list(requests.values())) if requests else []
    for question, outcome in zip(requests, outcomes, strict=True):
        answers[question] = _answer(question.check, outcome)
    return answers


def _whom_to_ask(
    calls: Calls, tokens: Mapping[CheckedToken, Address], checks: Iterable[TokenCheck]
) -> dict[tuple[CheckedToken, str | None], Address | Unanswered]:
    found: dict[tuple[CheckedToken, str | None], Address | Unanswered] = {
        (token, None): address for token, address in tokens.items()
    }
    named = dict.fromkeys((c.token, c.asked_of) for c in checks if c.asked_of is not None)
    requests = [CallRequest(tokens[token], selector(name)) for token, name in named]
    outcomes = calls(requests) if requests else []
    for key, outcome in zip(named, outcomes, strict=True):
        try:
            if not isinstance(outcome, CallReturned):
                raise MalformedData(f"it reverts: {revert_reason(outcome.data)}")
            found[key] = read_address(outcome.data, 0)
        except MalformedData as error:
            found[key] = Unanswered(f"{key[1]} does not name a contract: {error}")
    return found


def _answer(check: TokenCheck, outcome: CallOutcome) -> Answer:
    if not isinstance(outcome, CallReturned):
        return Unanswered(f"it reverts: {revert_reason(outcome.data)}")
    if len(outcome.data) != 32:
        return Unanswered(f"it answers {len(outcome.data)} bytes where one word is due")
    word = read_uint(outcome.data, 0)
    if isinstance(check.good, bool) and word > 1:
        return Unanswered(f"it answers {word} where true or false is due")
    return Answered(word)
