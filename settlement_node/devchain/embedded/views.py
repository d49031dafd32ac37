"""Blocks, transactions and receipts of the embedded chain in JSON-RPC form, whole, so that what a
block holds can be proven against its hash."""

from __future__ import annotations

from typing import Any

from eth.abc import SignedTransactionAPI
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement_node.chain.wire.transport import quantity
from settlement_node.devchain.embedded.evm import ExecutedBlock


def show_block(block: ExecutedBlock, *, full: bool) -> dict[str, Any]:
    """A block, with its transactions or with their hashes."""
    header = block.header
    shown: dict[str, Any] = {
        "number": quantity(header.block_number),
        "hash": hexed(header.hash),
        "parentHash": hexed(header.parent_hash),
        "sha3Uncles": hexed(header.uncles_hash),
        "miner": to_checksum_address(header.coinbase),
        "stateRoot": hexed(header.state_root),
        "transactionsRoot": hexed(header.transaction_root),
        "receiptsRoot": hexed(header.receipt_root),
        "logsBloom": hexed(header.bloom.to_bytes(256, "big")),
        "difficulty": quantity(header.difficulty),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": hexed(header.extra_data),
        "mixHash": hexed(header.mix_hash),
        "nonce": hexed(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas or 0),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
    }
    # Every block of this chain has them; the library's types know of earlier forks as well.
    for name, field in (
        ("withdrawalsRoot", "withdrawals_root"),
        ("parentBeaconBlockRoot", "parent_beacon_block_root"),
        ("requestsHash", "requests_hash"),
    ):
        shown[name] = hexed(getattr(header, field))
    places = range(len(block.transactions))
    shown["transactions"] = [
        show_mined(block, place) if full else hexed(keccak(block.transactions[place].raw))
        for place in places
    ]
    return shown


def show_mined(block: ExecutedBlock, position: int) -> dict[str, Any]:
    """A transaction in its block."""
    item = block.transactions[position]
    return show_transaction(item.transaction, keccak(item.raw)) | {
        "blockHash": hexed(block.header.hash),
        "blockNumber": quantity(block.header.block_number),
        "transactionIndex": quantity(position),
    }


def show_transaction(transaction: SignedTransactionAPI, hash_bytes: bytes) -> dict[str, Any]:
    """A transaction that waits. Of types after 2 the fields of their own are left out."""
    shown = {
        "hash": hexed(hash_bytes),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "from": to_checksum_address(transaction.sender),
        "to": _address_or_null(transaction.to),
        "nonce": quantity(transaction.nonce),
        "gas": quantity(transaction.gas),
        "value": quantity(transaction.value),
        "input": hexed(transaction.data),
        "type": quantity(transaction.type_id or 0),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
    }
    if transaction.type_id is None:
        return shown | {
            "gasPrice": quantity(transaction.gas_price),
            "v": quantity(transaction.v),  # type: ignore[attr-defined]  # legacy ones have it
        }
    if transaction.type_id == 1:
        shown["gasPrice"] = quantity(transaction.gas_price)
    else:
        shown["maxFeePerGas"] = quantity(transaction.max_fee_per_gas)
        shown["maxPriorityFeePerGas"] = quantity(transaction.max_priority_fee_per_gas)
    return shown | {
        "chainId": quantity(transaction.chain_id or 0),
        "yParity": quantity(transaction.y_parity),
        "v": quantity(transaction.y_parity),
        "accessList": [
            {
                "address": to_checksum_address(address),
                "storageKeys": [f"0x{key:064x}" for key in keys],
            }
            for address, keys in transaction.access_list
        ],
    }


def show_receipt(block: ExecutedBlock, position: int) -> dict[str, Any]:
    """A receipt."""
    item = block.transactions[position]
    transaction_hash = hexed(keccak(item.raw))
    created = item.contract_address
    return {
        "transactionHash": transaction_hash,
        "transactionIndex": quantity(position),
        "blockHash": hexed(block.header.hash),
        "blockNumber": quantity(block.header.block_number),
        "from": to_checksum_address(item.transaction.sender),
        "to": _address_or_null(item.transaction.to),
        "contractAddress": None if created is None else to_checksum_address(created),
        "status": quantity(int(item.succeeded)),
        "gasUsed": quantity(item.gas_used),
        "cumulativeGasUsed": quantity(
            sum(earlier.gas_used for earlier in block.transactions[: position + 1])
        ),
        "effectiveGasPrice": quantity(item.effective_gas_price_wei),
        "type": quantity(item.transaction.type_id or 0),
        "logs": [log for log in show_logs(block) if log["transactionHash"] == transaction_hash],
    }


def show_logs(block: ExecutedBlock) -> list[dict[str, Any]]:
    """All logs of a block, in its order."""
    logs = [
        (position, keccak(item.raw), log)
        for position, item in enumerate(block.transactions)
        for log in item.logs
    ]
    return [
        {
            "address": to_checksum_address(log.address),
            "topics": [hexed(topic) for topic in log.topics],
            "data": hexed(log.data),
            "blockNumber": quantity(block.header.block_number),
            "blockHash": hexed(block.header.hash),
            "transactionHash": hexed(hash_bytes),
            "transactionIndex": quantity(position),
            "logIndex": quantity(index),
            "removed": False,
        }
        for index, (position, hash_bytes, log) in enumerate(logs)
    ]


def _address_or_null(address: bytes) -> str | None:
    return to_checksum_address(address) if address else None


def hexed(data: bytes) -> str:
    """A 0x string."""
    return "0x" + data.hex()
