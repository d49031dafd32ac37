"""Endpoints whose every answer a test decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth_utils.crypto import keccak

from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.wire.transport import (
    RpcError,
    RpcOk,
    RpcRequest,
    RpcResult,
    TransportFailed,
)
from settlement_node.domain.observations import SettleItem
from settlement_node.units import Address, Hex32, Payout, Shares, to_hex32

CHAIN_ID = 7
ACCOUNT = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OTHER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
SETTLER = Address("0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0")
TOKEN = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")


def hash_of(name: str) -> Hex32:
    """A 32-byte hash that a test can name."""
    return to_hex32(keccak(text=name))


def block_hash(number: int, fork: str = "main") -> Hex32:
    """The hash of the block at a height of a fork."""
    return hash_of(f"{fork} {number}")


def block(number: int, fork: str = "main", parent_fork: str | None = None) -> dict[str, Any]:
    """A header in JSON-RPC form."""
    return {
        "number": hex(number),
        "hash": block_hash(number, fork),
        "parentHash": block_hash(number - 1, parent_fork or fork),
        "timestamp": hex(1_000 + number),
        "baseFeePerGas": hex(10**9),
        "gasLimit": hex(30_000_000),
    }


def receipt(
    transaction_hash: Hex32,
    number: int,
    fork: str = "main",
    *,
    status: int = 1,
    logs: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """A receipt in JSON-RPC form."""
    return {
        "transactionHash": transaction_hash,
        "blockHash": block_hash(number, fork),
        "blockNumber": hex(number),
        "status": hex(status),
        "gasUsed": hex(21_000),
        "effectiveGasPrice": hex(2 * 10**9),
        "logs": list(logs),
    }


def log(
    number: int,
    index: int,
    *,
    address: Address = SETTLER,
    topics: Sequence[str] = (),
    data: bytes = b"",
    transaction: str = "transaction",
) -> dict[str, Any]:
    """A log in JSON-RPC form."""
    return {
        "address": address,
        "topics": list(topics),
        "data": "0x" + data.hex(),
        "blockNumber": hex(number),
        "blockHash": block_hash(number),
        "transactionHash": hash_of(transaction),
        "logIndex": hex(index),
        "removed": False,
    }


def item(index: int, *, shares: int = 10**18, payout: int = 10**6) -> SettleItem:
    """One item of a batch."""
    return SettleItem(
        redemption_id_hex=hash_of(f"redemption {index}"),
        redemption_index=index,
        investor_address=ACCOUNT,
        payee_address=OTHER,
        shares_base_units=Shares(shares),
        payout_base_units=Payout(payout),
    )


class Clock:
    """Monotonic seconds that move when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class ScriptedTransport:
    """One endpoint. `blocks` is its chain by height; `methods` answers or overrides a method."""

    def __init__(self, name: str, head: int = 100) -> None:
        self._name = name
        self.chain_id = CHAIN_ID
        self.head = head
        self.safe: int | None = None
        self.finalized: int | None = None
        self.down = False
        self.forked: dict[int, str] = {}
        self.receipts: dict[Hex32, dict[str, Any] | RpcError] = {}
        self.methods: dict[str, Callable[..., RpcResult]] = {}
        self.asked: list[RpcRequest] = []
        self.round_trips = 0

    @property
    def name(self) -> str:
        return self._name

    def fork_from(self, number: int, fork: str) -> None:
        """Give this endpoint another chain from a height on."""
        self.forked = dict.fromkeys(range(number, number + 1000), fork)

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        self.round_trips += 1
        self.asked += requests
        if self.down:
            raise TransportFailed(f"endpoint {self._name} gave no answer (Timeout)")
        return [self._answer(request) for request in requests]

    def count(self, method: str) -> int:
        """How often a method was asked for."""
        return sum(request.method == method for request in self.asked)

    def _answer(self, request: RpcRequest) -> RpcResult:
        if request.method in self.methods:
            return self.methods[request.method](*request.params)
        if request.method == "eth_chainId":
            return RpcOk(hex(self.chain_id))
        if request.method == "eth_getBlockByNumber":
            return RpcOk(self._block(request.params[0]))
        if request.method == "eth_getTransactionReceipt":
            found = self.receipts.get(request.params[0])
            return found if isinstance(found, RpcError) else RpcOk(found)
        return RpcError(-32601, f"the script of {self._name} has no {request.method}")

    def _block(self, which: str) -> dict[str, Any] | None:
        tags = {"latest": self.head, "safe": self.safe, "finalized": self.finalized}
        number = tags[which] if which in tags else int(which, 16)
        if number is None or number > self.head:
            return None
        parent_fork = self.forked.get(number - 1, "main")
        return block(number, self.forked.get(number, "main"), parent_fork)


def client_of(
    *transports: ScriptedTransport, clock: Clock | None = None, policy: PoolPolicy | None = None
) -> ChainClient:
    """A client of these endpoints."""
    return ChainClient(CHAIN_ID, transports, now=clock or Clock(), policy=policy)
