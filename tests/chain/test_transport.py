"""The HTTP transport: every way an answer can fail, and nothing is ever sent twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3RPCError

from settlement_node.chain.wire.bounded_json import VALUES_MAX, read_json
from settlement_node.chain.wire.provider import TransportProvider
from settlement_node.chain.wire.transport import (
    HttpTransport,
    RpcError,
    RpcOk,
    RpcRequest,
    TransportFailed,
)
from settlement_node.errors import InvalidInput, Transient

SECRET = "k3y-in-the-path"
ADDRESS = f"https://user:{SECRET}@node.example:8545/v2/{SECRET}?key={SECRET}"
SEND = RpcRequest("eth_sendRawTransaction", ("0x02",))
HEAD = RpcRequest("eth_blockNumber")
DEEP = b"[" * 1000 + b"]" * 1000


class Wire(requests.adapters.BaseAdapter):
    """Stands for the network: answers each HTTP request by a function, and counts them."""

    def __init__(self, answer: Callable[[Any], tuple[int, bytes]]) -> None:
        super().__init__()
        self.answer = answer
        self.bodies: list[Any] = []
        self.timeouts: list[Any] = []

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, timeout: Any = None, **_: Any
    ) -> requests.Response:
        body = json.loads(request.body or b"null")
        self.bodies.append(body)
        self.timeouts.append(timeout)
        status, content = self.answer(body)
        response = requests.Response()
        response.status_code = status
        response._content = content
        response.request = request
        response.url = str(request.url)
        response.headers["Location"] = "https://elsewhere.example/"
        return response

    def close(self) -> None:
        """Nothing is open."""


def transport_over(wire: Wire, **options: Any) -> HttpTransport:
    session = requests.Session()
    session.mount("https://", wire)
    return HttpTransport(ADDRESS, session=session, **options)


def ok(body: Any, value: Any = "0x1") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": body["id"], "result": value}


def echo(body: Any) -> tuple[int, bytes]:
    """Answer each request with its own first parameter."""
    if isinstance(body, list):
        return 200, json.dumps([ok(one, one["params"][0]) for one in body]).encode()
    return 200, json.dumps(ok(body)).encode()


def raising(error: Exception) -> Callable[[Any], tuple[int, bytes]]:
    def answer(_body: Any) -> tuple[int, bytes]:
        raise error

    return answer


def always(status: int, content: bytes) -> Callable[[Any], tuple[int, bytes]]:
    return lambda _body: (status, content)


def test_request__result__rpc_ok() -> None:
    assert transport_over(Wire(echo)).request([HEAD]) == [RpcOk("0x1")]


def test_request__null_result__is_an_answer() -> None:
    wire = Wire(lambda body: (200, json.dumps(ok(body, None)).encode()))

    assert transport_over(wire).request([HEAD]) == [RpcOk(None)]


def test_request__error__code_message_and_data() -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x01"}
    wire = Wire(lambda body: (200, json.dumps({"id": body["id"], "error": error}).encode()))

    assert transport_over(wire).request([HEAD]) == [RpcError(3, "execution reverted", "0x01")]


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_request__json_rpc_error_with_http_4xx__is_an_answer(status: int) -> None:
    content = b'{"id": 0, "error": {"code": -32005, "message": "block range too large"}}'

    assert transport_over(Wire(always(status, content))).request([HEAD]) == [
        RpcError(-32005, "block range too large")
    ]


UNUSABLE = [
    pytest.param(raising(requests.ConnectTimeout()), id="connect timeout"),
    pytest.param(raising(requests.ReadTimeout()), id="read timeout"),
    pytest.param(raising(requests.ConnectionError("refused")), id="refused"),
    pytest.param(always(500, b"{}"), id="HTTP 500"),
    pytest.param(always(502, b"<html>"), id="HTTP 502"),
    pytest.param(always(429, b'{"error": {"code": 1, "message": "slow down"}}'), id="HTTP 429"),
    pytest.param(always(403, b"forbidden"), id="HTTP 403 without JSON"),
    pytest.param(always(200, b""), id="empty"),
    pytest.param(always(200, b"<html>maintenance</html>"), id="not JSON"),
    pytest.param(always(200, b"\xff\xfe"), id="not text"),
    pytest.param(always(200, b"[]"), id="an empty list"),
    pytest.param(always(200, b'"0x1"'), id="a bare value"),
    pytest.param(always(200, b'{"id": 0}'), id="neither result nor error"),
    pytest.param(always(302, b""), id="a redirect"),
    pytest.param(always(200, b'{"id": 0, "result": ' + DEEP + b"}"), id="deep"),
    pytest.param(always(400, b'{"id": 0, "error": ' + DEEP + b"}"), id="HTTP 400 nested deeply"),
    pytest.param(always(200, b'{"id": 0, "result": [' + b"0," * VALUES_MAX + b"0]}"), id="many"),
    pytest.param(always(200, b'{"id": 7, "result": null}'), id="late"),
    pytest.param(always(200, b'{"id": false, "result": null}'), id="an id that only equals"),
    pytest.param(always(200, b'{"id": null, "result": null}'), id="result without an id"),
    pytest.param(
        always(200, b'{"id": 7, "error": {"code": 1, "message": "nonce too low"}}'),
        id="error of another request",
    ),
    pytest.param(
        always(200, b'{"id": 0, "result": "0x1", "error": {"code": 1, "message": "no"}}'),
        id="result and error",
    ),
]


@pytest.mark.parametrize("answer", UNUSABLE)
def test_request__no_usable_answer__transport_failed_after_one_try(
    answer: Callable[[Any], tuple[int, bytes]],
) -> None:
    wire = Wire(answer)

    with pytest.raises(TransportFailed):
        transport_over(wire).request([SEND])

    assert len(wire.bodies) == 1


@pytest.mark.parametrize("answer", UNUSABLE)
def test_request__batch_without_usable_answer__transport_failed_after_one_try(
    answer: Callable[[Any], tuple[int, bytes]],
) -> None:
    wire = Wire(answer)

    with pytest.raises(TransportFailed):
        transport_over(wire).request([HEAD, HEAD])

    assert len(wire.bodies) == 1


@pytest.mark.parametrize("answer", UNUSABLE)
def test_request__fails__the_address_and_its_key_stay_out_of_the_error(
    answer: Callable[[Any], tuple[int, bytes]],
) -> None:
    with pytest.raises(TransportFailed) as caught:
        transport_over(Wire(answer)).request([SEND])

    shown = f"{caught.value} {caught.value.details} {caught.value.__cause__}"
    assert SECRET not in shown
    assert isinstance(caught.value, Transient)


def test_repr__address_with_a_key__shows_host_and_port_only() -> None:
    transport = transport_over(Wire(echo))

    assert (transport.name, repr(transport)) == (
        "node.example:8545",
        "HttpTransport('node.example:8545')",
    )


def numbered(count: int) -> list[RpcRequest]:
    return [RpcRequest("eth_echo", (str(index),)) for index in range(count)]


def test_request__several__one_http_request() -> None:
    wire = Wire(echo)

    results = transport_over(wire).request(numbered(3))

    assert results == [RpcOk("0"), RpcOk("1"), RpcOk("2")]
    assert len(wire.bodies) == 1


def test_request__more_than_the_bound__several_batches_in_order() -> None:
    wire = Wire(echo)

    results = transport_over(wire, batch_requests_max=40).request(numbered(100))

    assert results == [RpcOk(str(index)) for index in range(100)]
    assert [len(body) for body in wire.bodies] == [40, 40, 20]


def test_request__answers_in_another_order__paired_by_id() -> None:
    def shuffled(body: Any) -> tuple[int, bytes]:
        return 200, json.dumps([ok(one, one["params"][0]) for one in reversed(body)]).encode()

    assert transport_over(Wire(shuffled)).request(numbered(3)) == [
        RpcOk("0"),
        RpcOk("1"),
        RpcOk("2"),
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda answers: answers[:-1], id="one missing"),
        pytest.param(lambda answers: [answers[0], answers[0], answers[2]], id="one twice"),
        pytest.param(lambda answers: [*answers, answers[0]], id="one too many"),
        pytest.param(lambda answers: [one | {"id": None} for one in answers], id="no ids"),
        pytest.param(lambda answers: [one | {"id": str(one["id"])} for one in answers], id="text"),
        pytest.param(lambda _answers: ["x", "y", "z"], id="not objects"),
        pytest.param(lambda answers: [one | {"id": one["id"] + 3} for one in answers], id="late"),
        pytest.param(lambda answers: [one | {"id": [one["id"]]} for one in answers], id="lists"),
    ],
)
@pytest.mark.filterwarnings("ignore:Received batch response")
def test_request__batch_answers_cannot_be_paired__transport_failed(
    spoil: Callable[[list[Any]], list[Any]],
) -> None:
    def answer(body: Any) -> tuple[int, bytes]:
        return 200, json.dumps(spoil([ok(one, one["params"][0]) for one in body])).encode()

    with pytest.raises(TransportFailed):
        transport_over(Wire(answer)).request(numbered(3))


def test_request__words_of_an_endpoint__short_and_printable() -> None:
    content = rb'{"error": {"code": 1, "message": "\ud800\u0000\u001b[2J' + b"x" * 10_000 + b'"}}'

    (answer,) = transport_over(Wire(always(200, content))).request([HEAD])

    assert isinstance(answer, RpcError)
    assert answer.message.startswith("???[2Jx")
    assert len(answer.message) == 500


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 33 + b"0" + b"}" * 33,
        b'["' + rb"\\" + b'", ' + b"[1," * 40 + b'"]]]]' + b"]" * 40,
        b"[" * 100_000,
        rb'["\"]]]]", ' + b"[" * 40 + b"]" * 41,
    ],
)
def test_read_json__deeper_than_the_bound__value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(content)


@pytest.mark.parametrize(
    "content", [b"[" * 32 + b"]" * 32, b'["' + b"[{" * 99 + b'"]', b"[" + b"[], " * 99 + b"{}]"]
)
def test_read_json__not_so_deep__as_the_parser_reads_it(content: bytes) -> None:
    assert read_json(content) == json.loads(content)


def test_request__batch_refused_whole__says_why() -> None:
    content = b'{"id": null, "error": {"code": -32600, "message": "batches are not allowed"}}'

    with pytest.raises(TransportFailed, match="batches are not allowed"):
        transport_over(Wire(always(200, content))).request(numbered(2))


def test_request__timeout__is_passed_to_every_request() -> None:
    wire = Wire(echo)
    transport = transport_over(wire, timeout_seconds=3.5)

    transport.request([HEAD])
    transport.request(numbered(2))

    assert wire.timeouts == [3.5, 3.5]


@pytest.mark.parametrize(
    "address",
    ["", "node.example", "ftp://node.example", "https://", "http://[::1", "http://a:99999"],
)
def test_http_transport__no_http_address__invalid_input(address: str) -> None:
    with pytest.raises(InvalidInput):
        HttpTransport(address)


def test_web3__over_the_transport__asks_and_decodes_as_with_its_own_provider() -> None:
    wire = Wire(lambda body: (200, json.dumps(ok(body, "0x2a")).encode()))
    w3 = Web3(TransportProvider(transport_over(wire)))

    assert (42, True) == (w3.eth.chain_id, w3.is_connected())
    w3.provider.make_request("eth_call", [{"data": HexBytes("0x0102")}])  # type: ignore[arg-type]
    assert [{"data": "0x0102"}] == wire.bodies[-1]["params"]


def test_web3__batch__one_http_request_answered_in_order() -> None:
    def reversed_answers(body: Any) -> tuple[int, bytes]:
        return 200, json.dumps([ok(one, hex(one["id"])) for one in reversed(body)]).encode()

    wire = Wire(reversed_answers)
    w3 = Web3(TransportProvider(transport_over(wire)))

    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_balance("0x" + "11" * 20))  # type: ignore[arg-type]
        batch.add(w3.eth.get_balance("0x" + "22" * 20))  # type: ignore[arg-type]
        first, second = batch.execute()

    assert (1, 1) == (second - first, len(wire.bodies))


def test_web3__endpoint_says_no__its_words_short_and_printable() -> None:
    content = rb'{"id": null, "error": {"code": 1, "message": "\u001b[2J' + b"x" * 10_000 + b'"}}'

    with pytest.raises(Web3RPCError, match=r"\?\[2Jx{496}'"):
        Web3(TransportProvider(transport_over(Wire(always(200, content))))).eth.block_number  # noqa: B018


def test_web3__send_without_an_answer__never_sent_again() -> None:
    wire = Wire(raising(requests.ReadTimeout()))
    w3 = Web3(TransportProvider(transport_over(wire)))

    with pytest.raises(TransportFailed):
        w3.eth.send_raw_transaction(b"\x02")

    assert len(wire.bodies) == 1
    assert not w3.is_connected()
