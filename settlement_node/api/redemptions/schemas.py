"""Redemptions as JSON: what comes in, one in a list, one with its whole story."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from settlement_node.api.fields import (
    EXAMPLE_ADDRESS,
    AddressIn,
    AddressOut,
    BaseUnitsIn,
    BaseUnitsOut,
    ExternalIdIn,
    FundIdIn,
    HashOut,
    InputSchema,
    ReasonIn,
    Schema,
    TimeIn,
    examples,
    units_out,
)
from settlement_node.api.pages import CursorOut
from settlement_node.api.transactions.schemas import TransactionOut
from settlement_node.desk.intake import ORDERS_MAX
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.postings import Account
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.domain.waiting import WaitingFor
from settlement_node.store.rows import RedemptionRow
from settlement_node.store.tables import ItemOutcome, SettlementStatus
from settlement_node.units import Shares

_EXAMPLE_ORDER = {
    "external_id": "ORDER-2026-000017",
    "investor_address": EXAMPLE_ADDRESS,
    "payee_address": EXAMPLE_ADDRESS,
    "shares_base_units": "2500000000000000000",
}


class RedemptionIn(InputSchema):
    """One approved order."""

    external_id: ExternalIdIn
    investor_address: AddressIn
    payee_address: AddressIn
    shares_base_units: BaseUnitsIn
    settle_after_utc: TimeIn | None = None

    def order(self) -> RedemptionOrder:
        """As the node takes it."""
        return RedemptionOrder(
            external_id=self.external_id,
            investor_address=self.investor_address,
            payee_address=self.payee_address,
            shares_base_units=Shares(self.shares_base_units),
            settle_after_utc=self.settle_after_utc,
        )


class RedemptionsIn(InputSchema):
    """Approved orders of one fund; a single order is a list of one. All are taken or none."""

    model_config = examples(
        {"fund_id": "growth-fund", "redemptions": [_EXAMPLE_ORDER]},
        {
            "fund_id": "growth-fund",
            "redemptions": [
                _EXAMPLE_ORDER | {"settle_after_utc": "2026-01-31T12:00:00Z"},
                _EXAMPLE_ORDER | {"external_id": "ORDER-2026-000018"},
            ],
        },
    )

    fund_id: FundIdIn
    redemptions: Annotated[list[RedemptionIn], Field(min_length=1, max_length=ORDERS_MAX)]


class CancelIn(InputSchema):
    """Why."""

    model_config = examples({"reason": "withdrawn by the investor"})

    reason: ReasonIn


class RedemptionOut(Schema):
    """A redemption as it stands. The payout figures are there once it is priced."""

    redemption_id: HashOut
    fund_id: str
    external_id: str
    redemption_index: int = Field(description="Its bit in the settler, for ever.")
    status: RedemptionStatus
    investor_address: AddressOut
    payee_address: AddressOut
    shares_base_units: BaseUnitsOut
    gross_base_units: BaseUnitsOut | None
    fee_base_units: BaseUnitsOut | None
    payout_base_units: BaseUnitsOut | None
    nav_per_share: BaseUnitsOut | None
    hold_reason: str | None
    hold_detail: str | None
    settle_after_utc: datetime | None
    requested_at_utc: datetime
    approved_at_utc: datetime | None
    broadcast_at_utc: datetime | None
    settled_at_utc: datetime | None
    updated_at_utc: datetime

    @classmethod
    def of(cls, row: RedemptionRow) -> Self:
        """From its row."""
        return cls(**redemption_fields(row))


def redemption_fields(row: RedemptionRow) -> dict[str, Any]:
    """The fields of RedemptionOut."""
    return {
        "redemption_id": row.redemption_id,
        "fund_id": row.fund_id,
        "external_id": row.external_id,
        "redemption_index": row.redemption_index,
        "status": row.status,
        "investor_address": row.investor_address,
        "payee_address": row.payee_address,
        "shares_base_units": str(row.shares_base_units),
        "gross_base_units": units_out(row.gross_base_units),
        "fee_base_units": units_out(row.fee_base_units),
        "payout_base_units": units_out(row.payout_base_units),
        "nav_per_share": units_out(row.nav_per_share),
        "hold_reason": row.hold_reason,
        "hold_detail": row.hold_detail,
        "settle_after_utc": row.settle_after_utc,
        "requested_at_utc": row.requested_at_utc,
        "approved_at_utc": row.approved_at_utc,
        "broadcast_at_utc": row.broadcast_at_utc,
        "settled_at_utc": row.settled_at_utc,
        "updated_at_utc": row.updated_at_utc,
    }


class TakenIn(Schema):
    """Every order of the request, in its order: `approved`, or `settled` when the chain already
    shows its id as paid."""

    fund_id: str
    redemptions: list[RedemptionOut]


class RedemptionPage(Schema):
    """Newest first."""

    items: list[RedemptionOut]
    next_cursor: CursorOut


class WaitingOut(Schema):
    """One thing an unfinished redemption waits for."""

    waiting_for: WaitingFor
    confirmations_blocks: int | None = Field(description="For confirmations: how many there are,")
    confirmations_needed_blocks: int | None = Field(description="of how many.")
    detail: str | None


class FactOut(Schema):
    """Something that happened to it, and who recorded it."""

    at_utc: datetime
    fact: str = Field(examples=["settlement_planned"])
    actor: str = Field(examples=["api:treasury"])
    detail: dict[str, Any]


class ParticipationOut(Schema):
    """A settlement it was in, with what came of it there."""

    settlement_id: int
    settlement_status: SettlementStatus
    item_position: int
    outcome: ItemOutcome
    skip_reason: str | None
    skip_detail: str | None
    payout_base_units: BaseUnitsOut
    batch_hash: HashOut
    transaction: TransactionOut


class PaymentOut(Schema):
    """A payment that a settler's event shows, beside what should have been paid: by the batch that
    made it, or, where no settlement of this book did, by the fund's terms of its time. What a
    whole share was paid with is rounded down, fee taken off."""

    transaction_hash: HashOut
    settler_address: AddressOut
    block_number: int
    is_found: bool = Field(description="No settlement of this book made it.")
    shares_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    expected_payout_base_units: BaseUnitsOut | None
    payout_per_share_base_units: BaseUnitsOut | None
    expected_payout_per_share_base_units: BaseUnitsOut | None
    difference: str | None = Field(description="What is wrong with it, in words.")


class PostingOut(Schema):
    """One movement in the double-entry ledger."""

    journal: str
    asset_address: AddressOut
    debit_account: Account
    credit_account: Account
    units_base_units: BaseUnitsOut
    posted_at_utc: datetime


class RedemptionDetailOut(RedemptionOut):
    """A redemption with its whole story, oldest first."""

    waiting_for: list[WaitingOut]
    facts: list[FactOut]
    settlements: list[ParticipationOut]
    payments: list[PaymentOut]
    ledger: list[PostingOut]
