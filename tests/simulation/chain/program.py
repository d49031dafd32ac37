"""The simulated chain behind the verbs of the embedded one, so that one suite drives both."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.transport import RpcRequest, RpcResult
from settlement_node.devchain.development_keys import development_keys
from settlement_node.errors import InvalidInput
from tests.simulation.chain.blocks import Block
from tests.simulation.chain.chain import BlockWish, SimChain
from tests.simulation.chain.mempool import Mempool
from tests.simulation.chain.rpc import EndpointView
from tests.simulation.chain.state import State
from tests.simulation.chain.transactions import Transaction

CHAIN_ID = 31_339
COINS_WEI = 1_000_000 * 10**18


class HonestTransport:
    """A connection on which nothing goes wrong."""

    def __init__(self, view: EndpointView, name: str) -> None:
        self._view = view
        self._name = name

    @property
    def name(self) -> str:
        """A name for people."""
        return self._name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        """Answer in the order asked."""
        return [self._view.answer(request) for request in requests]


class SimulatedChain:
    """One chain with funded development accounts and one mempool. Blocks come from `mine` only."""

    def __init__(self, *, block_gas_limit: int = 30_000_000, block_seconds: int = 1) -> None:
        self.chain_id = CHAIN_ID
        self.funded_keys: tuple[bytes, ...] = development_keys()
        state = State({})
        for key in self.funded_keys:
            state.put(("wei", bytes.fromhex(KeySigner(key).address[2:])), COINS_WEI)
        state.seal()
        self.chain = SimChain(CHAIN_ID, state, gas_limit=block_gas_limit)
        self._view = EndpointView(self.chain, Mempool(CHAIN_ID))
        self._block_seconds = block_seconds
        self._skipped_seconds = 0
        self.gas_factor = 1.0

    def transport(self, name: str = "simulated") -> HonestTransport:
        """A connection; several stand for several endpoints."""
        return HonestTransport(self._view, name)

    @property
    def head_number(self) -> int:
        """The last block's height."""
        return self.chain.head.number

    def mine(self, blocks: int = 1) -> None:
        """Mine: the first block takes what it can of the mempool."""
        for _ in range(blocks):
            seconds = self.chain.head.timestamp + self._block_seconds + self._skipped_seconds
            self._skipped_seconds = 0
            waiting = sorted(self._view.mempool.waiting.items())
            transactions = [transaction for _, transaction in waiting]
            wish = BlockWish(seconds, gas_factor=self.gas_factor)
            self._view.follow(self.chain.extend(transactions, wish))

    def skip_time(self, seconds: int) -> None:
        """Let the next block come that much later."""
        self._skipped_seconds += seconds

    def rollback(self, blocks: int, *, keep_transactions: bool = True) -> None:
        """Take back the last blocks; their transactions return to the mempool or are forgotten."""
        head = self.chain.head
        if not 1 <= blocks <= head.number:
            raise InvalidInput(f"cannot take back {blocks} of {head.number} blocks")
        removed = head.line[head.number - blocks + 1 : head.number + 1]
        self._adopt(head.line[head.number - blocks])
        if keep_transactions:
            self._return(removed)

    def reorganise(self, depth: int, *, keep_transactions: bool = True) -> None:
        """Replace the last blocks by as many others."""
        self.rollback(depth, keep_transactions=keep_transactions)
        self.mine(depth)

    def drop(self, transaction_hash: bytes | str) -> bool:
        """Forget a pending transaction; whether there was one."""
        wanted = (
            transaction_hash if isinstance(transaction_hash, str) else "0x" + transaction_hash.hex()
        )
        waiting = self._view.mempool.waiting
        found = [key for key, transaction in waiting.items() if transaction.hash_hex == wanted]
        for key in found:
            del waiting[key]
        return bool(found)

    def _adopt(self, head: Block) -> None:
        self.chain.adopt(head)
        self._view.tip = head

    def _return(self, removed: Sequence[Block]) -> None:
        gone: list[Transaction] = [item.transaction for block in removed for item in block.executed]
        for transaction in gone:
            self._view.mempool.waiting[transaction.sender, transaction.nonce] = transaction
