"""A chain inside the process to which tests do what happens to chains."""

from __future__ import annotations

from typing import Any

from eth.abc import BlockHeaderAPI

from settlement_node.devchain.embedded import chain
from settlement_node.errors import InvalidInput
from settlement_node.units import Hex32


class EmbeddedChain(chain.EmbeddedChain):
    """With control over its blocks, its time and its mempool."""

    def __init__(self, **options: Any) -> None:
        """As the chain it extends."""
        super().__init__(**options)
        self._skipped_seconds = 0

    def skip_time(self, seconds: int) -> None:
        """Let the next block come that much later."""
        self._skipped_seconds += seconds

    def _seconds_after(self, parent: BlockHeaderAPI) -> int:
        skipped, self._skipped_seconds = self._skipped_seconds, 0
        return super()._seconds_after(parent) + skipped

    def rollback(self, blocks: int, *, keep_transactions: bool = True) -> None:
        """Take back the last blocks, as a reorganisation does before its own blocks come.

        Their transactions return to the mempool, or are forgotten. What is mined next has other
        hashes than what was taken back, even with the same content.
        """
        if not 1 <= blocks <= self.head_number:
            raise InvalidInput(f"cannot take back {blocks} of {self.head_number} blocks")
        removed = self._blocks[-blocks:]
        del self._blocks[-blocks:]
        self._salt += 1
        for block in removed:
            del self._numbers_by_hash[block.header.hash]
            for transaction in block.transactions:
                del self._places[transaction.hash]
                if keep_transactions:
                    self._mempool[transaction.hash] = transaction

    def reorganise(self, depth: int, *, keep_transactions: bool = True) -> None:
        """Replace the last `depth` blocks by as many others; the height stays the same."""
        self.rollback(depth, keep_transactions=keep_transactions)
        self.mine(depth)

    def drop(self, transaction_hash: Hex32) -> None:
        """Forget a pending transaction, as a full mempool does."""
        self._mempool.pop(bytes.fromhex(transaction_hash[2:]), None)
