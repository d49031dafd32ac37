"""Blocks, transactions and receipts of the embedded chain in JSON-RPC form, whole, so that what a
block holds can be proven against its hash."""

from __future__ import annotations

from typing import Any

from eth.abc import SignedTransactionAPI
from eth.vm.forks.byzantium.constants import EIP658_TRANSACTION_STATUS_CODE_SUCCESS
from eth_utils.address import to_checksum_address

from settlement_node.chain.contracts.artifacts import contract_address
from settlement_node.chain.wire.transport import quantity
from settlement_node.devchain.embedded.evm import ExecutedBlock
from settlement_node.units import Address


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
        "baseFeePerGas": quantity(block.base_fee_wei),
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
        show_mined(block, place) if full else hexed(block.transactions[place].hash)
        for place in places
    ]
    return shown


def show_mined(block: ExecutedBlock, position: int) -> dict[str, Any]:
    """A transaction in its block."""
    return show_transaction(block.transactions[position]) | {
        "blockHash": hexed(block.header.hash),
        "blockNumber": quantity(block.header.block_number),
        "transactionIndex": quantity(position),
    }


def show_transaction(transaction: SignedTransactionAPI) -> dict[str, Any]:
    """A transaction that waits. Of types after 2 the fields of their own are left out."""
    shown = {
        "hash": hexed(transaction.hash),
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
    transaction, receipt = block.transactions[position], block.receipts[position]
    transaction_hash = hexed(transaction.hash)
    sender = Address(to_checksum_address(transaction.sender))
    return {
        "transactionHash": transaction_hash,
        "transactionIndex": quantity(position),
        "blockHash": hexed(block.header.hash),
        "blockNumber": quantity(block.header.block_number),
        "from": sender,
        "to": _address_or_null(transaction.to),
        "contractAddress": None if transaction.to else contract_address(sender, transaction.nonce),
        "status": quantity(int(receipt.state_root == EIP658_TRANSACTION_STATUS_CODE_SUCCESS)),
        "gasUsed": quantity(block.gas_used(position)),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "effectiveGasPrice": quantity(block.base_fee_wei + block.tip_wei(position)),
        "type": quantity(transaction.type_id or 0),
        "logs": [log for log in show_logs(block) if log["transactionHash"] == transaction_hash],
    }


def show_logs(block: ExecutedBlock) -> list[dict[str, Any]]:
    """All logs of a block, in its order."""
    logs = [
        (position, log) for position, receipt in enumerate(block.receipts) for log in receipt.logs
    ]
    return [
        {
            "address": to_checksum_address(log.address),
            "topics": [f"0x{topic:064x}" for topic in log.topics],
            "data": hexed(log.data),
            "blockNumber": quantity(block.header.block_number),
            "blockHash": hexed(block.header.hash),
            "transactionHash": hexed(block.transactions[position].hash),
            "transactionIndex": quantity(position),
            "logIndex": quantity(index),
            "removed": False,
        }
        for index, (position, log) in enumerate(logs)
    ]


def _address_or_null(address: bytes) -> str | None:
    return to_checksum_address(address) if address else None


def hexed(data: bytes) -> str:
    """A 0x string."""
    return "0x" + data.hex()
