"""The embedded chain as a JSON-RPC endpoint, answering in the forms real clients use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth.abc import BlockHeaderAPI, StateAPI
from eth_typing import Address as CanonicalAddress

from settlement_node.chain.endpoints.endpoint import BlockParameter
from settlement_node.chain.wire.transport import (
    RpcError,
    RpcOk,
    RpcRequest,
    RpcResult,
    quantity,
)
from settlement_node.devchain.embedded.core import EmbeddedCore, SendRefused
from settlement_node.devchain.embedded.evm import ExecutedBlock
from settlement_node.devchain.embedded.views import (
    hexed,
    show_block,
    show_logs,
    show_mined,
    show_receipt,
    show_transaction,
)
from settlement_node.units import ZERO_ADDRESS

_CALL_GAS_MAX = 50_000_000
"""geth's default bound for `eth_call`."""
_SAFE_BLOCKS, _FINALIZED_BLOCKS = 1, 2
"""How far the tags stay behind the head, as on a development chain with one slot per epoch."""
_SERVER_ERROR, _INVALID_PARAMS, _NO_METHOD, _REVERTED = -32000, -32602, -32601, 3


class _Failed(Exception):
    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.error = RpcError(code, message, data)


class EmbeddedTransport:
    """A `Transport` to an embedded chain in the same process; never fails to answer."""

    def __init__(self, chain: EmbeddedCore, *, name: str = "embedded") -> None:
        """Several transports to one chain can stand for several endpoints."""
        self.name = name
        self._chain = chain
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: quantity(chain.chain_id),
            "eth_blockNumber": lambda: quantity(chain.head_number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionCount": self._nonce,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_call": self._call,
            "eth_feeHistory": self._fee_history,
            "eth_getLogs": self._logs,
        }

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        """Answer in the order asked."""
        with self._chain.turn:
            return [self._answer(request) for request in requests]

    def _answer(self, request: RpcRequest) -> RpcResult:
        method = self._methods.get(request.method)
        if method is None:
            return RpcError(_NO_METHOD, f"the method {request.method} does not exist")
        try:
            return RpcOk(method(*request.params))
        except _Failed as failed:
            return failed.error
        except SendRefused as refused:
            return RpcError(_SERVER_ERROR, str(refused))
        except (TypeError, ValueError, KeyError, AttributeError):
            return RpcError(_INVALID_PARAMS, f"invalid parameters of {request.method}")

    # Which block

    def _number(self, block: str) -> int:
        head = self._chain.head_number
        tags = {
            "latest": head,
            "pending": head,
            "safe": max(0, head - _SAFE_BLOCKS),
            "finalized": max(0, head - _FINALIZED_BLOCKS),
            "earliest": 0,
        }
        return tags[block] if block in tags else int(block, 16)

    def _found(self, block: BlockParameter) -> BlockHeaderAPI:
        """The block a state read is about: a tag, a height, or EIP-1898."""
        if isinstance(block, dict) and "blockHash" in block:
            found = self._chain.block_by_hash(_bytes(block["blockHash"]))
        else:
            number = block["blockNumber"] if isinstance(block, dict) else block
            found = self._chain.block(self._number(number))
        if found is None:
            raise _Failed(_SERVER_ERROR, "header not found")
        return found.header

    def _state(self, block: BlockParameter) -> StateAPI:
        return self._chain.evm.state(self._found(block))

    # Methods

    def _block_by_number(self, block: str, *full: bool) -> dict[str, Any] | None:
        found = self._chain.block(self._number(block))
        return None if found is None else show_block(found, full=any(full))

    def _block_by_hash(self, block_hash: str, *full: bool) -> dict[str, Any] | None:
        found = self._chain.block_by_hash(_bytes(block_hash))
        return None if found is None else show_block(found, full=any(full))

    def _block_receipts(self, block: str) -> list[dict[str, Any]] | None:
        found = self._chain.block(self._number(block))
        if found is None:
            return None
        return [show_receipt(found, position) for position in range(len(found.transactions))]

    def _send(self, raw: str) -> str:
        return hexed(self._chain.send(_bytes(raw)))

    def _receipt(self, transaction_hash: str) -> dict[str, Any] | None:
        place = self._chain.mined(_bytes(transaction_hash))
        return None if place is None else show_receipt(*place)

    def _transaction(self, transaction_hash: str) -> dict[str, Any] | None:
        hash_bytes = _bytes(transaction_hash)
        place = self._chain.mined(hash_bytes)
        pending = self._chain.pending(hash_bytes)
        if place is not None:
            return show_mined(*place)
        return None if pending is None else show_transaction(pending)

    def _nonce(self, address: str, block: BlockParameter) -> str:
        account = _account(address)
        if block == "pending":
            return quantity(self._chain.pending_nonce(account))
        return quantity(self._state(block).get_nonce(account))

    def _balance(self, address: str, block: BlockParameter) -> str:
        return quantity(self._state(block).get_balance(_account(address)))

    def _code(self, address: str, block: BlockParameter) -> str:
        return hexed(self._state(block).get_code(_account(address)))

    def _call(self, message: dict[str, str], block: BlockParameter = "latest") -> str:
        gas = int(message["gas"], 16) if "gas" in message else _CALL_GAS_MAX
        outcome = self._chain.evm.call(
            self._found(block),
            sender=_account(message.get("from", ZERO_ADDRESS)),
            to=_account(message["to"]),
            data=_bytes(message.get("data", message.get("input", "0x"))),
            gas=min(gas, _CALL_GAS_MAX),
            value=int(message.get("value", "0x0"), 16),
        )
        if outcome.error is None:
            return hexed(outcome.output)
        if outcome.reverted:
            raise _Failed(_REVERTED, outcome.error, hexed(outcome.output))
        raise _Failed(_SERVER_ERROR, outcome.error)

    def _fee_history(self, count: str, newest: str, percentiles: Sequence[float]) -> dict[str, Any]:
        last = self._number(newest)
        if last > self._chain.head_number:
            raise _Failed(_SERVER_ERROR, f"request beyond head block: {last}")
        blocks = list(self._chain.blocks(last - int(count, 16) + 1, last))
        after = self._chain.evm.next_base_fee(blocks[-1].header)
        base_fees = [item.base_fee_wei for item in blocks]
        return {
            "oldestBlock": quantity(blocks[0].header.block_number),
            "baseFeePerGas": [quantity(fee) for fee in (*base_fees, after)],
            "gasUsedRatio": [item.header.gas_used / item.header.gas_limit for item in blocks],
            "reward": [
                [quantity(_tip_wei(block, percentile)) for percentile in percentiles]
                for block in blocks
            ],
        }

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        first = self._number(query.get("fromBlock", "latest"))
        last = self._number(query.get("toBlock", "latest"))
        if last < first:
            raise _Failed(_SERVER_ERROR, "invalid block range params")
        given = query.get("address") or []
        addresses = {item.lower() for item in ([given] if isinstance(given, str) else given)}
        return [
            log
            for block in self._chain.blocks(first, last)
            for log in show_logs(block)
            if (not addresses or log["address"].lower() in addresses)
            and _matches(log["topics"], query.get("topics") or [])
        ]


def _tip_wei(block: ExecutedBlock, percentile: float) -> int:
    """The tip at a percentile of the block's gas, cheapest first; 0 for an empty block."""
    places = range(len(block.transactions))
    tips = sorted((block.tip_wei(place), block.gas_used(place)) for place in places)
    threshold = block.header.gas_used * percentile / 100
    passed = 0
    for tip, gas_used in tips:
        passed += gas_used
        if passed >= threshold:
            return tip
    return 0


def _matches(topics: Sequence[str], wanted: Sequence[str | Sequence[str] | None]) -> bool:
    """By position: any of a list, exactly a string, or anything for null."""
    if len(wanted) > len(topics):
        return False
    for topic, want in zip(topics, wanted, strict=False):
        if want is None:
            continue
        choices = [want] if isinstance(want, str) else want
        if choices and topic.lower() not in {choice.lower() for choice in choices}:
            return False
    return True


def _account(address: str) -> CanonicalAddress:
    return CanonicalAddress(_bytes(address))


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError("not a 0x string")
    return bytes.fromhex(text[2:])
