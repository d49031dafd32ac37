"""The simulated chain: a tree of blocks, of which one branch is canonical."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.chain.blocks import Block, block_hash_of
from tests.simulation.chain.machine import Executed, execute, fits
from tests.simulation.chain.state import State
from tests.simulation.chain.transactions import Transaction

BASE_FEE_MIN_WEI = 7
GENESIS_SECONDS = 1_800_000_000


@dataclass(frozen=True, slots=True)
class BlockWish:
    """What a block is to be like besides its transactions. `other_gas` is what strangers burn,
    which moves the base fee; `gas_factor` makes the settler dearer than previews said."""

    timestamp: int
    other_gas: int = 0
    market_tip: int = 10**9
    gas_factor: float = 1.0
    base_fee: int | None = None


class SimChain:
    """Blocks by hash, the canonical head, and where each transaction was ever mined."""

    def __init__(
        self,
        chain_id: int,
        state: State,
        *,
        gas_limit: int = 30_000_000,
        base_fee: int = 10**9,
        timestamp: int = GENESIS_SECONDS,
    ) -> None:
        self.chain_id = chain_id
        self.gas_limit = gas_limit
        genesis = Block(
            number=0,
            block_hash=block_hash_of("", timestamp=timestamp, salt=0, hashes=(), base_fee=base_fee),
            parent_hash="0x" + "00" * 32,
            timestamp=timestamp,
            base_fee=base_fee,
            gas_limit=gas_limit,
            gas_used=0,
            market_tip=10**9,
            executed=(),
            state=state,
        )
        genesis.line.append(genesis)
        self.head = genesis
        self.by_hash: dict[str, Block] = {genesis.block_hash: genesis}
        self.places: dict[str, list[tuple[Block, int]]] = {}
        self.highest_number = 0
        self._salt = 0

    def build(self, parent: Block, transactions: Sequence[Transaction], wish: BlockWish) -> Block:
        """A block on any parent; transactions that do not fit are passed over. The head stays."""
        state = parent.state.fork()
        base_fee = next_base_fee(parent) if wish.base_fee is None else wish.base_fee
        executed: list[Executed] = []
        gas_used = min(wish.other_gas, self.gas_limit)
        ours = 0
        for transaction in transactions:
            if ours + transaction.gas > self.gas_limit or not fits(
                state, transaction, base_fee=base_fee
            ):
                continue
            done = execute(
                state,
                transaction,
                base_fee=base_fee,
                timestamp=wish.timestamp,
                gas_factor=wish.gas_factor,
            )
            ours += done.gas_used
            executed.append(done)
        state.seal()
        self._salt += 1
        block = Block(
            number=parent.number + 1,
            block_hash=block_hash_of(
                parent.block_hash,
                timestamp=wish.timestamp,
                salt=self._salt,
                hashes=[item.transaction.hash_hex for item in executed],
                base_fee=base_fee,
            ),
            parent_hash=parent.block_hash,
            timestamp=wish.timestamp,
            base_fee=base_fee,
            gas_limit=self.gas_limit,
            gas_used=min(gas_used + ours, self.gas_limit),
            market_tip=wish.market_tip,
            executed=tuple(executed),
            state=state,
        )
        line = parent.line
        block.line = line if len(line) == block.number else line[: block.number]
        block.line.append(block)
        self.by_hash[block.block_hash] = block
        for position, item in enumerate(executed):
            self.places.setdefault(item.transaction.hash_hex, []).append((block, position))
        self.highest_number = max(self.highest_number, block.number)
        return block

    def extend(self, transactions: Sequence[Transaction], wish: BlockWish) -> Block:
        """Mine on the canonical head."""
        self.head = self.build(self.head, transactions, wish)
        return self.head

    def adopt(self, head: Block) -> list[Transaction]:
        """Make another branch canonical; returns the transactions only the old one had."""
        old, self.head = self.head, head
        kept = {item.transaction.hash_hex for b in head.line for item in b.executed}
        lost = []
        for number in range(old.number + 1):
            block = old.line[number]
            if head.has_ancestor(block):
                continue
            lost += [
                item.transaction for item in block.executed if item.transaction.hash_hex not in kept
            ]
        return lost

    def mined(self, hash_hex: str, tip: Block) -> tuple[Block, int] | None:
        """Where a transaction is mined on the line of a tip."""
        for block, position in self.places.get(hash_hex, ()):
            if tip.has_ancestor(block):
                return block, position
        return None


def next_base_fee(parent: Block) -> int:
    """EIP-1559 with an elasticity of two."""
    target = parent.gas_limit // 2
    change = parent.base_fee * abs(parent.gas_used - target) // target // 8
    if parent.gas_used > target:
        return parent.base_fee + max(change, 1)
    return max(parent.base_fee - change, BASE_FEE_MIN_WEI)
