"""Executing transactions and calls with py-evm, without its idea of which chain is canonical.

State is kept by its root, so a block can be built on any earlier block; which blocks make up the
chain is decided by `EmbeddedChain`. Everything is deterministic: no clock and no randomness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eth.abc import (
    BlockHeaderAPI,
    ReceiptAPI,
    SignedTransactionAPI,
    StateAPI,
    VirtualMachineAPI,
)
from eth.chains.base import MiningChain
from eth.consensus.applier import ConsensusApplier
from eth.consensus.noproof import NoProofConsensus
from eth.constants import BLANK_ROOT_HASH, POST_MERGE_DIFFICULTY, POST_MERGE_MIX_HASH
from eth.constants import POST_MERGE_NONCE as POST_MERGE_BLOCK_NONCE
from eth.db.atomic import AtomicDB
from eth.exceptions import OutOfGas, Revert, UnrecognizedTransactionType
from eth.vm.forks.prague import PragueVM
from eth.vm.message import Message
from eth_typing import Address as CanonicalAddress
from eth_typing import BlockNumber
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]  # ships no types


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block with its transactions and their receipts, as py-evm has them, in order."""

    header: BlockHeaderAPI
    transactions: tuple[SignedTransactionAPI, ...]
    receipts: tuple[ReceiptAPI, ...]

    @property
    def base_fee_wei(self) -> int:
        """Its base fee; every block of this chain is past London."""
        assert self.header.base_fee_per_gas is not None
        return self.header.base_fee_per_gas

    def gas_used(self, position: int) -> int:
        """The gas of one transaction alone; a receipt has the sum up to it."""
        before = self.receipts[position - 1].gas_used if position else 0
        return self.receipts[position].gas_used - before

    def tip_wei(self, position: int) -> int:
        """What one transaction paid above the base fee for a unit of gas."""
        transaction = self.transactions[position]
        room = transaction.max_fee_per_gas - self.base_fee_wei
        return min(transaction.max_priority_fee_per_gas, room)


@dataclass(frozen=True, slots=True)
class ExecutedCall:
    """An `eth_call`'s end. `error` is `None` for a normal return."""

    output: bytes
    error: str | None
    reverted: bool


class EmbeddedEvm:
    """One py-evm chain as an executor: genesis, blocks on a given parent, calls on a state."""

    def __init__(
        self,
        *,
        chain_id: int,
        gas_limit: int,
        timestamp_seconds: int,
        balances_wei: Mapping[bytes, int],
    ) -> None:
        """The genesis block gives the accounts their balances and every block its gas limit."""
        configuration = ConsensusApplier(NoProofConsensus).amend_vm_configuration(((0, PragueVM),))
        chain_class = MiningChain.configure(
            "EmbeddedMiningChain", vm_configuration=configuration, chain_id=chain_id
        )
        self.chain_id = chain_id
        self._gas_limit = gas_limit
        self._chain = chain_class.from_genesis(
            AtomicDB(),
            {
                "coinbase": bytes(20),
                "difficulty": POST_MERGE_DIFFICULTY,
                "extra_data": b"",
                "gas_limit": gas_limit,
                "mix_hash": POST_MERGE_MIX_HASH,
                "nonce": POST_MERGE_BLOCK_NONCE,
                "receipt_root": BLANK_ROOT_HASH,
                "timestamp": timestamp_seconds,
                "transaction_root": BLANK_ROOT_HASH,
            },
            {
                CanonicalAddress(address): {
                    "balance": balance,
                    "nonce": 0,
                    "code": b"",
                    "storage": {},
                }
                for address, balance in balances_wei.items()
            },
        )
        self.genesis = ExecutedBlock(
            self._chain.get_canonical_block_by_number(BlockNumber(0)).header, (), ()
        )

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """Read a signed transaction; ValueError when it is not one or its signature is wrong."""
        builder = self._vm(self.genesis.header).get_transaction_builder()
        try:
            transaction = builder.decode(raw)
            transaction.validate()
            signed = transaction.is_signature_valid
        except (RLPException, ValidationError, UnrecognizedTransactionType, TypeError) as error:
            raise ValueError(f"rlp: {type(error).__name__}") from error
        if not signed:
            raise ValueError("invalid signature")
        return transaction

    def next_base_fee(self, parent: BlockHeaderAPI) -> int:
        """The base fee of a block on top of `parent`, in wei."""
        header = self._child_header(parent, timestamp_seconds=parent.timestamp + 1, salt=0)
        assert header.base_fee_per_gas is not None  # every block of this chain is past London
        return header.base_fee_per_gas

    def build_block(
        self,
        parent: BlockHeaderAPI,
        candidates: Iterable[SignedTransactionAPI],
        *,
        timestamp_seconds: int,
        salt: int,
    ) -> ExecutedBlock:
        """Build a block from the candidates that can go into it, in their order.

        A candidate that does not fit, does not pay the base fee or has the wrong nonce is passed
        over. `salt` tells apart blocks that would otherwise be identical, as after a rollback.
        """
        header = self._child_header(parent, timestamp_seconds=timestamp_seconds, salt=salt)
        vm = self._vm(header)
        executed: list[SignedTransactionAPI] = []
        receipts: list[ReceiptAPI] = []
        for transaction in candidates:
            if header.gas_used + transaction.gas > header.gas_limit:
                continue
            try:
                receipt, _ = vm.apply_transaction(header, transaction)
            except ValidationError:
                continue
            header = vm.add_receipt_to_header(header, receipt)
            receipts.append(receipt)
            executed.append(transaction)
        filled = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), header, executed, receipts
        )
        block = vm.mine_block(filled).block
        # Kept for the BLOCKHASH of later blocks; py-evm's own choice of head is not looked at.
        self._chain.chaindb.persist_block(block)
        return ExecutedBlock(block.header, tuple(executed), tuple(receipts))

    def call(
        self,
        header: BlockHeaderAPI,
        *,
        sender: CanonicalAddress,
        to: CanonicalAddress,
        data: bytes,
        gas: int,
        value: int = 0,
    ) -> ExecutedCall:
        """Run a message on the state after `header`, without fees, and forget what it changed."""
        state = self.state(header)
        state.mark_address_warm(sender)
        state.mark_address_warm(to)
        message = Message(
            gas=gas, to=to, sender=sender, value=value, data=data, code=state.get_code(to)
        )
        context = state.get_transaction_context_class()(gas_price=0, origin=sender)
        computation = state.computation_class.apply_message(state, message, context)
        if not computation.is_error:
            return ExecutedCall(computation.output, None, reverted=False)
        error = computation.error
        if isinstance(error, Revert):
            return ExecutedCall(computation.output, "execution reverted", reverted=True)
        wording = "out of gas" if isinstance(error, OutOfGas) else f"{type(error).__name__}"
        return ExecutedCall(b"", wording, reverted=False)

    def state(self, header: BlockHeaderAPI) -> StateAPI:
        """Accounts and contracts after `header`."""
        return self._vm(header).state

    def _vm(self, header: BlockHeaderAPI) -> VirtualMachineAPI:
        return self._chain.get_vm(header)

    def _child_header(
        self, parent: BlockHeaderAPI, *, timestamp_seconds: int, salt: int
    ) -> BlockHeaderAPI:
        return self._chain.create_header_from_parent(
            parent,
            timestamp=timestamp_seconds,
            gas_limit=self._gas_limit,
            coinbase=bytes(20),
            extra_data=salt.to_bytes(4, "big") if salt else b"",
        )
