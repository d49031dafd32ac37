"""Rows as frozen values. Field names are column names; units and shapes are in `tables`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any, Self

from sqlalchemy.engine import RowMapping

from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.lifecycle import (
    Leg,
    RedemptionStatus,
    Standing,
    TransactionOutcome,
    TransactionStatus,
)
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.planning import Order
from settlement_node.domain.redemption import PriceTerms
from settlement_node.domain.token_checks import NO_CHECKS, FundChecks, read_checks
from settlement_node.store.tables import AttemptKind, ItemOutcome, SettlementStatus
from settlement_node.units import Address, Hex32, Payout, Shares, Wei

_WORDS: dict[tuple[str, str], Any] = {
    ("RedemptionRow", "status"): RedemptionStatus,
    ("RedemptionRow", "back_to"): RedemptionStatus,
    ("TransactionRow", "status"): TransactionStatus,
    ("TransactionRow", "outcome"): TransactionOutcome,
    ("SettlementRow", "status"): SettlementStatus,
    ("ItemRow", "outcome"): ItemOutcome,
    ("AttemptRow", "kind"): AttemptKind,
    ("FundRow", "burn_style"): BurnStyle,
    ("FundRow", "checks"): read_checks,
    ("FundRow", "error_signatures"): tuple,
}


@dataclass(frozen=True, slots=True)
class _Row:
    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """Build from a result row that has at least this value's columns."""
        columns_of, words = _columns(cls)  # type: ignore[arg-type]
        values = list(columns_of(row))
        for place, word in words:
            if values[place] is not None:
                values[place] = word(values[place])
        return cls(*values)


@cache
def _columns(of: type[_Row]) -> tuple[Callable[[RowMapping], tuple[Any, ...]], list[Any]]:
    """What takes the columns out of a row in their order, and the places of those that are words,
    with what reads them."""
    names = [column.name for column in dataclasses.fields(of)]
    words = [(place, _WORDS.get((of.__name__, name))) for place, name in enumerate(names)]
    return itemgetter(*names), [(place, word) for place, word in words if word is not None]


@dataclass(frozen=True, slots=True)
class FundRow(_Row):
    """A fund with its tokens, settler and lane."""

    fund_id: str
    name: str
    chain_id: int
    share_token_address: Address
    share_decimals: int
    payout_token_address: Address
    payout_decimals: int
    settler_address: Address
    treasury_address: Address
    lane_address: Address
    burn_style: BurnStyle
    fee_bps: int
    nav_per_share: int | None
    nav_decimals: int
    nav_at_utc: datetime | None
    next_redemption_index: int
    paused: bool
    pause_reason: str | None
    created_at_utc: datetime
    checks: FundChecks = NO_CHECKS
    error_signatures: tuple[str, ...] = ()
    share_supply_base_units: Shares | None = None
    daily_limit_base_units: Payout | None = None

    @property
    def capacity(self) -> FundCapacity | None:
        """What the chain last showed; None before it was asked."""
        if self.share_supply_base_units is None or self.daily_limit_base_units is None:
            return None
        return FundCapacity(self.share_supply_base_units, self.daily_limit_base_units)

    def terms(self) -> PriceTerms | None:
        """The price terms, or None while the fund has no NAV."""
        if self.nav_per_share is None:
            return None
        return PriceTerms(
            nav_per_share=self.nav_per_share,
            nav_decimals=self.nav_decimals,
            share_decimals=self.share_decimals,
            payout_decimals=self.payout_decimals,
            fee_bps=self.fee_bps,
        )


