"""The two life cycles, redemption and transaction, each as one table, and `advance()`.

A *fact* is something seen; a *status* is where a machine stands. `advance(table, status, fact)`
gives the next status. A pair that is not in the table raises `InvariantBroken` and changes nothing:
the caller met something that must never be, and stops its lane. Every state before the last can be
taken back by the chain, so the facts of un-doing (`PAYMENT_UNDONE`, `UNMINED`) are ordinary rows.

Facts that carry no change in a status (a second broadcast, the same receipt again) are rows too:
carrying a fact out twice does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from settlement_node.errors import InvariantBroken


class RedemptionStatus(StrEnum):
    """Where a redemption stands (ARCHITECTURE, Life cycles)."""

    REQUESTED = "requested"
    APPROVED = "approved"
    SETTLING = "settling"
    BURNED = "burned"
    PAID = "paid"
    SETTLED = "settled"
    HELD = "held"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETURNED = "returned"


class RedemptionFact(StrEnum):
    """What can happen to a redemption."""

    APPROVAL_GIVEN = "approval_given"
    REJECTION_GIVEN = "rejection_given"
    CANCELLATION_GIVEN = "cancellation_given"
    EXPIRY_PASSED = "expiry_passed"
    SETTLEMENT_PLANNED = "settlement_planned"
    HOLD_PLACED = "hold_placed"
    HOLD_RELEASED = "hold_released"
    PAYMENT_MINED = "payment_mined"
    PAYMENT_UNDONE = "payment_undone"
    PAYMENT_FINAL = "payment_final"
    SETTLEMENT_VOIDED = "settlement_voided"
    ITEM_SKIPPED = "item_skipped"
    BURN_FINAL = "burn_final"
    SHARES_RETURNED = "shares_returned"
    FOUND_SETTLED = "found_settled"


class TransactionStatus(StrEnum):
    """Where a transaction (one intent with one nonce) stands."""

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"


class TransactionFact(StrEnum):
    """What can happen to a transaction."""

    ATTEMPT_SIGNED = "attempt_signed"
    ATTEMPT_SENT = "attempt_sent"
    MINED = "mined"
    UNMINED = "unmined"
    FINALISED = "finalised"
    DISPLACED = "displaced"


class TransactionOutcome(StrEnum):
    """What came of a final transaction. Only REVERTED and VOID free its redemptions."""

    SUCCEEDED = "succeeded"
    REVERTED = "reverted"
    VOID = "void"


StatusT = TypeVar("StatusT", RedemptionStatus, TransactionStatus)
FactT = TypeVar("FactT", RedemptionFact, TransactionFact)

_R, _F = RedemptionStatus, RedemptionFact

REDEMPTION_TABLE: Mapping[tuple[RedemptionStatus, RedemptionFact], RedemptionStatus] = (
    MappingProxyType(
        {
            (_R.REQUESTED, _F.APPROVAL_GIVEN): _R.APPROVED,
            (_R.REQUESTED, _F.REJECTION_GIVEN): _R.REJECTED,
            (_R.REQUESTED, _F.CANCELLATION_GIVEN): _R.CANCELLED,
            (_R.REQUESTED, _F.EXPIRY_PASSED): _R.EXPIRED,
            (_R.REQUESTED, _F.FOUND_SETTLED): _R.SETTLED,
            (_R.APPROVED, _F.SETTLEMENT_PLANNED): _R.SETTLING,
            (_R.APPROVED, _F.HOLD_PLACED): _R.HELD,
            (_R.APPROVED, _F.CANCELLATION_GIVEN): _R.CANCELLED,
            (_R.APPROVED, _F.FOUND_SETTLED): _R.SETTLED,
            (_R.SETTLING, _F.PAYMENT_MINED): _R.PAID,
            (_R.SETTLING, _F.BURN_FINAL): _R.BURNED,
            (_R.SETTLING, _F.SETTLEMENT_VOIDED): _R.APPROVED,
            (_R.SETTLING, _F.ITEM_SKIPPED): _R.HELD,
            (_R.SETTLING, _F.HOLD_PLACED): _R.HELD,
            (_R.BURNED, _F.SETTLEMENT_PLANNED): _R.SETTLING,
            (_R.BURNED, _F.HOLD_PLACED): _R.HELD,
            (_R.BURNED, _F.SHARES_RETURNED): _R.RETURNED,
            (_R.PAID, _F.PAYMENT_MINED): _R.PAID,
            (_R.PAID, _F.PAYMENT_UNDONE): _R.SETTLING,
            (_R.PAID, _F.PAYMENT_FINAL): _R.SETTLED,
            (_R.HELD, _F.HOLD_PLACED): _R.HELD,
            (_R.HELD, _F.HOLD_RELEASED): _R.APPROVED,
            (_R.HELD, _F.CANCELLATION_GIVEN): _R.CANCELLED,
            (_R.HELD, _F.SHARES_RETURNED): _R.RETURNED,
            (_R.HELD, _F.FOUND_SETTLED): _R.SETTLED,
        }
    )
)
"""(status, fact) → next status of a redemption; what is absent must never happen."""

_T, _G = TransactionStatus, TransactionFact

TRANSACTION_TABLE: Mapping[tuple[TransactionStatus, TransactionFact], TransactionStatus] = (
    MappingProxyType(
        {
            (_T.PLANNED, _G.ATTEMPT_SIGNED): _T.SIGNED,
            (_T.SIGNED, _G.ATTEMPT_SIGNED): _T.SIGNED,
            (_T.SIGNED, _G.ATTEMPT_SENT): _T.SENT,
            (_T.SIGNED, _G.MINED): _T.MINED,
            (_T.SENT, _G.ATTEMPT_SIGNED): _T.SENT,
            (_T.SENT, _G.ATTEMPT_SENT): _T.SENT,
            (_T.SENT, _G.MINED): _T.MINED,
            (_T.MINED, _G.MINED): _T.MINED,
            (_T.MINED, _G.ATTEMPT_SENT): _T.MINED,
            (_T.MINED, _G.UNMINED): _T.SENT,
            (_T.MINED, _G.FINALISED): _T.FINAL,
            # A stranger's transaction is final at our nonce, and a person has said so.
            (_T.SIGNED, _G.DISPLACED): _T.FINAL,
            (_T.SENT, _G.DISPLACED): _T.FINAL,
        }
    )
)
"""(status, fact) → next status of a transaction; what is absent must never happen."""

REDEMPTION_ENDED = frozenset({_R.SETTLED, _R.REJECTED, _R.CANCELLED, _R.EXPIRED, _R.RETURNED})
"""Statuses nothing follows."""
REDEMPTION_LIVE = frozenset(_R) - REDEMPTION_ENDED
"""Statuses in which the redemption's shares are reserved."""
CANCELLABLE = frozenset({_R.REQUESTED, _R.APPROVED, _R.HELD})
"""Statuses a person may still cancel from: nothing of it can be on the chain."""


