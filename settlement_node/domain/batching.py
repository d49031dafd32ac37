"""Which redemptions go into the next batch, and how much gas the batch may need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from settlement_node.domain.observations import ItemPreview
from settlement_node.domain.waiting import WaitingFor
from settlement_node.units import Hex32, Payout

TRANSACTION_GAS = 21_000
"""Intrinsic gas of any transaction (yellow paper)."""
TRANSACTION_GAS_MAX = 2**24
"""The protocol's cap for one transaction (EIP-7825)."""
ITEM_OVERHEAD_GAS = 1_500
"""What the settler spends on an item outside its frame: loop, event, bitmap; rounded up."""
BATCH_OVERHEAD_GAS = 200_000
"""Ratchet, limit bookkeeping, batch event, and the settler's reserve before an item."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due redemption with its price."""

    redemption_id_hex: Hex32
    payout_base_units: Payout
    reverted_batch_size: int | None


@dataclass(frozen=True, slots=True)
class Selection:
    """What may be planned now, in order, and what the others wait for."""

    chosen: tuple[Candidate, ...]
    waiting: tuple[tuple[Hex32, WaitingFor], ...]


def choose(
    candidates: Sequence[Candidate],
    *,
    items_max: int,
    spendable_base_units: int,
    limit_available_base_units: int,
) -> Selection:
    """Take candidates in order as long as the money lasts; one that is too large waits and does
    not hold up those behind it.

    A redemption out of a batch that reverted whole goes into a batch of at most half that size,
    with its like only, until the one that makes batches revert stands alone. Where none of the
    first one's kind can go, the other kind may.
    """
    ordinary = [c for c in candidates if c.reverted_batch_size is None]
    suspect = [c for c in candidates if c.reverted_batch_size is not None]
    kinds = [ordinary, suspect]
    if candidates and candidates[0].reverted_batch_size is not None:
        kinds.reverse()
    waiting: tuple[tuple[Hex32, WaitingFor], ...] = ()
    for kind in kinds:
        size = kind[0].reverted_batch_size if kind else None
        selection = _take(
            kind,
            items_max=items_max if size is None else min(items_max, max(1, size // 2)),
            spendable_base_units=spendable_base_units,
            limit_available_base_units=limit_available_base_units,
        )
        waiting += selection.waiting
        if selection.chosen:
            return Selection(chosen=selection.chosen, waiting=waiting)
    return Selection(chosen=(), waiting=waiting)


def _take(
    candidates: Sequence[Candidate],
    *,
    items_max: int,
    spendable_base_units: int,
    limit_available_base_units: int,
) -> Selection:
    chosen: list[Candidate] = []
    waiting: list[tuple[Hex32, WaitingFor]] = []
    spendable, available = spendable_base_units, limit_available_base_units
    for candidate in candidates:
        if len(chosen) == items_max:
            break
        if candidate.payout_base_units > spendable:
            waiting.append((candidate.redemption_id_hex, WaitingFor.LIQUIDITY))
        elif candidate.payout_base_units > available:
            waiting.append((candidate.redemption_id_hex, WaitingFor.LIMITS))
        else:
            chosen.append(candidate)
            spendable -= candidate.payout_base_units
            available -= candidate.payout_base_units
    return Selection(chosen=tuple(chosen), waiting=tuple(waiting))


def calldata_gas(data: bytes) -> tuple[int, int]:
    """(standard, floor) gas of calldata: 4 a zero byte and 16 another (EIP-2028); the floor is 10
    and 40 (EIP-7623)."""
    zeros = data.count(0)
    others = len(data) - zeros
    return 4 * zeros + 16 * others, 10 * zeros + 40 * others


def batch_gas_limit(
    previews: Sequence[ItemPreview], *, data: bytes, item_gas_limit: int, margin_bps: int
) -> int:
    """Gas limit of `settle` for these items, from what the preview used.

    The settler wants a whole `item_gas_limit` (and 1/63 of it) left before each item, so that much
    is added once at the end; what is not used is not paid for.
    """
    standard, floor = calldata_gas(data)
    running = sum(preview.gas_used + ITEM_OVERHEAD_GAS for preview in previews)
    execution = TRANSACTION_GAS + standard + running + BATCH_OVERHEAD_GAS
    with_margin = execution + execution * margin_bps // 10_000
    return max(with_margin, TRANSACTION_GAS + floor) + item_gas_limit + item_gas_limit // 32


def fits(previews: Sequence[ItemPreview], *, gas_max: int, item_gas_limit: int) -> int:
    """How many leading items fit under `gas_max`, roughly; at least one."""
    used = TRANSACTION_GAS + BATCH_OVERHEAD_GAS + item_gas_limit + item_gas_limit // 32
    for count, preview in enumerate(previews):
        # 3,500: calldata of one item, six words of which few bytes are zero.
        used += (preview.gas_used + ITEM_OVERHEAD_GAS + 3_500) * 5 // 4
        if used > gas_max:
            return max(count, 1)
    return len(previews)
