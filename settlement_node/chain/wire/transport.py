"""The seam to a chain: raw JSON-RPC requests and answers.

Everything above `Transport` is one code path for HTTP endpoints, the embedded chain and the
simulator. A transport never retries: sending again is a decision of the caller, who knows
whether the request was a question or a transaction. `provider.py` makes a provider of
web3 of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import requests

from settlement_node import __version__
from settlement_node.chain.wire.bounded_http import BoundedAdapter, PlainSession
from settlement_node.chain.wire.bounded_json import read_json
from settlement_node.errors import InvalidInput, Transient

BATCH_REQUESTS_MAX = 100
"""Most public endpoints take at least this many requests in one JSON-RPC batch."""
TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 64 * 2**20
"""Far above a page of logs; an endpoint that sends more is broken or means harm."""
_MESSAGE_CHARACTERS_MAX = 500
"""An endpoint's own words go into logs, alerts and rows."""


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One JSON-RPC call: `params` holds JSON values, quantities as 0x strings."""

    method: str
    params: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class RpcOk:
    """The endpoint's answer; `value` is JSON and `None` means the endpoint said null."""

    value: Any


@dataclass(frozen=True, slots=True)
class RpcError:
    """The endpoint answered with an error; `data` is often a call's revert data as 0x string."""

    code: int
    message: str
    data: Any = None


RpcResult = RpcOk | RpcError


class TransportFailed(Transient):
    """No usable answer came: timeout, refused, HTTP failure, or an answer that is not JSON-RPC.

    For a read, ask again or elsewhere. For a send the outcome is unknown, since the request may
    have arrived. The message never holds the endpoint's address, which may carry a key.
    """

    code: ClassVar[str] = "transport_failed"


class Transport(Protocol):
    """One endpoint, as something that answers JSON-RPC requests.

    Asked for above this seam: eth_chainId; eth_getBlockByNumber (height or latest, safe,
    finalized; with whole transactions, eth_getBlockReceipts and eth_getProof only for a proof);
    eth_sendRawTransaction; eth_getTransactionReceipt; eth_getTransactionByHash; eth_feeHistory
    (heights); eth_getLogs (heights, lists of addresses and topics); and, at a height or at
    `{"blockHash": …}` (EIP-1898), eth_getTransactionCount, eth_getBalance, eth_getCode and
    eth_call.
    """

    @property
    def name(self) -> str:
        """A name for people, without credentials."""

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        """Answer in the order asked, in one round trip where the batch bound allows.

        Raises TransportFailed when no answer came; then none of the answers is known.
        """


