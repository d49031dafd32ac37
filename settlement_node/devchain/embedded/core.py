"""A chain inside this process: for demonstrations, development and fast tests.

It keeps what a real node keeps: a mempool with a client's rules, blocks that are mined when asked
for, receipts and logs. Nothing is mined by itself, and nothing depends on the clock, so a run can
be repeated exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from eth.abc import BlockHeaderAPI, SignedTransactionAPI
from eth_typing import Address as CanonicalAddress
from eth_utils.crypto import keccak

from settlement_node.chain.signers.local import KeySigner
from settlement_node.devchain.development_keys import development_keys
from settlement_node.devchain.embedded.evm import EmbeddedEvm, ExecutedBlock

CHAIN_ID = 31_338
"""One above the usual development id, so that the two are not taken for each other."""
BLOCK_GAS_LIMIT = 30_000_000
GENESIS_SECONDS = 1_750_000_000
MEMPOOL_MAX = 4_096
_COINS_WEI = 1_000_000 * 10**18
_REPLACEMENT_PERCENT = 10
"""geth's default price bump."""


class SendRefused(Exception):
    """The mempool does not take a transaction; the message is worded as geth words it."""


class EmbeddedCore:
    """One chain with funded development accounts. Blocks come from `mine` only."""

    def __init__(
        self, *, block_gas_limit: int = BLOCK_GAS_LIMIT, genesis_seconds: int = GENESIS_SECONDS
    ) -> None:
        """Only its first block is there."""
        self.funded_keys: tuple[bytes, ...] = development_keys()
        accounts = [KeySigner(key).address for key in self.funded_keys]
        self.evm = EmbeddedEvm(
            chain_id=CHAIN_ID,
            gas_limit=block_gas_limit,
            timestamp_seconds=genesis_seconds,
            balances_wei={bytes.fromhex(item[2:]): _COINS_WEI for item in accounts},
        )
        self.chain_id = CHAIN_ID
        self.turn = threading.RLock()
        """Taken for each block and each request: the API and the node may ask from two threads."""
        self._block_gas_limit = block_gas_limit
        self._salt = 0
        """Tells blocks apart that would otherwise be those that were taken back."""
        self._blocks: list[ExecutedBlock] = [self.evm.genesis]
        self._numbers_by_hash: dict[bytes, int] = {self.evm.genesis.header.hash: 0}
        self._places: dict[bytes, tuple[int, int]] = {}
        self._mempool: dict[bytes, SignedTransactionAPI] = {}
        """By hash, in order of arrival."""

    @property
    def head(self) -> ExecutedBlock:
        """The last block."""
        return self._blocks[-1]

    @property
    def head_number(self) -> int:
        """The last block's height."""
        return len(self._blocks) - 1

    def mine(self, blocks: int = 1) -> None:
        """Mine: the first block takes what it can of the mempool, the others what is then left."""
        with self.turn:
            for _ in range(blocks):
                parent = self.head.header
                block = self.evm.build_block(
                    parent,
                    self._candidates(),
                    timestamp_seconds=self._seconds_after(parent),
                    salt=self._salt,
                )
                self._append(block)

    def _seconds_after(self, parent: BlockHeaderAPI) -> int:
        """The time of the next block."""
        return parent.timestamp + 1

    def send(self, raw: bytes) -> bytes:
        """Take signed bytes into the mempool and return their hash, or raise SendRefused."""
        hash_bytes = keccak(raw)
        if hash_bytes in self._mempool:
            raise SendRefused("already known")
        try:
            transaction = self.evm.decode(raw)
        except ValueError as error:
            raise SendRefused(str(error)) from error
        self._check(transaction)
        for waiting in self._pending_of(transaction.sender):
            if waiting.nonce == transaction.nonce:
                self._check_replacement(waiting, transaction)
                del self._mempool[waiting.hash]
                break
        if len(self._mempool) >= MEMPOOL_MAX:
            raise SendRefused("txpool is full")
        self._mempool[transaction.hash] = transaction
        return hash_bytes

    def pending(self, hash_bytes: bytes) -> SignedTransactionAPI | None:
        """A transaction of the mempool."""
        return self._mempool.get(hash_bytes)

    def pending_nonce(self, address: CanonicalAddress) -> int:
        """The nonce after everything in the mempool that follows without a gap."""
        nonce = self.evm.state(self.head.header).get_nonce(address)
        waiting = {item.nonce for item in self._pending_of(address)}
        while nonce in waiting:
            nonce += 1
        return nonce

    def block(self, number: int) -> ExecutedBlock | None:
        """The block at a height, `None` above the head."""
        return self._blocks[number] if 0 <= number <= self.head_number else None

    def block_by_hash(self, block_hash: bytes) -> ExecutedBlock | None:
        """A block of the present chain; one that was taken back is `None`."""
        number = self._numbers_by_hash.get(block_hash)
        return None if number is None else self._blocks[number]

    def mined(self, hash_bytes: bytes) -> tuple[ExecutedBlock, int] | None:
        """The block a transaction is in, and its position there."""
        place = self._places.get(hash_bytes)
        return None if place is None else (self._blocks[place[0]], place[1])

    def blocks(self, first: int, last: int) -> Iterable[ExecutedBlock]:
        """The blocks from one height to another, inclusive, as far as there are any."""
        return self._blocks[max(0, first) : max(0, last + 1)]

    def next_base_fee(self) -> int:
        """The base fee the next block will have, in wei."""
        return self.evm.next_base_fee(self.head.header)

    def _append(self, block: ExecutedBlock) -> None:
        number = len(self._blocks)
        self._blocks.append(block)
        self._numbers_by_hash[block.header.hash] = number
        for position, transaction in enumerate(block.transactions):
            self._places[transaction.hash] = (number, position)
        used = {(item.sender, item.nonce) for item in block.transactions}
        self._mempool = {
            hash_bytes: item
            for hash_bytes, item in self._mempool.items()
            if (item.sender, item.nonce) not in used
        }

    def _pending_of(self, sender: CanonicalAddress) -> list[SignedTransactionAPI]:
        return [item for item in self._mempool.values() if item.sender == sender]

    def _candidates(self) -> list[SignedTransactionAPI]:
        """In order of arrival, but each sender's by nonce and without gaps."""
        waiting = list(self._mempool.values())
        state = self.evm.state(self.head.header)
        next_nonces: dict[CanonicalAddress, int] = {}
        ordered: list[SignedTransactionAPI] = []
        progress = True
        while progress:
            progress = False
            for item in list(waiting):
                if item.sender not in next_nonces:
                    next_nonces[item.sender] = state.get_nonce(item.sender)
                if item.nonce == next_nonces[item.sender]:
                    next_nonces[item.sender] += 1
                    ordered.append(item)
                    waiting.remove(item)
                    progress = True
        return ordered

    def _check(self, transaction: SignedTransactionAPI) -> None:
        """The rules of a client's mempool, in geth's order and words (core/txpool)."""
        if transaction.chain_id is not None and transaction.chain_id != self.chain_id:
            raise SendRefused("invalid chain id for signer")
        if transaction.gas > self._block_gas_limit:
            raise SendRefused("exceeds block gas limit")
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise SendRefused("max priority fee per gas higher than max fee per gas")
        if transaction.gas < transaction.intrinsic_gas:
            raise SendRefused("intrinsic gas too low")
        state = self.evm.state(self.head.header)
        nonce = state.get_nonce(transaction.sender)
        if transaction.nonce < nonce:
            raise SendRefused(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        balance = state.get_balance(transaction.sender)
        if balance < cost:
            raise SendRefused(
                f"insufficient funds for gas * price + value: balance {balance}, tx cost {cost}"
            )

    @staticmethod
    def _check_replacement(old: SignedTransactionAPI, new: SignedTransactionAPI) -> None:
        for before, after in (
            (old.max_fee_per_gas, new.max_fee_per_gas),
            (old.max_priority_fee_per_gas, new.max_priority_fee_per_gas),
        ):
            if after * 100 < before * (100 + _REPLACEMENT_PERCENT):
                raise SendRefused("replacement transaction underpriced")
