"""Transactions, with all that was signed for them. Raw signed bytes never leave: whoever has them
can send them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from pydantic import Field

from settlement_node.chain.context import ChainContext
from settlement_node.domain.engine.finality import FinalityMode, confirmations_of
from settlement_node.domain.lifecycle import TransactionOutcome, TransactionStatus
from settlement_node.errors import NotFound
from settlement_node.reads.shapes import AddressOut, Answer, BaseUnitsOut, HashOut
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx, Store
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.store.telling.overview import transactions_by_id
from settlement_node.units import Hex32


class AttemptOut(Answer):
    """One signed set of bytes: the first, a replacement, or a cancelling no-op."""

    attempt_hash: HashOut
    ordinal: int = Field(description="1 is the first.", examples=[1])
    kind: AttemptKind
    max_fee_per_gas_wei: BaseUnitsOut
    max_priority_fee_per_gas_wei: BaseUnitsOut
    signed_at_utc: datetime
    last_sent_at_utc: datetime | None
    sends_count: int
    last_answer: str | None = Field(description="What the endpoints said last.")


class BlockOut(Answer):
    """The block a transaction was seen in, and how far it is from final."""

    block_number: int
    block_hash: HashOut
    confirmations_blocks: int | None = Field(
        description="Blocks on top of it; null before the node has seen a head."
    )
    confirmations_needed_blocks: int | None = Field(
        description="Blocks that make it final; null for a chain this process does not know."
    )
    finality_mode: FinalityMode | None = Field(
        description="In the modes safe and finalized the chain's own tag must pass it as well."
    )


class TransactionOut(Answer):
    """An intent with one nonce, and everything that was signed for it."""

    transaction_id: int
    chain_id: int
    signer_address: AddressOut
    nonce: int
    to_address: AddressOut
    status: TransactionStatus
    outcome: TransactionOutcome | None
    gas_limit: int
    mined_attempt_hash: HashOut | None
    block: BlockOut | None
    gas_used: int | None
    effective_gas_price_wei: BaseUnitsOut | None
    planned_at_utc: datetime
    first_sent_at_utc: datetime | None
    final_at_utc: datetime | None
    attempts: list[AttemptOut]


class TransactionDetailOut(TransactionOut):
    """A transaction with the settlement it carries."""

    settlement_id: int | None


def read_transaction(
    store: Store, chains: Mapping[int, ChainContext], attempt_hash: Hex32
) -> TransactionDetailOut:
    """The transaction one of whose attempts has this hash; raises NotFound."""
    with store.read() as tx:
        row = transactions.by_attempt_hash(tx, attempt_hash)
        if row is None:
            raise NotFound(f"no transaction of this node has the hash {attempt_hash}", field="hash")
        (told,) = tell_transactions(tx, chains, [row.transaction_id]).values()
        settlement = settlements.of_transaction(tx, row.transaction_id)
    number = None if settlement is None else settlement.settlement_id
    return TransactionDetailOut(**dict(told), settlement_id=number)


def tell_transactions(
    tx: ReadTx, chains: Mapping[int, ChainContext], transaction_ids: Collection[int]
) -> dict[int, TransactionOut]:
    """Transactions by id with their attempts, each beside the head its lane last saw."""
    rows = transactions_by_id(tx, list(transaction_ids))
    attempts = transactions.attempts_of(tx, list(rows))
    lanes = {lane_key(row.chain_id, row.signer_address) for row in rows.values()}
    heads = {lane: chain_book.latest_head(tx, lane) for lane in lanes}
    return {
        number: TransactionOut.of(
            row,
            block=_block(row, chains, heads[lane_key(row.chain_id, row.signer_address)]),
            attempts=attempts[number],
        )
        for number, row in rows.items()
    }


def _block(
    row: TransactionRow, chains: Mapping[int, ChainContext], head: tuple[int, Hex32] | None
) -> BlockOut | None:
    """None while it is not mined."""
    if row.block_number is None or row.block_hash is None:
        return None
    chain = chains.get(row.chain_id)
    return BlockOut(
        block_number=row.block_number,
        block_hash=row.block_hash,
        confirmations_blocks=(
            None if head is None else confirmations_of(row.block_number, head_number=head[0])
        ),
        confirmations_needed_blocks=None if chain is None else chain.finality.confirmations_blocks,
        finality_mode=None if chain is None else chain.finality.mode,
    )
