"""A real block and two endpoints to its chain, whose answers a test changes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.tokens import TRANSFER_TOPIC
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest, RpcResult, Transport
from settlement_node.units import Address, Hex32
from tests_support.embedded import EmbeddedChain

from .scripted import Clock


def init_code(topics: Sequence[str]) -> bytes:
    """Creation code that logs these topics with a word of data (5), and leaves no code."""
    code = bytes.fromhex("6005600052")  # MSTORE(0, 5)
    for topic in reversed(topics):
        code += b"\x7f" + bytes.fromhex(topic[2:])
    return code + bytes.fromhex("60206000") + bytes([0xA0 + len(topics)])


@dataclass(slots=True)
class Lying:
    """An endpoint in front of the chain's own that changes answers by method."""

    inner: Transport
    name: str
    lies: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    asked: list[RpcRequest] = field(default_factory=list)

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        self.asked += requests
        return [
            self._changed(request.method, answer)
            for request, answer in zip(requests, self.inner.request(requests), strict=True)
        ]

    def _changed(self, method: str, answer: RpcResult) -> RpcResult:
        if method not in self.lies or not isinstance(answer, RpcOk):
            return answer
        changed = self.lies[method](copy.deepcopy(answer.value))
        return changed if isinstance(changed, RpcError) else RpcOk(changed)


@dataclass(slots=True)
class Rig:
    """A chain with one block of four transactions, of every type that wallets send, and two
    endpoints to it."""

    chain: EmbeddedChain
    sender: Address
    hashes: list[Hex32]
    contract: Address
    first: Lying
    second: Lying
    client: ChainClient
    clock: Clock

    @property
    def liar(self) -> Lying:
        return self.first

    def blamed(self) -> list[str | None]:
        return [health.contradiction for health in self.client.health()]


TOPICS = (TRANSFER_TOPIC, "0x" + "00" * 31 + "01", "0x" + "00" * 31 + "02")


def make_rig() -> Rig:
    """Fresh."""
    chain, clock = EmbeddedChain(), Clock()
    account = Account.from_key(chain.funded_keys[0])
    common = {"chainId": chain.chain_id, "gas": 100_000, "value": 0}
    cap = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
    access = [{"address": account.address, "storageKeys": ["0x" + "00" * 32]}]
    fields: list[dict[str, Any]] = [
        {"gasPrice": 10**10, "to": account.address, "data": b""},
        {"type": 1, "gasPrice": 10**10, "to": account.address, "data": b"", "accessList": access},
        {"type": 2, **cap, "to": b"", "data": init_code(TOPICS)},
        {"type": 2, **cap, "to": b"", "data": b"\xfe"},
    ]
    plain = chain.transport("plain")
    hashes = []
    for nonce, one in enumerate(fields):
        raw = account.sign_transaction(common | one | {"nonce": nonce}).raw_transaction
        (answer,) = plain.request([RpcRequest("eth_sendRawTransaction", ("0x" + raw.hex(),))])
        assert isinstance(answer, RpcOk), answer
        hashes.append(Hex32(answer.value))
    chain.mine(6)
    (receipt,) = plain.request([RpcRequest("eth_getTransactionReceipt", (hashes[2],))])
    assert isinstance(receipt, RpcOk)
    first, second = (Lying(chain.transport(name), name) for name in ("first", "second"))
    client = ChainClient(chain.chain_id, [first, second], now=clock)
    return Rig(
        chain,
        Address(account.address),
        hashes,
        Address(receipt.value["contractAddress"]),
        first,
        second,
        client,
        clock,
    )


def content(rig: Rig, number: int = 1) -> tuple[Any, Any]:
    """A block and its receipts, as the chain gives them."""
    block, receipts = rig.second.inner.request(
        [
            RpcRequest("eth_getBlockByNumber", (hex(number), True)),
            RpcRequest("eth_getBlockReceipts", (hex(number),)),
        ]
    )
    assert isinstance(block, RpcOk)
    assert isinstance(receipts, RpcOk)
    return block.value, receipts.value


def changed_receipt(**changes: Any) -> Callable[[Any], Any]:
    return lambda value: None if value is None else value | changes
