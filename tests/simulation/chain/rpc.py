"""A client's JSON-RPC over one view of the chain: its own tip and its own mempool. Honest; what
goes wrong on the way is the transport's part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest, RpcResult
from tests.simulation.chain import machine
from tests.simulation.chain.blocks import Block, checksummed
from tests.simulation.chain.chain import SimChain, next_base_fee
from tests.simulation.chain.mempool import Mempool, SendRefused
from tests.simulation.chain.transactions import MalformedTransaction, Transaction, decode

CALL_GAS_MAX = 50_000_000
SERVER_ERROR, INVALID_PARAMS, NO_METHOD, REVERTED = -32000, -32602, -32601, 3


class Failed(Exception):
    """A method's error answer."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.error = RpcError(code, message, data)


class EndpointView:
    """One endpoint. `tip` is the block it takes for the head."""

    def __init__(
        self, chain: SimChain, mempool: Mempool, *, safe_blocks: int = 1, finalized_blocks: int = 2
    ) -> None:
        self.chain = chain
        self.mempool = mempool
        self.tip = chain.head
        self.safe_blocks = safe_blocks
        self.finalized_blocks = finalized_blocks
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(chain.chain_id),
            "eth_blockNumber": lambda: hex(self.tip.number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionCount": self._nonce,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_call": self._call,
            "eth_feeHistory": self._fee_history,
            "eth_getLogs": self._logs,
        }

    def follow(self, tip: Block) -> None:
        """Take another block for the head."""
        self.tip = tip
        self.mempool.forget_used(tip)

    def answer(self, request: RpcRequest) -> RpcResult:
        """One request, answered as a client does."""
        method = self._methods.get(request.method)
        if method is None:
            return RpcError(NO_METHOD, f"the method {request.method} does not exist")
        try:
            return RpcOk(method(*request.params))
        except Failed as failed:
            return failed.error
        except (SendRefused, MalformedTransaction) as refused:
            return RpcError(SERVER_ERROR, str(refused))

    def _number(self, block: str) -> int:
        head = self.tip.number
        match block:
            case "latest" | "pending":
                return head
            case "safe":
                return max(0, head - self.safe_blocks)
            case "finalized":
                return max(0, head - self.finalized_blocks)
            case "earliest":
                return 0
        return int(block, 16)

    def _at(self, block: str | dict[str, str]) -> Block:
        """The block a state read is about: a tag, a height, or a hash (EIP-1898)."""
        found: Block | None
        if isinstance(block, dict) and "blockHash" in block:
            found = self.chain.by_hash.get(block["blockHash"])
            if found is not None and not self.tip.has_ancestor(found):
                found = None
        else:
            number = self._number(block["blockNumber"] if isinstance(block, dict) else block)
            found = self.tip.line[number] if number <= self.tip.number else None
        if found is None:
            raise Failed(SERVER_ERROR, "header not found")
        return found

    def _block_by_number(self, block: str, *_full: Any) -> dict[str, Any] | None:
        number = self._number(block)
        return self.tip.line[number].header() if number <= self.tip.number else None

    def _block_by_hash(self, block_hash: str, *_full: Any) -> dict[str, Any] | None:
        found = self.chain.by_hash.get(block_hash)
        return None if found is None or not self.tip.has_ancestor(found) else found.header()

    def _send(self, raw: str) -> str:
        transaction = decode(bytes.fromhex(raw[2:]))
        self.mempool.send(transaction, self.tip)
        return transaction.hash_hex

    def _receipt(self, hash_hex: str) -> dict[str, Any] | None:
        place = self.chain.mined(hash_hex, self.tip)
        return None if place is None else place[0].receipt(place[1])

    def _transaction(self, hash_hex: str) -> dict[str, Any] | None:
        place = self.chain.mined(hash_hex, self.tip)
        transaction: Transaction | None
        if place is None:
            block, transaction = None, self.mempool.find(hash_hex)
        else:
            block, transaction = place[0], place[0].executed[place[1]].transaction
        if transaction is None:
            return None
        return {
            "hash": hash_hex,
            "blockHash": None if block is None else block.block_hash,
            "blockNumber": None if block is None else hex(block.number),
            "from": checksummed(transaction.sender),
            "to": None if transaction.to is None else checksummed(transaction.to),
            "nonce": hex(transaction.nonce),
            "gas": hex(transaction.gas),
            "value": hex(transaction.value),
            "input": "0x" + transaction.data.hex(),
            "maxFeePerGas": hex(transaction.cap),
            "maxPriorityFeePerGas": hex(transaction.tip),
            "type": "0x2",
        }

    def _nonce(self, address: str, block: str | dict[str, str]) -> str:
        account = bytes.fromhex(address[2:])
        if block == "pending":
            return hex(self.mempool.next_nonce(account, self.tip))
        return hex(self._at(block).state.get(("nonce", account)))

    def _balance(self, address: str, block: str | dict[str, str]) -> str:
        return hex(self._at(block).state.get(("wei", bytes.fromhex(address[2:]))))

    def _code(self, address: str, block: str | dict[str, str]) -> str:
        at = self._at(block)
        has_code = at.state.get(("contract", bytes.fromhex(address[2:])), None) is not None
        return "0xfe" if has_code else "0x"

    def _call(self, message: dict[str, str], block: str | dict[str, str] = "latest") -> str:
        at = self._at(block)
        outcome = machine.call(
            at.state,
            sender=bytes.fromhex(message.get("from", "0x" + "00" * 20)[2:]),
            to=bytes.fromhex(message["to"][2:]),
            data=bytes.fromhex(message.get("data", "0x")[2:]),
            gas=min(int(message.get("gas", hex(CALL_GAS_MAX)), 16), CALL_GAS_MAX),
            timestamp=at.timestamp,
            gas_factor=1.0,
        )
        if outcome.error is None:
            return "0x" + outcome.data.hex()
        if outcome.error == "out of gas":
            raise Failed(SERVER_ERROR, outcome.error)
        raise Failed(REVERTED, outcome.error, "0x" + outcome.data.hex())

    def _fee_history(self, count: str, newest: str, percentiles: Sequence[float]) -> dict[str, Any]:
        last = self._number(newest)
        if last > self.tip.number:
            raise Failed(SERVER_ERROR, f"request beyond head block: {last}")
        blocks = self.tip.line[max(0, last - int(count, 16) + 1) : last + 1]
        fees = [hex(block.base_fee) for block in blocks]
        return {
            "oldestBlock": hex(blocks[0].number),
            "baseFeePerGas": [*fees, hex(next_base_fee(blocks[-1]))],
            "gasUsedRatio": [block.gas_used / block.gas_limit for block in blocks],
            "reward": [[hex(block.market_tip) for _ in percentiles] for block in blocks],
        }

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        first = self._number(query.get("fromBlock", "latest"))
        last = self._number(query.get("toBlock", "latest"))
        if last < first:
            raise Failed(SERVER_ERROR, "invalid block range params")
        given = query.get("address") or []
        addresses = set([given] if isinstance(given, str) else given)
        wanted = query.get("topics") or []
        return [
            log
            for block in self.tip.line[first : min(last, self.tip.number) + 1]
            if block.executed
            for log in block.logs()
            if (not addresses or log["address"] in addresses) and _matches(log["topics"], wanted)
        ]


def _matches(topics: Sequence[str], wanted: Sequence[Sequence[str] | None]) -> bool:
    """By position: any of a list, or anything for null."""
    if len(wanted) > len(topics):
        return False
    return all(
        not choices or topic in choices for topic, choices in zip(topics, wanted, strict=False)
    )
