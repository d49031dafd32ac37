"""A transport as a provider of web3: `Web3(TransportProvider(transport))` asks within its bounds.

Apart from the transport, since web3 takes longer to import than a node otherwise takes to start.
"""

from __future__ import annotations

import json
from typing import Any

from settlement_node.chain.wire.recursion import own_recursion_limit
from settlement_node.chain.wire.transport import (
    RpcOk,
    RpcRequest,
    RpcResult,
    Transport,
    TransportFailed,
)

with own_recursion_limit():
    from web3.providers.base import JSONBaseProvider
    from web3.types import RPCEndpoint, RPCError, RPCResponse


class TransportProvider(JSONBaseProvider):
    """A provider over a transport, with no retries of its own."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request of web3; raises TransportFailed."""
        (response,) = self.make_batch_request([(method, params)])
        return response

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse]:
        """A batch of web3, answered in the order asked; raises TransportFailed."""
        plain = [json.loads(self.encode_rpc_request(*item)) for item in requests]
        results = self._transport.request(
            [RpcRequest(item["method"], tuple(item["params"])) for item in plain]
        )
        return [_response(item["id"], result) for item, result in zip(plain, results, strict=True)]

    def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: FBT001, FBT002 web3's own
        """Whether the endpoint says which chain it is on."""
        try:
            (result,) = self._transport.request([RpcRequest("eth_chainId")])
        except TransportFailed:
            if show_traceback:
                raise
            return False
        return isinstance(result, RpcOk)


def _response(request_id: int, result: RpcResult) -> RPCResponse:
    """In web3's form."""
    if isinstance(result, RpcOk):
        return RPCResponse(jsonrpc="2.0", id=request_id, result=result.value)
    error = RPCError(code=result.code, message=result.message)
    if result.data is not None:
        error["data"] = result.data
    return RPCResponse(jsonrpc="2.0", id=request_id, error=error)
