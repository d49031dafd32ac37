"""What nodes say when they refuse, in the words of each client."""

from __future__ import annotations

import pytest

from settlement_node.chain.views import SendRejection as Rejection
from settlement_node.chain.wire.node_errors import (
    CallFailure,
    classify_call,
    classify_send,
    is_log_range_error,
    revert_data,
)
from settlement_node.chain.wire.transport import RpcError
from settlement_node.node.stages.send import NEVER_MINEABLE

SENDS = [
    # client, message, meaning
    ("geth", "already known", Rejection.ALREADY_KNOWN),
    ("erigon", "ALREADY_EXISTS: already known", Rejection.ALREADY_KNOWN),
    ("erigon", "INTERNAL_ERROR: existing tx with same hash", Rejection.ALREADY_KNOWN),
    ("nethermind", "AlreadyKnown", Rejection.ALREADY_KNOWN),
    ("besu", "Known transaction", Rejection.ALREADY_KNOWN),
    ("anvil", "transaction already imported", Rejection.ALREADY_KNOWN),
    ("geth", "nonce too low: next nonce 5, tx nonce 4", Rejection.NONCE_TOO_LOW),
    ("nethermind", "OldNonce, Current nonce: 5, nonce of rejected tx: 4", Rejection.NONCE_TOO_LOW),
    ("besu", "Nonce too low", Rejection.NONCE_TOO_LOW),
    ("anvil", "nonce too low", Rejection.NONCE_TOO_LOW),
    ("reth", "nonce too low: next nonce 82, tx nonce 81", Rejection.NONCE_TOO_LOW),
    ("geth", "nonce too high", Rejection.NONCE_TOO_HIGH),
    ("nethermind", "NonceGap, Future nonce. Expected nonce: 3", Rejection.NONCE_TOO_HIGH),
    (
        "besu",
        "Transaction nonce is too distant from current sender nonce",
        Rejection.NONCE_TOO_HIGH,
    ),
    ("geth", "replacement transaction underpriced", Rejection.REPLACEMENT_UNDERPRICED),
    ("erigon", "could not replace existing tx", Rejection.REPLACEMENT_UNDERPRICED),
    ("nethermind", "ReplacementNotAllowed", Rejection.REPLACEMENT_UNDERPRICED),
    ("nethermind", "OwnNonceAlreadyUsed", Rejection.REPLACEMENT_UNDERPRICED),
    ("geth", "transaction underpriced: tip needed 1, tip permitted 0", Rejection.UNDERPRICED),
    (
        "geth",
        "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7",
        Rejection.UNDERPRICED,
    ),
    ("nethermind", "FeeTooLowToCompete", Rejection.UNDERPRICED),
    ("besu", "Gas price below configured minimum gas price", Rejection.UNDERPRICED),
    ("anvil", "max fee per gas less than block base fee", Rejection.UNDERPRICED),
    (
        "geth",
        "insufficient funds for gas * price + value: balance 0, tx cost 1",
        Rejection.INSUFFICIENT_FUNDS,
    ),
    (
        "nethermind",
        "InsufficientFunds, Account balance: 0, cumulative cost: 1",
        Rejection.INSUFFICIENT_FUNDS,
    ),
    ("besu", "Upfront cost exceeds account balance", Rejection.INSUFFICIENT_FUNDS),
    ("anvil", "Insufficient funds for gas * price + value", Rejection.INSUFFICIENT_FUNDS),
    ("geth", "exceeds block gas limit", Rejection.GAS_LIMIT_TOO_HIGH),
    (
        "geth",
        "transaction gas limit too high (cap: 16777216, tx: 20000000)",
        Rejection.GAS_LIMIT_TOO_HIGH,
    ),
    (
        "besu",
        "Transaction gas limit exceeds block gas limit",
        Rejection.GAS_LIMIT_TOO_HIGH,
    ),
    (
        "anvil",
        "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
        Rejection.GAS_LIMIT_TOO_HIGH,
    ),
    ("nethermind", "GasLimitExceeded", Rejection.GAS_LIMIT_TOO_HIGH),
    ("geth", "intrinsic gas too low: gas 21000, minimum needed 21800", Rejection.INTRINSIC_GAS),
    ("besu", "Intrinsic gas exceeds gas limit", Rejection.INTRINSIC_GAS),
    ("geth", "txpool is full", Rejection.MEMPOOL_FULL),
    ("erigon", "discarded: pending sub-pool is full", Rejection.MEMPOOL_FULL),
    ("geth", "invalid chain id for signer: have 1 want 5", Rejection.WRONG_CHAIN),
    ("besu", "Wrong chainId", Rejection.WRONG_CHAIN),
    ("geth", "invalid sender", Rejection.MALFORMED),
    ("geth", "rlp: expected input list for types.DynamicFeeTx", Rejection.MALFORMED),
    ("anvil", "Failed to decode transaction", Rejection.MALFORMED),
    ("reth", "failed to decode signed transaction", Rejection.MALFORMED),
    ("nethermind", "Invalid RLP.", Rejection.MALFORMED),
    ("anyone", "could not decode transaction: bad list", Rejection.MALFORMED),
    ("anyone", "invalid transaction rlp", Rejection.MALFORMED),
    ("proxy", "failed to decode upstream response", Rejection.UNKNOWN),
    ("proxy", "failed to decode transaction response", Rejection.UNKNOWN),
    ("proxy", "failed to deserialize upstream response", Rejection.UNKNOWN),
    ("proxy", "could not decode response body: invalid character '<'", Rejection.UNKNOWN),
    ("proxy", "error in worldrlpc handler", Rejection.UNKNOWN),
    (
        "geth",
        "tx fee (4.60 ether) exceeds the configured cap (1.00 ether)",
        Rejection.FEE_ABOVE_NODE_CAP,
    ),
    ("besu", "Transaction fee cap exceeded", Rejection.FEE_ABOVE_NODE_CAP),
    ("provider", "Your app has exceeded its compute units per second", Rejection.RATE_LIMITED),
    ("provider", "daily request count exceeded, request rate limited", Rejection.RATE_LIMITED),
    ("provider", "25/second request limit reached", Rejection.RATE_LIMITED),
    ("anyone", "internal error", Rejection.UNKNOWN),
    ("anyone", "request timed out", Rejection.UNKNOWN),
    ("anyone", "", Rejection.UNKNOWN),
]


