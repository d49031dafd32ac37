"""Sending to all endpoints, and what the sum of their answers is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_utils.crypto import keccak

from settlement_node.chain.views import Accepted, Rejected, SendRejection, Unanswered
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcResult
from settlement_node.units import to_hex32

from .scripted import ScriptedTransport, client_of, hash_of

RAW = b"\x02signed"
HASH = to_hex32(keccak(RAW))


def endpoint(name: str, answer: RpcResult | None) -> ScriptedTransport:
    """An endpoint with this answer to a send; `None` for no answer at all."""
    transport = ScriptedTransport(name)
    if answer is None:
        transport.down = True
    else:
        transport.methods["eth_sendRawTransaction"] = lambda _raw: answer
    return transport


def refused(message: str) -> RpcError:
    return RpcError(-32000, message)


TAKEN = RpcOk(HASH)
KNOWN = refused("already known")
TOO_LOW = refused("nonce too low")
CHEAP = refused("transaction underpriced")
COSTLY = refused("tx fee (4.60 ether) exceeds the configured cap (1.00 ether)")
STRANGE = refused("the stars are not right")


@pytest.mark.parametrize("answers", [[TAKEN], [KNOWN], [TOO_LOW, TAKEN], [None, KNOWN]])
def test_send_raw__any_endpoint_has_it__accepted(answers: list[RpcResult | None]) -> None:
    endpoints = [endpoint(str(index), answer) for index, answer in enumerate(answers)]

    assert client_of(*endpoints).send_raw(RAW) == Accepted(HASH)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([TOO_LOW], SendRejection.NONCE_TOO_LOW),
        ([CHEAP, TOO_LOW], SendRejection.NONCE_TOO_LOW),
        ([CHEAP, CHEAP], SendRejection.UNDERPRICED),
        ([refused("invalid sender"), COSTLY], SendRejection.FEE_ABOVE_NODE_CAP),
    ],
)
def test_send_raw__all_reject_in_known_words__rejected(
    answers: list[RpcResult | None], reason: SendRejection
) -> None:
    endpoints = [endpoint(str(index), answer) for index, answer in enumerate(answers)]

    answer = client_of(*endpoints).send_raw(RAW)

    assert isinstance(answer, Rejected)
    assert answer.reason is reason


@pytest.mark.parametrize(
    "answers",
    [
        [None],
        [None, TOO_LOW],
        [STRANGE],
        [STRANGE, TOO_LOW],
        [refused("rate limit exceeded"), CHEAP],
        [RpcOk(hash_of("another transaction"))],
        [RpcOk(None)],
        [RpcOk("0x12")],
    ],
)
def test_send_raw__anyone_leaves_it_open__unanswered(answers: list[RpcResult | None]) -> None:
    endpoints = [endpoint(str(index), answer) for index, answer in enumerate(answers)]

    assert isinstance(client_of(*endpoints).send_raw(RAW), Unanswered)


@pytest.mark.parametrize("first", [TAKEN, KNOWN, TOO_LOW, STRANGE, None])
def test_send_raw__whatever_the_first_says__each_is_sent_to_once(first: RpcResult | None) -> None:
    endpoints = [endpoint("first", first), endpoint("second", TAKEN), endpoint("third", TAKEN)]

    client_of(*endpoints).send_raw(RAW)

    assert [item.count("eth_sendRawTransaction") for item in endpoints] == [1, 1, 1]


def test_send_raw__no_answer__message_names_the_endpoint() -> None:
    answer = client_of(endpoint("alpha", None)).send_raw(RAW)

    assert isinstance(answer, Unanswered)
    assert "alpha" in answer.message


def test_send_raw__the_exact_bytes__are_sent() -> None:
    sent: list[str] = []
    transport = ScriptedTransport("a")
    take: Callable[[str], RpcResult] = lambda raw: (sent.append(raw), TAKEN)[1]  # noqa: E731
    transport.methods["eth_sendRawTransaction"] = take

    client_of(transport).send_raw(RAW)

    assert sent == ["0x" + RAW.hex()]
