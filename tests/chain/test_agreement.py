"""What one endpoint says of the agreed block decides nothing where several are configured."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.contracts.settler import GAS_TOO_LOW_SELECTOR
from settlement_node.chain.endpoints.agreement import EndpointsDisagree
from settlement_node.chain.endpoints.endpoint import CallRequest, CallReturned
from settlement_node.chain.endpoints.endpoint_set import READ_ATTEMPTS
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcResult
from settlement_node.errors import Transient

from .scripted import ACCOUNT, TOKEN, Clock, ScriptedTransport, client_of

READS: dict[str, tuple[str, RpcResult, RpcResult, Callable[[ChainClient], Any], Any]] = {
    "nonce": (
        "eth_getTransactionCount",
        RpcOk("0x5"),
        RpcOk("0x6"),
        lambda client: client.nonce(ACCOUNT),
        5,
    ),
    "nonce below the head": (
        "eth_getTransactionCount",
        RpcOk("0x5"),
        RpcOk("0x6"),
        lambda client: client.nonce(ACCOUNT, 90),
        5,
    ),
    "coins": (
        "eth_getBalance",
        RpcOk("0x5"),
        RpcOk("0x0"),
        lambda client: client.native_balance(ACCOUNT),
        5,
    ),
    "code": ("eth_getCode", RpcOk("0x60"), RpcOk("0x"), lambda c: c.has_code(ACCOUNT), True),
    "call": (
        "eth_call",
        RpcOk("0xaa"),
        RpcOk("0xbb"),
        lambda client: client.calls([CallRequest(TOKEN, b"")]),
        [CallReturned(b"\xaa")],
    ),
    "revert": (
        "eth_call",
        RpcOk("0xaa"),
        RpcError(3, "execution reverted", "0xbb"),
        lambda client: client.calls([CallRequest(TOKEN, b"")]),
        [CallReturned(b"\xaa")],
    ),
}


def endpoints_with(method: str, *answers: RpcResult) -> list[ScriptedTransport]:
    """One endpoint for each answer, named a, b, c."""
    endpoints = []
    for name, answer in zip("abc", answers, strict=False):
        endpoint = ScriptedTransport(name)
        endpoint.methods[method] = lambda *_, answer=answer: answer
        endpoints.append(endpoint)
    return endpoints


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("liar", [0, 1])
def test_agreed__one_of_three_says_something_else__passed_over_and_blamed(
    read: str, liar: int
) -> None:
    method, true, false, ask, expected = READS[read]
    answers = [true, true, true]
    answers[liar] = false
    client = client_of(*endpoints_with(method, *answers))

    assert ask(client) == expected

    health = client.health()
    assert [item.contradiction is not None for item in health] == [n == liar for n in range(3)]
    assert health[liar].quarantined
    assert client.disagreements() == []


@pytest.mark.parametrize("read", READS)
def test_agreed__two_differ__nothing_is_said_and_both_are_named(read: str) -> None:
    method, true, false, ask, _expected = READS[read]
    client = client_of(*endpoints_with(method, true, false))

    with pytest.raises(EndpointsDisagree, match=r"a says .*, b says .*"):
        ask(client)

    assert [item.contradiction for item in client.health()] == [None, None]
    assert len(client.disagreements()) == 1


def test_agreed__they_agree_again__the_disagreement_is_over() -> None:
    first, second = endpoints_with("eth_getBalance", RpcOk("0x5"), RpcOk("0x6"))
    client = client_of(first, second)
    with pytest.raises(EndpointsDisagree):
        client.native_balance(ACCOUNT)
    second.methods["eth_getBalance"] = lambda *_: RpcOk("0x5")

    assert client.native_balance(ACCOUNT) == 5
    assert client.disagreements() == []


def test_agreed__its_question_is_no_longer_asked__the_disagreement_is_forgotten() -> None:
    clock = Clock()
    client = client_of(*endpoints_with("eth_getBalance", RpcOk("0x5"), RpcOk("0x6")), clock=clock)
    with pytest.raises(EndpointsDisagree):
        client.native_balance(ACCOUNT)
    before = len(client.disagreements())
    clock.seconds = 600.0

    assert (before, client.disagreements()) == (1, [])


def test_agreed__the_deciding_endpoint_is_in_quarantine__asked_all_the_same() -> None:
    endpoints = endpoints_with("eth_getBalance", RpcOk("0x5"), RpcOk("0x6"), RpcOk("0x5"))
    client = client_of(*endpoints)
    endpoints[2].down = True
    for _ in range(3):
        client.refresh()
    endpoints[2].down = False
    assert client.health()[2].quarantined

    assert client.native_balance(ACCOUNT) == 5


def test_agreed__agreement_of_one__the_first_answer() -> None:
    endpoints = endpoints_with("eth_getBalance", RpcOk("0x5"), RpcOk("0x6"))

    client = client_of(*endpoints, policy=PoolPolicy(agreement=1))

    assert client.native_balance(ACCOUNT) == 5


def test_agreed__other_words_around_one_revert__the_same_answer() -> None:
    answers = [RpcError(3, "execution reverted", "0xbb"), RpcError(-32000, "VM: revert", "0xbb")]
    client = client_of(*endpoints_with("eth_call", *answers))

    (outcome,) = client.calls([CallRequest(TOKEN, b"")])

    assert outcome.data == b"\xbb"


def test_agreed__one_bounds_the_gas_of_a_call_more_than_the_others__not_blamed() -> None:
    bounded = RpcError(3, "execution reverted", "0x" + (GAS_TOO_LOW_SELECTOR + bytes(64)).hex())
    client = client_of(*endpoints_with("eth_call", bounded, RpcOk("0xaa"), RpcOk("0xaa")))

    client.calls([CallRequest(TOKEN, b"")])

    assert client.health()[0].contradiction is None


def test_agreed__one_of_two_fails_now_and_then__asked_again_within_the_question() -> None:
    first, second = endpoints_with("eth_getBalance", RpcOk("0x5"), RpcOk("0x5"))
    left: list[RpcResult] = [RpcError(-32005, "too many requests")] * (READ_ATTEMPTS - 1)
    second.methods["eth_getBalance"] = lambda *_: left.pop() if left else RpcOk("0x5")

    assert client_of(first, second).native_balance(ACCOUNT) == 5


def test_calls__every_seventh_of_many_fails__those_alone_are_asked_again() -> None:
    endpoint = ScriptedTransport("a")
    number = itertools.count(1)
    endpoint.methods["eth_call"] = lambda *_: (
        RpcError(-32005, "too many requests") if next(number) % 7 == 0 else RpcOk("0xaa")
    )

    answers = client_of(endpoint).calls([CallRequest(TOKEN, bytes([n])) for n in range(20)])

    assert answers == [CallReturned(b"\xaa")] * 20
    assert endpoint.count("eth_call") == 20 + 2 + 1, "the twenty-first fails too"


def test_agreed__one_of_two_keeps_failing__bounded_and_transient() -> None:
    first, second = endpoints_with("eth_getBalance", RpcOk("0x5"), RpcError(-32000, "busy"))

    with pytest.raises(Transient, match="2 must agree"):
        client_of(first, second).native_balance(ACCOUNT)

    assert second.count("eth_getBalance") == READ_ATTEMPTS
    assert first.count("eth_getBalance") == 1


def test_agreed__an_endpoint_takes_long_to_fail__not_asked_again() -> None:
    clock = Clock()
    first, second = endpoints_with("eth_getBalance", RpcOk("0x5"), RpcOk("0x5"))

    def slow(*_: object) -> RpcResult:
        clock.seconds += 10.0
        return RpcError(-32000, "timed out")

    second.methods["eth_getBalance"] = slow

    with pytest.raises(Transient):
        client_of(first, second, clock=clock).native_balance(ACCOUNT)

    assert second.count("eth_getBalance") == 1


def test_refresh__one_head_poll_fails_now_and_then__polled_again() -> None:
    first, second = ScriptedTransport("a"), ScriptedTransport("b")
    plain = second._block
    left: list[RpcResult] = [RpcError(-32000, "busy")] * 2
    second.methods["eth_getBlockByNumber"] = lambda which, _: (
        left.pop() if left and which == "latest" else RpcOk(plain(which))
    )

    assert client_of(first, second).refresh().head.number == 100
