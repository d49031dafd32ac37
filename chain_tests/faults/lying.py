"""A JSON-RPC endpoint that says what is likely and not so, over a real socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain_tests.faults.proxy import FaultPlan, FaultyProxy, Message
from chain_tests.world import CONFIRMATIONS_BLOCKS
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcResult
from tests_support.lies import Liar


class LyingProxy(FaultyProxy):
    """What its `liar` is told to tell, besides the faults of its plan."""

    def __init__(self, upstream: str, *, name: str, plan: FaultPlan | None = None) -> None:
        super().__init__(upstream, name=name, plan=plan or FaultPlan({}, seed=0))
        self.liar = Liar(self._ask, later_blocks=CONFIRMATIONS_BLOCKS + 2)

    def _one(self, asked: Message, head: int | None) -> Message:
        honest = _result_of(super()._one(asked, head))
        told = self.liar.answer(asked["method"], asked["params"], honest)
        message: Message = {"jsonrpc": "2.0", "id": asked["id"]}
        if isinstance(told, RpcOk):
            return {**message, "result": told.value}
        error = {"code": told.code, "message": told.message}
        return {**message, "error": error if told.data is None else {**error, "data": told.data}}

    def _ask(self, method: str, params: Sequence[Any]) -> RpcResult:
        asked = {"jsonrpc": "2.0", "id": 0, "method": method, "params": list(params)}
        return _result_of(self._forward(asked))


def _result_of(answer: Message) -> RpcResult:
    if "error" in answer:
        error = answer["error"]
        return RpcError(error["code"], error["message"], error.get("data"))
    return RpcOk(answer["result"])
