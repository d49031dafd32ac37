"""The way from a node to an endpoint and back, with everything that goes wrong on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from settlement_node.chain.wire.transport import (
    RpcError,
    RpcOk,
    RpcRequest,
    RpcResult,
    TransportFailed,
)
from tests.simulation.endpoints import Endpoint, Endpoints, invented_block
from tests.simulation.faults import Faults

SEND = "eth_sendRawTransaction"
_WAY = ("request_lost", "answer_lost", "rate_limited", "slow_answer")
_SEND_WAY = (
    "send_request_lost",
    "send_answer_lost",
    "send_swallowed",
    "send_mempool_full",
    "send_unknown_error",
    "send_nonce_too_low",
    "send_underpriced",
    "rate_limited",
    "slow_answer",
)
_ANY = ("malformed_answer", "internal_error")
_BY_METHOD: dict[str, tuple[str, ...]] = {
    "eth_getTransactionReceipt": ("receipt_error", "receipt_null", *_ANY),
    "eth_getLogs": ("log_range_refused", "logs_cut", "logs_omitted", *_ANY),
    "eth_call": ("state_unavailable", *_ANY),
    "eth_chainId": ("wrong_chain_id", *_ANY),
}
_REFUSALS = {
    "send_mempool_full": "txpool is full",
    "send_unknown_error": "the moon is in the wrong phase",
    "send_nonce_too_low": "nonce too low",
    "send_underpriced": "replacement transaction underpriced",
}
_INSTEAD: dict[str, RpcResult] = {
    "receipt_error": RpcError(-32000, "transaction indexing is in progress"),
    "receipt_null": RpcOk(None),
    "state_unavailable": RpcError(-32000, "missing trie node"),
    "internal_error": RpcError(-32603, "internal error"),
    "wrong_chain_id": RpcOk("0x539"),
}
_MALFORMED: tuple[object, ...] = (17, "zz", {"result": []}, [None], "0x")
_ROUND_TRIP_SECONDS = 0.03
_LOG_PAGE_BLOCKS = 3


class Surroundings(Protocol):
    """What a transport needs of the run."""

    faults: Faults
    endpoints: Endpoints

    def pass_time(self, seconds: float) -> None:
        """Let virtual time go by."""

    def sent(self, raw: bytes, endpoint: str) -> None:
        """Somebody hands bytes to an endpoint."""


class SimTransport:
    """One node's connection to one endpoint."""

    def __init__(
        self, run: Surroundings, endpoint: Endpoint, around: Callable[[str], None]
    ) -> None:
        self._run = run
        self._endpoint = endpoint
        self._around = around

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self._endpoint.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        """One round trip, or TransportFailed."""
        is_send = requests[0].method == SEND
        self._around("request.before")
        run, rng = self._run, self._run.endpoints.rng
        if is_send:
            run.sent(bytes.fromhex(requests[0].params[0][2:]), self.name)
        run.pass_time(_ROUND_TRIP_SECONDS)
        if self._endpoint.down_until >= run.faults.step:
            raise self._failed("connection refused")
        trouble = run.faults.pick(_SEND_WAY if is_send else _WAY)
        if trouble is not None:
            run.faults.count(trouble)
        if trouble == "slow_answer":
            run.pass_time(rng.uniform(2.0, 25.0))
        elif trouble == "rate_limited":
            raise self._failed("HTTP 429", http_status=429)
        elif trouble in ("request_lost", "send_request_lost"):
            raise self._failed("timeout")
        elif trouble in _REFUSALS:
            return [RpcError(-32000, _REFUSALS[trouble])]
        answers = [self._answer(request) for request in requests]
        if trouble == "send_swallowed":
            self._forget(answers[0])
        self._around("request.after")
        if trouble in ("answer_lost", "send_answer_lost"):
            raise self._failed("timeout")
        return answers

    def _answer(self, request: RpcRequest) -> RpcResult:
        run, method = self._run, request.method
        if method == "eth_getBlockByNumber":
            return self._header(request)
        answer = run.endpoints.answer(self._endpoint, request)
        trouble = run.faults.pick(_BY_METHOD.get(method, _ANY)) if method != SEND else None
        if trouble is None:
            return answer
        if trouble in ("logs_cut", "logs_omitted", "log_range_refused"):
            return self._spoiled_logs(trouble, request, answer)
        if trouble == "receipt_null" and (not isinstance(answer, RpcOk) or answer.value is None):
            return answer
        run.faults.count(trouble)
        if trouble == "malformed_answer":
            return RpcOk(run.endpoints.rng.choice(_MALFORMED))
        return _INSTEAD[trouble]

    def _header(self, request: RpcRequest) -> RpcResult:
        """A block by number or tag; the head is what endpoints lie about."""
        run, view = self._run, self._endpoint.view
        answer = run.endpoints.answer(self._endpoint, request)
        trouble = run.faults.pick(("head_flaps_back", "head_lie", *_ANY))
        if trouble is None:
            return answer
        if trouble == "head_flaps_back" and request.params[0] == "latest":
            run.faults.count(trouble)
            back = run.endpoints.rng.randint(1, 4)
            return RpcOk(view.tip.line[max(0, view.tip.number - back)].header())
        if trouble == "head_lie" and run.endpoints.may_lie(self._endpoint):
            run.faults.count(trouble)
            number = view.tip.number + run.endpoints.rng.randint(0, 30)
            if request.params[0].startswith("0x"):
                number = int(request.params[0], 16)
            return RpcOk(invented_block(run.endpoints.rng, number))
        if trouble in _ANY:
            run.faults.count(trouble)
            if trouble == "internal_error":
                return RpcError(-32603, "internal error")
            return RpcOk({"number": "0x", "hash": 5})
        return answer

    def _spoiled_logs(self, trouble: str, request: RpcRequest, answer: RpcResult) -> RpcResult:
        query: dict[str, Any] = request.params[0]
        rng = self._run.endpoints.rng
        if trouble == "log_range_refused":
            if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= _LOG_PAGE_BLOCKS:
                self._run.faults.count(trouble)
                return RpcError(-32005, "query returned more than 10000 results")
            return answer
        if not isinstance(answer, RpcOk) or not answer.value:
            return answer
        self._run.faults.count(trouble)
        logs = list(answer.value)
        victim = rng.choice(logs)
        if trouble == "logs_omitted":
            return RpcOk([x for x in logs if x["transactionHash"] != victim["transactionHash"]])
        logs.remove(victim)
        return RpcOk(logs)

    def _forget(self, answer: RpcResult) -> None:
        waiting = self._endpoint.mempool.waiting
        if isinstance(answer, RpcOk):
            for key in [k for k, t in waiting.items() if t.hash_hex == answer.value]:
                del waiting[key]

    def _failed(self, why: str, *, http_status: int | None = None) -> TransportFailed:
        return TransportFailed(
            f"endpoint {self.name} gave no answer ({why})",
            endpoint=self.name,
            reason=why,
            http_status=http_status,
        )
