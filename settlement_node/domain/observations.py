"""What can be seen on a chain, as plain values. The chain layer makes them, the domain reads them.

An observation is always *of* something at a point of the chain; a failure to observe is an error
and never one of these values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from settlement_node.units import Address, Hex32, Payout, Shares, Wei


@dataclass(frozen=True, slots=True)
class Block:
    """A block header, as far as the node needs it."""

    number: int
    block_hash: Hex32
    parent_hash: Hex32
    timestamp_seconds: int
    base_fee_per_gas_wei: Wei
    gas_limit: int


@dataclass(frozen=True, slots=True)
class Log:
    """One event log; `topics` and `data` are undecoded."""

    address: Address
    topics: tuple[Hex32, ...]
    data: bytes
    block_number: int
    block_hash: Hex32
    transaction_hash: Hex32
    log_index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction's receipt. `succeeded` is the EVM status, not the node's outcome."""

    transaction_hash: Hex32
    block_number: int
    block_hash: Hex32
    succeeded: bool
    gas_used: int
    effective_gas_price_wei: Wei
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class FeeHistory:
    """`eth_feeHistory`, oldest block first. `base_fees_wei` has one entry more than `tips_wei`:
    the last is the base fee of the next block. `tips_wei` holds the asked percentile per block."""

    base_fees_wei: tuple[Wei, ...]
    tips_wei: tuple[Wei, ...]


class BurnStyle(StrEnum):
    """How the share token burns; the order is the contract's enumeration."""

    BURN = "burn"
    BURN_WITH_REASON = "burn_with_reason"
    BURN_WITH_DATA = "burn_with_data"
    BURN_FROM = "burn_from"
    ADMIN_BURN = "admin_burn"
    ESCROW = "escrow"

    @property
    def contract_value(self) -> int:
        """The number the contract gives this style."""
        return list(BurnStyle).index(self)


class SkipReason(StrEnum):
    """Why the settler skipped an item; the order is the contract's enumeration."""

    NONE = "none"
    ALREADY_SETTLED = "already_settled"
    INVALID_ITEM = "invalid_item"
    PRICE_ABOVE_CEILING = "price_above_ceiling"
    DAILY_LIMIT_EXCEEDED = "daily_limit_exceeded"
    BURN_FAILED = "burn_failed"
    BURN_NOT_EXACT = "burn_not_exact"
    PAYOUT_FAILED = "payout_failed"
    PAYOUT_NOT_EXACT = "payout_not_exact"
    ITEM_OUT_OF_GAS = "item_out_of_gas"
    PAYEE_NOT_PERMITTED = "payee_not_permitted"
    PRICE_BELOW_FLOOR = "price_below_floor"


@dataclass(frozen=True, slots=True)
class SettleItem:
    """One item of `settle(previousBatchHash, items)`, in the contract's field order."""

    redemption_id_hex: Hex32
    redemption_index: int
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    payout_base_units: Payout


@dataclass(frozen=True, slots=True)
class ItemPreview:
    """What one item would do if the batch ran now. `skip_reason` NONE means it would pay."""

    redemption_id_hex: Hex32
    skip_reason: SkipReason
    gas_used: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where an event stands on the chain."""

    settler_address: Address
    block_number: int
    block_hash: Hex32
    transaction_hash: Hex32
    log_index: int


@dataclass(frozen=True, slots=True)
class RedemptionSettledEvent:
    """`RedemptionSettled`: this redemption was burned and paid."""

    place: EventPlace
    redemption_id_hex: Hex32
    redemption_index: int
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    payout_base_units: Payout


@dataclass(frozen=True, slots=True)
class RedemptionSkippedEvent:
    """`RedemptionSkipped`: this item was neither burned nor paid."""

    place: EventPlace
    redemption_id_hex: Hex32
    redemption_index: int
    skip_reason: SkipReason
    detail: bytes


@dataclass(frozen=True, slots=True)
class BatchSettledEvent:
    """`BatchSettled`: the ratchet moved from `previous_batch_hash` to `batch_hash`."""

    place: EventPlace
    batch_hash: Hex32
    previous_batch_hash: Hex32
    settled_count: int
    skipped_count: int


SettlerEvent = RedemptionSettledEvent | RedemptionSkippedEvent | BatchSettledEvent


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """ERC-20 `Transfer` of the share or payout token; a burn goes to the zero address."""

    token_address: Address
    from_address: Address
    to_address: Address
    value_base_units: int
    block_number: int
    block_hash: Hex32
    transaction_hash: Hex32
    log_index: int


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """One endpoint's state, for people. `score` is 0 (bad) to 1 (good). `contradiction` is the last
    answer of it that was shown to be false, for as long as that is told."""

    name: str
    head_number: int | None
    latency_milliseconds: float | None
    score: float
    quarantined: bool
    last_error: str | None
    contradiction: str | None = None