class HttpTransport:
    """JSON-RPC over HTTP(S). `name` defaults to the address's host. Sessions are kept open and
    reused.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        batch_requests_max: int = BATCH_REQUESTS_MAX,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        session: requests.Session | None = None,
    ) -> None:
        """`address` may carry credentials; it is never shown, logged or put into an error.

        `timeout_seconds` bounds the connection and the whole answer alike. A `session` is used as
        it is, for a proxy or a private certificate; it must not retry, and bounds nothing.
        """
        try:
            parts = urlsplit(address)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            raise InvalidInput("an endpoint's address is not an address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput("an endpoint's address must start with http:// or https://")
        if batch_requests_max < 1:
            raise InvalidInput("batch_requests_max must be at least 1", field="batch_requests_max")
        self._address = address
        self._numbers = count()
        self.name = name or f"{parts.hostname}{port}"
        self._batch_requests_max = batch_requests_max
        self._timeout_seconds = timeout_seconds
        self._session = session or PlainSession(BoundedAdapter(bytes_max=answer_bytes_max))

    def __repr__(self) -> str:
        return f"HttpTransport({self.name!r})"

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        """Answer in the order asked; more than the batch bound takes several round trips."""
        results: list[RpcResult] = []
        for start in range(0, len(requests), self._batch_requests_max):
            chunk = requests[start : start + self._batch_requests_max]
            if len(chunk) == 1:
                results.append(self._single(chunk[0]))
            else:
                results.extend(self._batch(chunk))
        return results

    def _single(self, request: RpcRequest) -> RpcResult:
        asked = self._numbered(request)
        try:
            body = self._post(asked)
        except (requests.RequestException, ValueError, OSError) as error:
            body = _body_of_http_refusal(error)
            if body is None:
                raise self._failed(error) from None
        return self._result(body, asked["id"])

    def _batch(self, chunk: Sequence[RpcRequest]) -> list[RpcResult]:
        asked = [self._numbered(request) for request in chunk]
        try:
            bodies = self._post(asked)
        except (requests.RequestException, ValueError, OSError) as error:
            raise self._failed(error) from None
        if not isinstance(bodies, list):
            refused = _parse_result(bodies)
            detail = f": {refused.message}" if isinstance(refused, RpcError) else ""
            raise self._malformed(f"a batch of {len(chunk)} was refused whole{detail}")
        answers = {
            body["id"]: body
            for body in bodies
            if isinstance(body, dict) and type(body.get("id")) is int
        }
        if len(bodies) != len(chunk) or answers.keys() != {entry["id"] for entry in asked}:
            raise self._malformed("a batch's answers do not match its requests")
        return [self._result(answers[entry["id"]], entry["id"]) for entry in asked]

    def _numbered(self, request: RpcRequest) -> dict[str, Any]:
        return {
            "jsonrpc": "2.0",
            "id": next(self._numbers),
            "method": request.method,
            "params": list(request.params),
        }

    def _post(self, content: dict[str, Any] | list[dict[str, Any]]) -> object:
        answer = self._session.post(
            self._address,
            json=content,
            headers={"User-Agent": f"settlement-node/{__version__}"},
            timeout=self._timeout_seconds,
            allow_redirects=False,
        )
        answer.raise_for_status()
        return read_json(answer.content)

    def _result(self, body: object, asked_id: int) -> RpcResult:
        """One answer. What was asked before may be answered late on a connection that is used
        again: an answer under another id is none, and only an error may have no id."""
        result = _parse_result(body)
        if result is None:
            raise self._malformed("an answer has neither result nor error")
        assert isinstance(body, dict)
        answered_id = body.get("id")
        if answered_id is None and isinstance(result, RpcError):
            return result
        if type(answered_id) is not int or answered_id != asked_id:
            raise self._malformed("an answer is not to what was asked")
        return result

    def _failed(self, error: Exception) -> TransportFailed:
        reason = type(error).__name__
        status: int | None = None
        if isinstance(error, requests.HTTPError) and error.response is not None:
            status = error.response.status_code
            reason = f"HTTP {status}"
        return TransportFailed(
            f"endpoint {self.name} gave no answer ({reason})",
            endpoint=self.name,
            reason=reason,
            http_status=status,
        )

    def _malformed(self, why: str) -> TransportFailed:
        return TransportFailed(
            f"endpoint {self.name} answered in a form that is not understood: {why}",
            endpoint=self.name,
            reason="malformed",
            http_status=None,
        )


def _parse_result(body: object) -> RpcResult | None:
    """Read one JSON-RPC answer; `None` when it is not one."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if error is None:
        return RpcOk(body["result"]) if "result" in body else None
    if body.get("result") is not None:
        return None  # which of the two is meant nobody can say
    if not isinstance(error, dict):
        return RpcError(0, _words(error))
    code = error.get("code")
    return RpcError(
        code if isinstance(code, int) else 0, _words(error.get("message", "")), error.get("data")
    )


def _words(value: object) -> str:
    """Somebody else's words on one line: an unpaired surrogate, say, no database would take."""
    text = str(value)[:_MESSAGE_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "?" for character in text)


def _body_of_http_refusal(error: Exception) -> object:
    """The JSON-RPC error some providers send with an HTTP 4xx, which is an answer; else `None`.

    408 and 429 are not: they say that the request was not looked at, or not in time.
    """
    if not isinstance(error, requests.HTTPError) or error.response is None:
        return None
    status = error.response.status_code
    if not 400 <= status < 500 or status in (408, 429):
        return None
    try:
        body = read_json(error.response.content)
    except ValueError:
        return None
    return body if isinstance(_parse_result(body), RpcError) else None


def quantity(number: int) -> str:
    """A JSON-RPC quantity: 26 is `0x1a`."""
    return hex(number)
