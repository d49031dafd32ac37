"""Asking tokens: what counts as an answer, and how many round trips it takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from settlement_node.chain.endpoints.endpoint import (
    CallOutcome,
    CallRequest,
    CallReturned,
    CallReverted,
)
from settlement_node.chain.wire.words import address_word, selector, uint_word
from settlement_node.domain.token_checks import (
    PRESETS,
    CheckAbout,
    CheckedToken,
    TokenCheck,
)
from settlement_node.methods.token_checks import (
    QUESTION_GAS_LIMIT,
    Answered,
    Question,
    Unanswered,
    ask_tokens,
)
from tests.chain.scripted import ACCOUNT, OTHER, SETTLER, TOKEN

TOKENS = {CheckedToken.SHARE: TOKEN, CheckedToken.PAYOUT: OTHER}
FROZEN, VERIFIED = PRESETS[CheckedToken.SHARE]["erc3643"][2::2]
BURN = PRESETS[CheckedToken.SHARE]["cmtat"][2]
REGISTRY = SETTLER


class Contracts:
    """Answers by the first four bytes; keeps what was asked."""

    def __init__(self, answers: dict[str, CallOutcome]) -> None:
        self.answers = {selector(signature): answer for signature, answer in answers.items()}
        self.rounds: list[list[CallRequest]] = []

    def calls(self, requests: Sequence[CallRequest]) -> list[CallOutcome]:
        self.rounds.append(list(requests))
        silent = CallReverted(b"", "execution reverted", out_of_gas=False)
        return [self.answers.get(request.data[:4], silent) for request in requests]


def word(value: int) -> CallReturned:
    return CallReturned(value.to_bytes(32, "big"))


@pytest.mark.parametrize(
    "outcome",
    [
        CallReverted(b"", "execution reverted", out_of_gas=False),
        CallReturned(b""),
        CallReturned(bytes(31)),
        CallReturned(bytes(64)),
        word(2),
    ],
    ids=["reverts", "nothing", "less than a word", "two words", "no boolean"],
)
def test_ask_tokens__what_is_no_answer__is_never_taken_for_one(outcome: CallOutcome) -> None:
    question = Question(FROZEN, ACCOUNT)
    answers = ask_tokens(Contracts({"isFrozen(address)": outcome}).calls, TOKENS, [question])
    assert isinstance(answers[question], Unanswered)


def test_ask_tokens__many_accounts__go_out_together_and_each_once() -> None:
    contracts = Contracts({"isFrozen(address)": word(0)})
    questions = [Question(FROZEN, account) for account in (ACCOUNT, OTHER, ACCOUNT)]

    assert set(ask_tokens(contracts.calls, TOKENS, questions).values()) == {Answered(0)}
    assert [len(requests) for requests in contracts.rounds] == [2]
    assert {request.gas_limit for request in contracts.rounds[0]} == {QUESTION_GAS_LIMIT}


def test_ask_tokens__asked_of_another_contract__which_the_token_names_first() -> None:
    contracts = Contracts(
        {
            "identityRegistry()": CallReturned(address_word(REGISTRY)),
            "isVerified(address)": word(1),
        }
    )
    question = Question(VERIFIED, ACCOUNT)

    assert ask_tokens(contracts.calls, TOKENS, [question]) == {question: Answered(1)}
    assert [[r.to_address for r in requests] for requests in contracts.rounds] == [
        [TOKEN],
        [REGISTRY],
    ]


def test_ask_tokens__the_token_names_no_contract__is_unanswered() -> None:
    question = Question(VERIFIED, ACCOUNT)
    answers = ask_tokens(Contracts({"isVerified(address)": word(1)}).calls, TOKENS, [question])
    assert isinstance(answers[question], Unanswered)


def test_question__about_a_burn__names_holder_nobody_and_shares() -> None:
    assert Question(BURN, ACCOUNT, 7).data() == (
        selector("canTransfer(address,address,uint256)")
        + address_word(ACCOUNT)
        + bytes(32)
        + uint_word(7, field="shares")
    )


def test_question__about_the_token__names_nobody() -> None:
    check = TokenCheck(CheckedToken.SHARE, CheckAbout.TOKEN, "paused()", good=False)
    assert Question(check).data() == selector("paused()")
