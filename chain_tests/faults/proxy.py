"""A JSON-RPC endpoint that fails like real ones do, in front of a chain that does not.

Every fault is drawn from a seeded generator of the proxy's own, so that a run driven by hand is
the same run every time. `strict replacement` is no fault but a client's rule, and always on.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import rlp  # type: ignore[import-untyped]  # the package ships no types

Message = dict[str, Any]
INTERNAL_ERROR = -32603
STRETCH_REQUESTS = 12
"""How many requests a lag or a wrong chain id lasts."""
LAG_BLOCKS = 2


class Fault(StrEnum):
    """What can go wrong between the node and the chain."""

    LOST_ANSWER = "lost_answer"
    """The request is carried out, the connection breaks before the answer."""
    REFUSED = "refused"
    """The connection breaks before the request is looked at."""
    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"
    NOT_JSON = "not_json"
    RECEIPT_ERROR = "receipt_error"
    RECEIPT_NULL = "receipt_null"
    STALE_HEAD = "stale_head"
    WRONG_CHAIN = "wrong_chain"
    MEMPOOL_DROP = "mempool_drop"
    LOGS_CUT = "logs_cut"
    """The last log of an answer is missing."""
    STRICT_REPLACEMENT = "strict_replacement"
    """A replacement less than an eighth above the last is refused."""


@dataclass(slots=True)
class FaultPlan:
    """How often each fault comes, per request or per entry of the kind it spoils."""

    rates: Mapping[Fault, float]
    seed: int
    on: bool = True
    counts: Counter[Fault] = field(default_factory=Counter)


class FaultyProxy:
    """One endpoint; a context manager around a server on a free port of this machine."""

    def __init__(self, upstream: str, *, name: str, plan: FaultPlan) -> None:
        """`upstream` is the chain's own address."""
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self.name = name
        self.plan = plan
        self._upstream = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=30)
        self._random = random.Random(f"{plan.seed}:{name}")
        self._turn = threading.Lock()
        self._stretches: dict[Fault, int] = {}
        self._fees: dict[int, tuple[int, int]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._upstream.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, body: bytes) -> tuple[int, bytes] | None:
        """Status and body of an answer; None breaks the connection. One request at a time."""
        with self._turn:
            if self._drawn(Fault.REFUSED):
                return None
            if self._drawn(Fault.TOO_MANY_REQUESTS):
                return 429, b'{"error": "slow down"}'
            if self._drawn(Fault.UNAVAILABLE):
                return 503, b""
            asked = json.loads(body)
            batch = asked if isinstance(asked, list) else [asked]
            head = self._lagging_head()
            answers = [self._one(message, head) for message in batch]
            if self._drawn(Fault.LOST_ANSWER):
                return None
            if self._drawn(Fault.NOT_JSON):
                return 200, b"<html>gateway</html>"
            return 200, json.dumps(answers if isinstance(asked, list) else answers[0]).encode()

    def _one(self, asked: Message, head: int | None) -> Message:
        method = asked["method"]
        if method == "eth_sendRawTransaction":
            return self._send(asked)
        if head is not None:
            late = _as_seen_at(asked, head)
            if late is None:
                return _answer(asked, None)
            asked = late
        answer = self._forward(asked)
        if method == "eth_getTransactionReceipt" and answer.get("result") is not None:
            if self._drawn(Fault.RECEIPT_ERROR):
                return _error(asked, INTERNAL_ERROR, "internal error")
            hidden = head is not None and int(answer["result"]["blockNumber"], 16) > head
            if hidden or self._drawn(Fault.RECEIPT_NULL):
                return _answer(asked, None)
        if method == "eth_chainId" and self._in_stretch(Fault.WRONG_CHAIN):
            return _answer(asked, "0x5")
        if method == "eth_getLogs" and answer.get("result") and self._drawn(Fault.LOGS_CUT):
            return _answer(asked, answer["result"][:-1])
        return answer

    def _send(self, asked: Message) -> Message:
        nonce, tip, cap = _fees_of(bytes.fromhex(asked["params"][0][2:]))
        before = self._fees.get(nonce, (0, 0))
        is_replacement = before not in {(0, 0), (tip, cap)}
        if is_replacement and (tip * 8 < before[0] * 9 or cap * 8 < before[1] * 9):
            self.plan.counts[Fault.STRICT_REPLACEMENT] += 1
            return _error(asked, -32000, "replacement transaction underpriced")
        answer = self._forward(asked)
        if "result" in answer:
            self._fees[nonce] = (tip, cap)
            if self._drawn(Fault.MEMPOOL_DROP):
                dropped = {"method": "anvil_dropTransaction", "params": [answer["result"]]}
                self._forward({"jsonrpc": "2.0", "id": 0, **dropped})
        return answer

    def _lagging_head(self) -> int | None:
        """The height this endpoint pretends to be at; None when it is level."""
        if not self._in_stretch(Fault.STALE_HEAD):
            return None
        asked = {"jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": []}
        return max(int(self._forward(asked)["result"], 16) - LAG_BLOCKS, 0)

    def _in_stretch(self, fault: Fault) -> bool:
        left = self._stretches.get(fault, 0)
        if left and self.plan.on:
            self._stretches[fault] = left - 1
            return True
        if self._drawn(fault):
            self._stretches[fault] = STRETCH_REQUESTS
            return True
        return False

    def _drawn(self, fault: Fault) -> bool:
        if not self.plan.on or self._random.random() >= self.plan.rates.get(fault, 0.0):
            return False
        self.plan.counts[fault] += 1
        return True

    def _forward(self, asked: Message) -> Message:
        """One at a time, as `answer` sees to; the connection is kept for the next."""
        headers = {"Content-Type": "application/json"}
        self._upstream.request("POST", "/", json.dumps(asked), headers)
        answer: Message = json.loads(self._upstream.getresponse().read())
        return answer


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        owner: ClassVar[FaultyProxy] = proxy

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answered = self.owner.answer(body)
            # Each answer ends its connection: nothing is left over when the server closes.
            self.close_connection = True
            if answered is None:
                return
            status, content = answered
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — its name there
            """Say nothing."""

    return Handler


def _answer(asked: Message, result: object) -> Message:
    return {"jsonrpc": "2.0", "id": asked["id"], "result": result}


def _error(asked: Message, code: int, message: str) -> Message:
    return {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": code, "message": message}}


def _as_seen_at(asked: Message, head: int) -> Message | None:
    """The question as an endpoint at this height understands it; None when it has no such block."""
    if asked["method"] != "eth_getBlockByNumber":
        return asked
    tag = asked["params"][0]
    if tag == "latest":
        return {**asked, "params": [hex(head), *asked["params"][1:]]}
    if tag.startswith("0x") and int(tag, 16) > head:
        return None
    return asked


def _fees_of(raw: bytes) -> tuple[int, int, int]:
    """Nonce, tip and cap of a type-2 transaction (EIP-1559: chain id, nonce, tip, cap, …)."""
    assert raw[0] == 2
    _chain_id, nonce, tip, cap, *_rest = rlp.decode(raw[1:])
    return tuple(int.from_bytes(part, "big") for part in (nonce, tip, cap))  # type: ignore[return-value]
