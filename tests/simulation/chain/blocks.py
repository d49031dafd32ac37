"""Blocks, and how a client shows them. A block knows the line of its ancestors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from eth_utils.address import to_checksum_address

from tests.simulation.chain.machine import Executed
from tests.simulation.chain.state import State


@dataclass(slots=True, eq=False)
class Block:
    """A block. `line[n]` is its ancestor (or itself) at height n; forks have lines of their own."""

    number: int
    block_hash: str
    parent_hash: str
    timestamp: int
    base_fee: int
    gas_limit: int
    gas_used: int
    market_tip: int
    executed: tuple[Executed, ...]
    state: State
    line: list[Block] = field(default_factory=list)
    _header: dict[str, Any] | None = None
    _logs: list[dict[str, Any]] | None = None

    def has_ancestor(self, other: Block) -> bool:
        """Whether the other block is this one or below it on the same line."""
        return other.number <= self.number and self.line[other.number] is other

    def header(self) -> dict[str, Any]:
        """The header in JSON-RPC form; not to be changed."""
        if self._header is None:
            self._header = {
                "number": hex(self.number),
                "hash": self.block_hash,
                "parentHash": self.parent_hash,
                "timestamp": hex(self.timestamp),
                "baseFeePerGas": hex(self.base_fee),
                "gasLimit": hex(self.gas_limit),
                "gasUsed": hex(self.gas_used),
                "transactions": [item.transaction.hash_hex for item in self.executed],
            }
        return self._header

    def logs(self) -> list[dict[str, Any]]:
        """All logs in JSON-RPC form; not to be changed."""
        if self._logs is None:
            self._logs = []
            for position, item in enumerate(self.executed):
                for log in item.logs:
                    self._logs.append(
                        {
                            "address": checksummed(log.address),
                            "topics": ["0x" + topic.hex() for topic in log.topics],
                            "data": "0x" + log.data.hex(),
                            "blockNumber": hex(self.number),
                            "blockHash": self.block_hash,
                            "transactionHash": item.transaction.hash_hex,
                            "transactionIndex": hex(position),
                            "logIndex": hex(len(self._logs)),
                            "removed": False,
                        }
                    )
        return self._logs

    def receipt(self, position: int) -> dict[str, Any]:
        """A receipt in JSON-RPC form."""
        item = self.executed[position]
        transaction = item.transaction
        return {
            "transactionHash": transaction.hash_hex,
            "transactionIndex": hex(position),
            "blockHash": self.block_hash,
            "blockNumber": hex(self.number),
            "from": checksummed(transaction.sender),
            "to": None if transaction.to is None else checksummed(transaction.to),
            "contractAddress": None if item.created is None else checksummed(item.created),
            "status": hex(int(item.succeeded)),
            "gasUsed": hex(item.gas_used),
            "effectiveGasPrice": hex(item.price),
            "type": "0x2",
            "logs": [log for log in self.logs() if log["transactionHash"] == transaction.hash_hex],
        }


def block_hash_of(
    parent: str, *, timestamp: int, salt: int, hashes: Sequence[str], base_fee: int
) -> str:
    """Any 32 bytes that differ when the content differs."""
    text = f"{parent}|{timestamp}|{salt}|{base_fee}|{','.join(hashes)}"
    return "0x" + hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=4096)
def checksummed(address: bytes) -> str:
    """EIP-55."""
    return to_checksum_address(address)
