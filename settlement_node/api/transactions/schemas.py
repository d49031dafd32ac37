"""Transactions as JSON. Raw signed bytes never leave: whoever has them can send them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from settlement_node.api.fields import AddressOut, BaseUnitsOut, HashOut, Schema, units_out
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy, confirmations_of
from settlement_node.domain.lifecycle import TransactionOutcome, TransactionStatus
from settlement_node.store.rows import AttemptRow, TransactionRow
from settlement_node.store.tables import AttemptKind


class AttemptOut(Schema):
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

    @classmethod
    def of(cls, row: AttemptRow) -> Self:
        """From its row."""
        return cls(
            attempt_hash=row.attempt_hash,
            ordinal=row.ordinal,
            kind=row.kind,
            max_fee_per_gas_wei=str(row.max_fee_per_gas_wei),
            max_priority_fee_per_gas_wei=str(row.max_priority_fee_per_gas_wei),
            signed_at_utc=row.signed_at_utc,
            last_sent_at_utc=row.last_sent_at_utc,
            sends_count=row.sends_count,
            last_answer=row.last_answer,
        )


class BlockOut(Schema):
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


class TransactionOut(Schema):
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

    @classmethod
    def of(
        cls,
        row: TransactionRow,
        attempts: Sequence[AttemptRow],
        *,
        head_number: int | None,
        finality: FinalityPolicy | None,
    ) -> Self:
        """From its rows and the head the lane last saw."""
        return cls(
            transaction_id=row.transaction_id,
            chain_id=row.chain_id,
            signer_address=row.signer_address,
            nonce=row.nonce,
            to_address=row.to_address,
            status=row.status,
            outcome=row.outcome,
            gas_limit=row.gas_limit,
            mined_attempt_hash=row.mined_attempt_hash,
            block=block_out(row, head_number=head_number, finality=finality),
            gas_used=row.gas_used,
            effective_gas_price_wei=units_out(row.effective_gas_price_wei),
            planned_at_utc=row.planned_at_utc,
            first_sent_at_utc=row.first_sent_at_utc,
            final_at_utc=row.final_at_utc,
            attempts=[AttemptOut.of(attempt) for attempt in attempts],
        )


class TransactionDetailOut(TransactionOut):
    """A transaction with the settlement it carries."""

    settlement_id: int | None


def block_out(
    row: TransactionRow, *, head_number: int | None, finality: FinalityPolicy | None
) -> BlockOut | None:
    """The block part of a transaction; None while it is not mined."""
    if row.block_number is None or row.block_hash is None:
        return None
    return BlockOut(
        block_number=row.block_number,
        block_hash=row.block_hash,
        confirmations_blocks=(
            None
            if head_number is None
            else confirmations_of(row.block_number, head_number=head_number)
        ),
        confirmations_needed_blocks=None if finality is None else finality.confirmations_blocks,
        finality_mode=None if finality is None else finality.mode,
    )
