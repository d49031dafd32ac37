"""An anvil process to which tests do what happens to chains."""

from __future__ import annotations

from settlement_node.chain.wire.transport import quantity
from settlement_node.devchain import anvil
from settlement_node.errors import Refused
from settlement_node.units import Address, Hex32


class AnvilProcess(anvil.AnvilProcess):
    """With control over its blocks, its accounts and its mempool."""

    def reorganise(self, depth: int) -> None:
        """Replace the last `depth` blocks by empty ones at the same heights; their transactions
        are gone, from the chain and from the mempool."""
        self.rpc("anvil_reorg", depth, [])

    def rollback(self, depth: int) -> None:
        """Take back the last `depth` blocks."""
        self.rpc("anvil_rollback", depth)

    def drop(self, transaction_hash: Hex32) -> None:
        """Forget a pending transaction."""
        self.rpc("anvil_dropTransaction", transaction_hash)

    def set_balance(self, address: Address, balance_wei: int) -> None:
        """Give an account exactly this much."""
        self.rpc("anvil_setBalance", address, quantity(balance_wei))

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Give an account this nonce."""
        self.rpc("anvil_setNonce", address, quantity(nonce))

    def set_next_base_fee(self, base_fee_wei: int) -> None:
        """The next block's base fee."""
        self.rpc("anvil_setNextBlockBaseFeePerGas", quantity(base_fee_wei))

    def set_interval(self, block_seconds: int) -> None:
        """Mine every so many seconds from now on; 0 stops it."""
        self.rpc("anvil_setIntervalMining", block_seconds)

    def set_automine(self, *, enabled: bool) -> None:
        """Whether every transaction is mined at once in its own block."""
        self.rpc("evm_setAutomine", enabled)

    def skip_time(self, seconds: int) -> None:
        """Let the next block come that much later."""
        self.rpc("evm_increaseTime", quantity(seconds))

    def snapshot(self) -> str:
        """Remember the state of the chain, to be given to `revert`."""
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Return to a snapshot, which is used up."""
        if self.rpc("evm_revert", snapshot) is not True:
            raise Refused(f"anvil has no snapshot {snapshot}")