def advance(
    table: Mapping[tuple[StatusT, FactT], StatusT], status: StatusT, fact: FactT
) -> StatusT:
    """The status after `fact`; raises InvariantBroken for a pair that must never be."""
    following = table.get((status, fact))
    if following is None:
        raise InvariantBroken(
            f"{fact.value} cannot happen to a {status.value} "
            f"{'redemption' if isinstance(status, RedemptionStatus) else 'transaction'}",
            status=status.value,
            fact=fact.value,
        )
    return following


def advance_redemption(status: RedemptionStatus, fact: RedemptionFact) -> RedemptionStatus:
    """`advance()` over the redemption table."""
    return advance(REDEMPTION_TABLE, status, fact)


def advance_transaction(status: TransactionStatus, fact: TransactionFact) -> TransactionStatus:
    """`advance()` over the transaction table."""
    return advance(TRANSACTION_TABLE, status, fact)


def diagram(table: Mapping[tuple[StatusT, FactT], StatusT]) -> str:
    """The table as a Mermaid state diagram, in table order; the docs hold exactly this text."""
    lines = ["stateDiagram-v2"]
    lines += [
        f"    {status.value} --> {following.value}: {fact.value}"
        for (status, fact), following in table.items()
    ]
    return "\n".join(lines) + "\n"
