"""One endpoint's mempool, with a client's rules and words (geth's, unless set otherwise)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.chain.blocks import Block
from tests.simulation.chain.transactions import Transaction


class SendRefused(Exception):
    """The mempool does not take a transaction; the message is worded as clients word it."""


@dataclass(frozen=True, slots=True)
class MempoolRules:
    """Where clients differ. `bump_per_mille` is what a replacement must add to tip and cap."""

    bump_per_mille: int = 100
    account_max: int = 64
    takes_gaps: bool = True
    takes_below_base_fee: bool = True


@dataclass(slots=True)
class Mempool:
    """What one endpoint holds back, by sender and nonce."""

    chain_id: int
    rules: MempoolRules = field(default_factory=MempoolRules)
    waiting: dict[tuple[bytes, int], Transaction] = field(default_factory=dict)
    gas_max: int | None = None

    def send(self, transaction: Transaction, head: Block) -> None:
        """Take a transaction, or raise SendRefused."""
        key = (transaction.sender, transaction.nonce)
        held = self.waiting.get(key)
        if held is not None and held.hash_hex == transaction.hash_hex:
            raise SendRefused("already known")
        self._check(transaction, head)
        if held is not None:
            self._check_replacement(held, transaction)
        elif transaction.nonce > head.state.get(("nonce", transaction.sender)) and (
            sum(sender == transaction.sender for sender, _ in self.waiting)
            >= self.rules.account_max
        ):
            # As reth does: the nonce that can be mined next is always let in.
            raise SendRefused("account limit exceeded")
        self.waiting[key] = transaction

    def find(self, hash_hex: str) -> Transaction | None:
        """A waiting transaction."""
        for transaction in self.waiting.values():
            if transaction.hash_hex == hash_hex:
                return transaction
        return None

    def next_nonce(self, sender: bytes, head: Block) -> int:
        """The nonce after everything that follows without a gap."""
        nonce: int = head.state.get(("nonce", sender))
        while (sender, nonce) in self.waiting:
            nonce += 1
        return nonce

    def forget_used(self, head: Block) -> None:
        """Drop what a new head has made impossible."""
        for sender, nonce in list(self.waiting):
            if nonce < head.state.get(("nonce", sender)):
                del self.waiting[sender, nonce]

    def _check(self, transaction: Transaction, head: Block) -> None:
        """In geth's order (core/txpool/validation.go)."""
        if transaction.chain_id != self.chain_id:
            raise SendRefused("invalid chain id for signer")
        if transaction.gas > (self.gas_max or head.gas_limit):
            raise SendRefused("exceeds block gas limit")
        if transaction.tip > transaction.cap:
            raise SendRefused("max priority fee per gas higher than max fee per gas")
        if transaction.gas < transaction.intrinsic_gas:
            raise SendRefused("intrinsic gas too low")
        next_nonce = head.state.get(("nonce", transaction.sender))
        if transaction.nonce < next_nonce:
            raise SendRefused(
                f"nonce too low: next nonce {next_nonce}, tx nonce {transaction.nonce}"
            )
        balance = head.state.get(("wei", transaction.sender))
        cost = transaction.gas * transaction.cap + transaction.value
        if balance < cost:
            raise SendRefused(
                f"insufficient funds for gas * price + value: balance {balance}, tx cost {cost}"
            )
        if not self.rules.takes_below_base_fee and transaction.cap < head.base_fee:
            raise SendRefused("max fee per gas less than block base fee")
        if not self.rules.takes_gaps and transaction.nonce > self.next_nonce(
            transaction.sender, head
        ):
            raise SendRefused("nonce gap: transaction is queued nowhere here")

    def _check_replacement(self, old: Transaction, new: Transaction) -> None:
        for before, after in ((old.cap, new.cap), (old.tip, new.tip)):
            if after * 1000 < before * (1000 + self.rules.bump_per_mille) or after <= before:
                raise SendRefused("replacement transaction underpriced")
