"""Which redemptions go into the next batch, and how much gas the batch may need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from settlement_node.domain.observations import SkipReason
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
class Outlook:
    """What one item would do if its batch ran now. `skip_reason` NONE means it would be paid; for
    another `words` say why, for people."""

    redemption_id_hex: Hex32
    skip_reason: SkipReason
    gas_used: int
    words: str


class Candidate(Protocol):
    """A due redemption with its price."""

    @property
    def redemption_id_hex(self) -> Hex32:
        """Which."""
        ...

    @property
    def payout_base_units(self) -> Payout:
        """What its payee gets."""
        ...

    @property
    def reverted_batch_size(self) -> int | None:
        """How large the batch was that reverted with it; None for the ordinary one."""
        ...


CandidateT = TypeVar("CandidateT", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Money:
    """What may be paid now, less what is in flight: out of the treasury, and by the day's limit of
    which `limit_base_units` is the whole."""

    spendable_base_units: int
    limit_available_base_units: int
    limit_base_units: int

    def less(self, payout_base_units: int) -> Money:
        """What is left once that is paid, or kept for somebody."""
        return Money(
            self.spendable_base_units - payout_base_units,
            self.limit_available_base_units - payout_base_units,
            self.limit_base_units,
        )


@dataclass(frozen=True, slots=True)
class Choice(Generic[CandidateT]):
    """What may be planned now, in order, and what the others wait for."""

    chosen: tuple[CandidateT, ...]
    waiting: tuple[tuple[Hex32, WaitingFor], ...]


def choose(candidates: Sequence[CandidateT], *, items_max: int, money: Money) -> Choice[CandidateT]:
    """Take candidates, oldest first, as long as the money lasts.

    One that is too large for the treasury, or for a whole day's limit, waits and holds nobody up.
    For the oldest that only waits until the day's limit allows it room is kept: what is behind it
    would take every bit of the limit as it comes back, and it would never go.

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
        most = items_max if size is None else min(items_max, max(1, size // 2))
        choice, money = _take(kind, most, money)
        waiting += choice.waiting
        if choice.chosen:
            return Choice(chosen=choice.chosen, waiting=waiting)
    return Choice(chosen=(), waiting=waiting)


def _take(
    candidates: Sequence[CandidateT], items_max: int, money: Money
) -> tuple[Choice[CandidateT], Money]:
    chosen: list[CandidateT] = []
    waiting: list[tuple[Hex32, WaitingFor]] = []
    is_kept = money.limit_available_base_units < 0
    for candidate in candidates:
        if len(chosen) == items_max:
            break
        payout = candidate.payout_base_units
        if payout > money.spendable_base_units and not is_kept:
            waiting.append((candidate.redemption_id_hex, WaitingFor.LIQUIDITY))
        elif payout > money.limit_available_base_units:
            waiting.append((candidate.redemption_id_hex, WaitingFor.LIMITS))
            if payout <= money.limit_base_units and not is_kept:
                money, is_kept = money.less(payout), True
        else:
            chosen.append(candidate)
            money = money.less(payout)
    return Choice(chosen=tuple(chosen), waiting=tuple(waiting)), money


def calldata_gas(data: bytes) -> tuple[int, int]:
    """(standard, floor) gas of calldata: 4 a zero byte and 16 another (EIP-2028); the floor is 10
    and 40 (EIP-7623)."""
    zeros = data.count(0)
    others = len(data) - zeros
    return 4 * zeros + 16 * others, 10 * zeros + 40 * others


def batch_gas_limit(
    outlooks: Sequence[Outlook], *, data: bytes, item_gas_limit: int, margin_bps: int
) -> int:
    """Gas limit of `settle` for these items, from what the preview used.

    The settler wants a whole `item_gas_limit` (and 1/63 of it) left before each item, so that much
    is added once at the end; what is not used is not paid for.
    """
    standard, floor = calldata_gas(data)
    running = sum(outlook.gas_used + ITEM_OVERHEAD_GAS for outlook in outlooks)
    execution = TRANSACTION_GAS + standard + running + BATCH_OVERHEAD_GAS
    with_margin = execution + execution * margin_bps // 10_000
    return max(with_margin, TRANSACTION_GAS + floor) + item_gas_limit + item_gas_limit // 32


def fits(outlooks: Sequence[Outlook], *, gas_max: int, item_gas_limit: int) -> int:
    """How many leading items fit under `gas_max`, roughly; at least one."""
    used = TRANSACTION_GAS + BATCH_OVERHEAD_GAS + item_gas_limit + item_gas_limit // 32
    for count, outlook in enumerate(outlooks):
        # 3,500: calldata of one item, six words of which few bytes are zero.
        used += (outlook.gas_used + ITEM_OVERHEAD_GAS + 3_500) * 5 // 4
        if used > gas_max:
            return max(count, 1)
    return len(outlooks)
