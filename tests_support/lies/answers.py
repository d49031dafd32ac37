"""Lies that one answer tells by itself: each takes the question and the honest answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from settlement_node.chain.contracts.settler import (
    BATCH_HASH_CALL,
    PREVIEW_RESULT_SELECTOR,
    PREVIEW_SELECTOR,
    SETTLER_PAUSED_SELECTOR,
)
from settlement_node.chain.contracts.tokens import PAUSED_CALL, TOTAL_SUPPLY_CALL
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcResult
from settlement_node.chain.wire.words import selector
from settlement_node.domain.observations import SkipReason
from tests_support.lies.stories import (
    BALANCE_OF_SELECTOR,
    IS_SETTLED_SELECTOR,
    Ask,
    made_up,
    number_of,
)

ALLOWANCE_SELECTOR = selector("allowance(address,address)")
HUNDREDTH, THOUSANDFOLD = 100, 1_000
OLD_BLOCKS = 2
"""How far below the head a header is old: the newest are compared in every poll."""
NOT_PERMITTED = list(SkipReason).index(SkipReason.PAYEE_NOT_PERMITTED)

Telling = Callable[[Ask, str, Sequence[Any], RpcResult], RpcResult]
"""From what was asked and what is so to what is told; the same where there is nothing to tell."""


def _data_of(method: str, params: Sequence[Any]) -> bytes:
    return bytes.fromhex(params[0]["data"][2:]) if method == "eth_call" else b""


def without_logs(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """Receipts without their logs."""
    if method == "eth_getTransactionReceipt" and isinstance(honest, RpcOk) and honest.value:
        return RpcOk({**honest.value, "logs": []})
    return honest


def false_state(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """The settler stands at a hash nobody knows, and has settled what it has not."""
    data = _data_of(method, params)
    if isinstance(honest, RpcOk) and len(str(honest.value)) == 66:
        if data == BATCH_HASH_CALL:
            return RpcOk(made_up(honest.value))
        if data[:4] == IS_SETTLED_SELECTOR:
            return RpcOk(_word(1 - int(honest.value, 16)))
    return honest


def false_balances(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """Supply, balances and gas money are a hundredth of what they are."""
    data = _data_of(method, params)
    if not isinstance(honest, RpcOk):
        return honest
    if data == TOTAL_SUPPLY_CALL or data[:4] == BALANCE_OF_SELECTOR:
        return RpcOk(_word(int(honest.value, 16) // HUNDREDTH))
    if method == "eth_getBalance":
        return RpcOk(hex(int(honest.value, 16) // 10**12))
    return honest


def treasury_empty(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """Nobody holds any money or may take any."""
    head = _data_of(method, params)[:4]
    if head in (BALANCE_OF_SELECTOR, ALLOWANCE_SELECTOR) and isinstance(honest, RpcOk):
        return RpcOk(_word(0))
    return honest


def nonce_ahead(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """Somebody has used the account's next nonce."""
    if method == "eth_getTransactionCount" and isinstance(honest, RpcOk):
        return RpcOk(hex(int(honest.value, 16) + 1))
    return honest


def nonce_behind(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """The account's last transaction was never mined."""
    if method == "eth_getTransactionCount" and isinstance(honest, RpcOk):
        return RpcOk(hex(max(int(honest.value, 16) - 1, 0)))
    return honest


def preview_paused(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """The settler and both tokens are paused."""
    data = _data_of(method, params)
    if data[:4] == PREVIEW_SELECTOR and isinstance(honest, RpcError):
        return RpcError(3, "execution reverted", "0x" + SETTLER_PAUSED_SELECTOR.hex())
    if data == PAUSED_CALL and isinstance(honest, RpcOk):
        return RpcOk(_word(1))
    return honest


def preview_not_permitted(
    ask: Ask, method: str, params: Sequence[Any], honest: RpcResult
) -> RpcResult:
    """No item may be paid to its payee."""
    if _data_of(method, params)[:4] != PREVIEW_SELECTOR or not isinstance(honest, RpcError):
        return honest
    data = bytes.fromhex(str(honest.data or "0x")[2:])
    if data[:4] != PREVIEW_RESULT_SELECTOR:
        return honest
    told = bytearray(data)
    # PreviewResult holds an array of offsets, each to (id, reason, gas, detail).
    base = 4 + 32 + 32
    for position in range(int.from_bytes(data[4 + 32 : base], "big")):
        at = base + int.from_bytes(data[base + position * 32 : base + position * 32 + 32], "big")
        told[at + 32 : at + 64] = NOT_PERMITTED.to_bytes(32, "big")
    return RpcError(honest.code, honest.message, "0x" + told.hex())


def tags_ahead(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """The newest block is safe and final already."""
    if method == "eth_getBlockByNumber" and params[0] in ("safe", "finalized"):
        return ask(method, ("latest", *params[1:]))
    return honest


def dear_fees(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """Every fee of the last blocks a thousandfold."""
    if method == "eth_feeHistory" and isinstance(honest, RpcOk):
        return RpcOk(
            {
                **honest.value,
                "baseFeePerGas": [_times(fee) for fee in honest.value["baseFeePerGas"]],
                "reward": [[_times(fee) for fee in fees] for fees in honest.value["reward"]],
            }
        )
    return honest


def false_header(ask: Ask, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
    """Another block than everybody has at an old height."""
    if method != "eth_getBlockByNumber" or not params[0].startswith("0x"):
        return honest
    number, head = int(params[0], 16), number_of(ask, "latest")
    if isinstance(honest, RpcOk) and honest.value and head and number <= head - OLD_BLOCKS:
        return RpcOk({**honest.value, "hash": made_up(honest.value["hash"])})
    return honest


def _times(fee: str) -> str:
    return hex(int(fee, 16) * THOUSANDFOLD)


def _word(value: int) -> str:
    return "0x" + value.to_bytes(32, "big").hex()