@pytest.mark.parametrize(
    ("message", "meaning"),
    [pytest.param(*row, id=f"{client}: {row[0][:30]}") for client, *row in SENDS],
)
def test_classify_send__wording_of_a_client__its_meaning(message: str, meaning: Rejection) -> None:
    assert classify_send(RpcError(-32000, message)) is meaning


def test_classify_send__fee_above_a_nodes_cap__the_same_bytes_stay_mineable() -> None:
    assert Rejection.FEE_ABOVE_NODE_CAP not in NEVER_MINEABLE


def test_classify_send__words_in_the_data__are_read() -> None:
    error = RpcError(-32010, "transaction rejected", "Nonce too low")

    assert classify_send(error) is Rejection.NONCE_TOO_LOW


def test_classify_send__rate_limit_code_without_words__rate_limited() -> None:
    assert classify_send(RpcError(-32005, "limit")) is Rejection.RATE_LIMITED


@pytest.mark.parametrize(
    "message",
    [
        "query returned more than 10000 results",
        "block range is too wide",
        "exceed maximum block range: 50000",
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
        "eth_getLogs is limited to a 10,000 range",
        "logs matched by query exceeds limit of 10000",
        "query timeout exceeded",
        "block range too large",
        "requested too many blocks from 0 to 16777216, maximum is set to 2048",
    ],
)
def test_is_log_range_error__providers_wordings__true(message: str) -> None:
    assert is_log_range_error(RpcError(-32005, message))


@pytest.mark.parametrize(
    "message", ["rate limit exceeded", "too many requests", "internal error", "header not found"]
)
def test_is_log_range_error__something_else__false(message: str) -> None:
    assert not is_log_range_error(RpcError(-32005, message))


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RpcError(3, "execution reverted", "0x08c379a0"), CallFailure.REVERTED),
        (RpcError(3, "execution reverted", "0x"), CallFailure.REVERTED),
        (RpcError(-32000, "execution reverted"), CallFailure.REVERTED),
        (RpcError(-32015, "VM execution error.", "Reverted 0x08c379a0"), CallFailure.REVERTED),
        (RpcError(-32000, "out of gas"), CallFailure.OUT_OF_GAS),
        (RpcError(-32000, "gas required exceeds allowance (50000000)"), CallFailure.OUT_OF_GAS),
        (RpcError(-32000, "header not found"), CallFailure.BLOCK_UNKNOWN),
        (RpcError(-32001, "Resource not found"), CallFailure.BLOCK_UNKNOWN),
        (RpcError(-32000, "missing trie node 12ab (path )"), CallFailure.BLOCK_UNKNOWN),
        (RpcError(-32602, "BlockOutOfRangeError: block height is 2"), CallFailure.BLOCK_UNKNOWN),
        (RpcError(-32603, "internal error"), CallFailure.OTHER),
        (RpcError(-32005, "rate limit exceeded"), CallFailure.OTHER),
    ],
)
def test_classify_call__error__what_it_says_about_the_contract(
    error: RpcError, failure: CallFailure
) -> None:
    assert classify_call(error) is failure


@pytest.mark.parametrize(
    "data", ["0x0102", "Reverted 0x0102", {"data": "0x0102"}, {"result": "0x0102", "data": None}]
)
def test_revert_data__forms_of_clients__same_bytes(data: object) -> None:
    assert revert_data(RpcError(3, "execution reverted", data)) == b"\x01\x02"


@pytest.mark.parametrize("data", [None, 5, "0x0", "text", [], {}])
def test_revert_data__nothing_usable__empty(data: object) -> None:
    assert revert_data(RpcError(3, "execution reverted", data)) == b""
