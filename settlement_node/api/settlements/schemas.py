"""Settlements and estimates as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from settlement_node.api.fields import (
    EXAMPLE_HASH,
    AddressOut,
    BaseUnitsOut,
    HashIn,
    HashOut,
    InputSchema,
    Schema,
    examples,
)
from settlement_node.api.pages import CursorOut
from settlement_node.api.transactions.schemas import TransactionOut
from settlement_node.domain.lifecycle import Leg, TransactionOutcome, TransactionStatus
from settlement_node.domain.observations import SkipReason
from settlement_node.reads.estimate import ITEMS_MAX, Estimate, EstimatedItem
from settlement_node.store.rows import ItemRow, SettlementRow, TransactionRow
from settlement_node.store.tables import ItemOutcome, SettlementStatus


class SettlementOut(Schema):
    """One batch. Its transaction's status and hash are given along."""

    settlement_id: int
    fund_id: str
    settler_address: AddressOut
    leg: Leg
    status: SettlementStatus
    items_count: int
    shares_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    previous_batch_hash: HashOut
    batch_hash: HashOut
    planned_at_utc: datetime
    ended_at_utc: datetime | None
    transaction_id: int
    transaction_status: TransactionStatus
    transaction_outcome: TransactionOutcome | None
    transaction_hash: HashOut | None = Field(description="Of the attempt that was mined.")

    @classmethod
    def of(cls, row: SettlementRow, transaction: TransactionRow) -> Self:
        """From its row and its transaction's."""
        return cls(**settlement_fields(row, transaction))


def settlement_fields(row: SettlementRow, transaction: TransactionRow) -> dict[str, Any]:
    """The fields of SettlementOut."""
    return {
        "settlement_id": row.settlement_id,
        "fund_id": row.fund_id,
        "settler_address": row.settler_address,
        "leg": row.leg,
        "status": row.status,
        "items_count": row.items_count,
        "shares_base_units": str(row.shares_base_units),
        "payout_base_units": str(row.payout_base_units),
        "previous_batch_hash": row.previous_batch_hash,
        "batch_hash": row.batch_hash,
        "planned_at_utc": row.planned_at_utc,
        "ended_at_utc": row.ended_at_utc,
        "transaction_id": row.transaction_id,
        "transaction_status": transaction.status,
        "transaction_outcome": transaction.outcome,
        "transaction_hash": transaction.mined_attempt_hash,
    }


class SettlementPage(Schema):
    """Newest first."""

    items: list[SettlementOut]
    next_cursor: CursorOut


class ItemOut(Schema):
    """One redemption in the batch."""

    item_position: int
    redemption_id: HashOut
    external_id: str
    shares_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    outcome: ItemOutcome
    skip_reason: str | None
    skip_detail: str | None

    @classmethod
    def of(cls, row: ItemRow, external_id: str) -> Self:
        """From its row."""
        return cls(
            item_position=row.item_position,
            redemption_id=row.redemption_id,
            external_id=external_id,
            shares_base_units=str(row.shares_base_units),
            payout_base_units=str(row.payout_base_units),
            outcome=row.outcome,
            skip_reason=row.skip_reason,
            skip_detail=row.skip_detail,
        )


class SettlementDetailOut(SettlementOut):
    """A batch with its items and its whole transaction."""

    items: list[ItemOut]
    transaction: TransactionOut


class EstimateIn(InputSchema):
    """Which redemptions, of one fund, to price as if they were one batch."""

    model_config = examples({"redemption_ids": [EXAMPLE_HASH]})

    redemption_ids: Annotated[list[HashIn], Field(min_length=1, max_length=ITEMS_MAX)]


class EstimatedItemOut(Schema):
    """What one redemption would pay, or why it would be skipped."""

    redemption_id: HashOut
    would_settle: bool
    skip_reason: SkipReason
    skip_detail: str
    gross_base_units: BaseUnitsOut
    fee_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    gas_used: int

    @classmethod
    def of(cls, item: EstimatedItem) -> Self:
        """From the estimate's item."""
        return cls(
            redemption_id=item.redemption_id_hex,
            would_settle=item.skip_reason is SkipReason.NONE,
            skip_reason=item.skip_reason,
            skip_detail=item.skip_detail,
            gross_base_units=str(item.gross_base_units),
            fee_base_units=str(item.fee_base_units),
            payout_base_units=str(item.payout_base_units),
            gas_used=item.gas_used,
        )


class EstimateOut(Schema):
    """What the batch would pay and cost at today's fees."""

    fund_id: str
    payout_base_units: BaseUnitsOut = Field(description="Of the items that would settle.")
    gas: int = Field(description="Gas the batch would use.")
    gas_limit: int = Field(description="Gas the batch would ask for.")
    max_fee_per_gas_wei: BaseUnitsOut
    max_priority_fee_per_gas_wei: BaseUnitsOut
    cost_wei: BaseUnitsOut = Field(description="gas × max_fee_per_gas_wei.")
    cost_max_wei: BaseUnitsOut = Field(description="gas_limit × max_fee_per_gas_wei.")
    items: list[EstimatedItemOut]

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        """From the node's estimate."""
        return cls(
            fund_id=estimate.fund_id,
            payout_base_units=str(estimate.payout_base_units),
            gas=estimate.gas,
            gas_limit=estimate.gas_limit,
            max_fee_per_gas_wei=str(estimate.max_fee_per_gas_wei),
            max_priority_fee_per_gas_wei=str(estimate.max_priority_fee_per_gas_wei),
            cost_wei=str(estimate.cost_wei),
            cost_max_wei=str(estimate.cost_max_wei),
            items=[EstimatedItemOut.of(item) for item in estimate.items],
        )