@dataclass(frozen=True, slots=True)
class RedemptionRow(_Row):
    """A redemption as it stands."""

    redemption_id: Hex32
    fund_id: str
    external_id: str
    redemption_index: int
    investor_id: int
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    gross_base_units: Payout | None
    fee_base_units: Payout | None
    payout_base_units: Payout | None
    nav_per_share: int | None
    status: RedemptionStatus
    back_to: RedemptionStatus | None
    version: int
    hold_reason: str | None
    hold_detail: str | None
    waiting_on: str | None
    reverted_batch_size: int | None
    settle_after_utc: datetime | None
    requested_at_utc: datetime
    approved_at_utc: datetime | None
    broadcast_at_utc: datetime | None
    settled_at_utc: datetime | None
    found_block_number: int | None
    updated_at_utc: datetime

    @property
    def standing(self) -> Standing:
        """Where it stands, as the life cycle's table has it."""
        return Standing(self.status, self.back_to)

    def order(self) -> Order:
        """What planning goes by."""
        return Order(
            redemption_id_hex=self.redemption_id,
            redemption_index=self.redemption_index,
            investor_address=self.investor_address,
            payee_address=self.payee_address,
            shares_base_units=self.shares_base_units,
            reverted_batch_size=self.reverted_batch_size,
        )


@dataclass(frozen=True, slots=True)
class LaneRow(_Row):
    """A lane's state in the book."""

    chain_id: int
    signer_address: Address
    next_nonce: int | None
    highest_head_number: int | None
    restored_from_nonce: int | None
    restored_below_nonce: int | None
    paused: bool
    pause_reason: str | None
    updated_at_utc: datetime

    def was_restored_over(self, nonce: int) -> bool:
        """Whether the book was restored from before this nonce was used."""
        first, below = self.restored_from_nonce, self.restored_below_nonce
        return first is not None and below is not None and first <= nonce < below


@dataclass(frozen=True, slots=True)
class TransactionRow(_Row):
    """A transaction: one intent, one nonce."""

    transaction_id: int
    chain_id: int
    signer_address: Address
    nonce: int
    to_address: Address
    data: bytes
    gas_limit: int
    status: TransactionStatus
    outcome: TransactionOutcome | None
    cancel_requested: bool
    speed_up_requested: bool
    displacement_accepted: bool
    refused_words: str | None
    deadline_block: int | None
    mined_attempt_hash: Hex32 | None
    block_number: int | None
    block_hash: Hex32 | None
    evm_succeeded: bool | None
    gas_used: int | None
    effective_gas_price_wei: Wei | None
    planned_at_utc: datetime
    first_sent_at_utc: datetime | None
    final_at_utc: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptRow(_Row):
    """One signed set of bytes of a transaction."""

    attempt_hash: Hex32
    transaction_id: int
    ordinal: int
    kind: AttemptKind
    raw: bytes
    max_fee_per_gas_wei: Wei
    max_priority_fee_per_gas_wei: Wei
    signed_at_utc: datetime
    signed_at_block: int
    last_sent_at_utc: datetime | None
    last_sent_block: int | None
    sends_count: int
    last_answer: str | None


@dataclass(frozen=True, slots=True)
class SettlementRow(_Row):
    """One batch."""

    settlement_id: int
    fund_id: str
    settler_address: Address
    leg: Leg
    transaction_id: int
    previous_batch_hash: Hex32
    batch_hash: Hex32
    items_count: int
    shares_base_units: Shares
    payout_base_units: Payout
    status: SettlementStatus
    planned_at_utc: datetime
    ended_at_utc: datetime | None


@dataclass(frozen=True, slots=True)
class ItemRow(_Row):
    """One redemption in one settlement."""

    settlement_id: int
    item_position: int
    redemption_id: Hex32
    shares_base_units: Shares
    payout_base_units: Payout
    outcome: ItemOutcome
    skip_reason: str | None
    skip_detail: str | None
    live: bool


@dataclass(frozen=True, slots=True)
class SettlerEventRow(_Row):
    """One settler event on the canonical chain; `kind` is settled, skipped or batch. The time of
    its block is None where a receipt of our own told of it and the block was not at hand."""

    chain_id: int
    transaction_hash: Hex32
    log_index: int
    settler_address: Address
    block_number: int
    block_hash: Hex32
    block_timestamp_seconds: int | None
    kind: str
    redemption_id: Hex32 | None
    redemption_index: int | None
    investor_address: Address | None
    payee_address: Address | None
    shares_base_units: Shares | None
    payout_base_units: Payout | None
    skip_reason: str | None
    detail: str | None
    batch_hash: Hex32 | None
    previous_batch_hash: Hex32 | None
