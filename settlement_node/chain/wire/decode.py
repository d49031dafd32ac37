"""JSON-RPC answers to observations. A form that is not understood is MalformedData, never a guess.

Shapes: https://ethereum.github.io/execution-apis/ — quantities are 0x strings without leading
zeros, byte strings are 0x strings with two digits per byte.
"""

from __future__ import annotations

import re
from typing import Any

from settlement_node.chain.wire.words import MalformedData, checksummed
from settlement_node.domain.observations import Block, FeeHistory, Log, Receipt
from settlement_node.units import INT64_MAX, UINT256_MAX, Address, Hex32, Wei

INT32_MAX = 2**31 - 1
"""The column of a log's index is a plain INTEGER."""
_HEX = re.compile(r"0x[0-9a-fA-F]*")
"""Python itself also reads spaces, underscores and digits of other scripts."""
_HASH = re.compile(r"0x[0-9a-f]{64}")
"""A hash as it is kept, and as every client writes it."""


def read_quantity(value: Any) -> int:
    """`0x1a` is 26. No more than 256 bits, as every quantity of the EVM."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise MalformedData(f"{type(value).__name__} is not a quantity")
    if value == "0x" or _HEX.fullmatch(value) is None:
        raise MalformedData("a quantity is not hexadecimal")
    number = int(value, 16)
    if number > UINT256_MAX:
        raise MalformedData("a quantity has more than 256 bits")
    return number


def read_number(value: Any, *, up_to: int = INT64_MAX) -> int:
    """A quantity that the book keeps as an integer: one too large for its column would undo every
    commit it is part of."""
    number = read_quantity(value)
    if number > up_to:
        raise MalformedData("a number, gas amount, time or nonce is absurdly large")
    return number


def read_data(value: Any) -> bytes:
    """`0x0102` is two bytes."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise MalformedData(f"{type(value).__name__} is not a byte string")
    if len(value) % 2 or _HEX.fullmatch(value) is None:
        raise MalformedData("a byte string is not hexadecimal")
    return bytes.fromhex(value[2:])


def read_hash(value: Any) -> Hex32:
    """32 bytes as a lower-case 0x string."""
    if not isinstance(value, str) or len(value) != 66:
        raise MalformedData("a hash is not 32 bytes")
    return Hex32(value if _HASH.fullmatch(value) else "0x" + read_data(value).hex())


def read_address_field(value: Any) -> Address:
    """20 bytes as a checksummed address."""
    data = read_data(value)
    if len(data) != 20:
        raise MalformedData("an address is not 20 bytes")
    return checksummed(data)


def read_block(value: Any) -> Block:
    """A header from `eth_getBlockBy…`. A chain without EIP-1559 has base fee 0."""
    fields = read_object(value, "block")
    base_fee = fields.get("baseFeePerGas")
    return Block(
        number=read_number(fields.get("number")),
        block_hash=read_hash(fields.get("hash")),
        parent_hash=read_hash(fields.get("parentHash")),
        timestamp_seconds=read_number(fields.get("timestamp")),
        base_fee_per_gas_wei=Wei(0 if base_fee is None else read_quantity(base_fee)),
        gas_limit=read_number(fields.get("gasLimit")),
    )


def read_log(value: Any) -> Log:
    """One log of a receipt or of `eth_getLogs`; a log the endpoint marks as removed is refused."""
    fields = read_object(value, "log")
    if fields.get("removed") is True:
        raise MalformedData("a log was removed by a reorganisation")
    topics = fields.get("topics")
    if not isinstance(topics, list):
        raise MalformedData("a log has no topics")
    return Log(
        address=read_address_field(fields.get("address")),
        topics=tuple(read_hash(topic) for topic in topics),
        data=read_data(fields.get("data")),
        block_number=read_number(fields.get("blockNumber")),
        block_hash=read_hash(fields.get("blockHash")),
        transaction_hash=read_hash(fields.get("transactionHash")),
        log_index=read_number(fields.get("logIndex"), up_to=INT32_MAX),
    )


def read_logs(value: Any) -> tuple[Log, ...]:
    """`eth_getLogs`, in the endpoint's order."""
    if not isinstance(value, list):
        raise MalformedData("logs are not a list")
    return tuple(read_log(item) for item in value)


def read_receipt(value: Any, *, transaction_hash: Hex32) -> Receipt | None:
    """A receipt, or `None` for null. A pending receipt, as some clients give with its block as
    null, is null as well.

    A receipt without a block, without a status (before Byzantium) or of another hash is
    MalformedData: neither absence nor success is ever assumed.
    """
    if value is None:
        return None
    fields = read_object(value, "receipt")
    if read_hash(fields.get("transactionHash")) != transaction_hash:
        raise MalformedData("a receipt is of another transaction")
    if {"blockHash", "blockNumber"} <= fields.keys() and (
        fields["blockHash"] is None and fields["blockNumber"] is None
    ):
        return None
    status = read_quantity(fields.get("status"))
    if status not in (0, 1):
        raise MalformedData("a receipt's status is neither 0 nor 1")
    return Receipt(
        transaction_hash=transaction_hash,
        block_number=read_number(fields.get("blockNumber")),
        block_hash=read_hash(fields.get("blockHash")),
        succeeded=status == 1,
        gas_used=read_number(fields.get("gasUsed")),
        effective_gas_price_wei=Wei(read_quantity(fields.get("effectiveGasPrice"))),
        logs=read_logs(fields.get("logs")),
    )


def read_sender_and_nonce(value: Any, *, transaction_hash: Hex32) -> tuple[Address, int] | None:
    """Who sent a transaction and with which nonce; `None` for null."""
    if value is None:
        return None
    fields = read_object(value, "transaction")
    if read_hash(fields.get("hash")) != transaction_hash:
        raise MalformedData("a transaction is another one than asked for")
    return read_address_field(fields.get("from")), read_number(fields.get("nonce"))


def read_fee_history(value: Any) -> FeeHistory:
    """`eth_feeHistory` with one percentile."""
    fields = read_object(value, "fee history")
    base_fees, rewards = fields.get("baseFeePerGas"), fields.get("reward")
    if not isinstance(base_fees, list) or not isinstance(rewards, list):
        raise MalformedData("a fee history lacks base fees or tips")
    # Asked beyond its head, anvil answers without an error and without any block.
    if (
        not rewards
        or len(base_fees) != len(rewards) + 1
        or not all(isinstance(reward, list) and len(reward) == 1 for reward in rewards)
    ):
        raise MalformedData("a fee history has the wrong number of entries")
    return FeeHistory(
        base_fees_wei=tuple(Wei(read_quantity(base_fee)) for base_fee in base_fees),
        tips_wei=tuple(Wei(read_quantity(reward[0])) for reward in rewards),
    )


def read_object(value: Any, what: str = "answer") -> dict[str, Any]:
    """A JSON object as it is."""
    if not isinstance(value, dict):
        raise MalformedData(f"the {what} is not an object")
    return value
