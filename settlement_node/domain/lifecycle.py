"""The two life cycles, redemption and transaction, each as one table, and `advance()`.

A *fact* is something seen; a *status* is where a machine stands. `advance(table, status, fact)`
gives the next status. Where a redemption stands is its status and, where that alone does not say
what may follow, the status it goes back to (`Standing`). A pair that is not in the table raises
`InvariantBroken` and changes nothing: the caller met something that must never be, and stops its
lane. Every state before the last can be taken back by the chain, so the facts of un-doing
(`PAYMENT_UNDONE`, `UNMINED`) are ordinary rows.

Facts that carry no change in a status (a second broadcast, the same receipt again) are rows too:
carrying a fact out twice does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from settlement_node.errors import InvariantBroken


class RedemptionStatus(StrEnum):
    """Where a redemption stands (ARCHITECTURE, Life cycles)."""

    REQUESTED = "requested"
    APPROVED = "approved"
    SETTLING = "settling"
    BURNING = "burning"
    BURNED = "burned"
    PAYING = "paying"
    PAID = "paid"
    SETTLED = "settled"
    HELD = "held"
    RETURNING = "returning"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a redemption stands. `back_to` is the status that a release brings a held one back to,
    and a reorganisation a paid one; None for every other."""

    status: RedemptionStatus
    back_to: RedemptionStatus | None = None

    def __str__(self) -> str:
        """The standing in a word, as the diagram names it."""
        return self.status if self.back_to is None else f"{self.status}_from_{self.back_to}"


class RedemptionFact(StrEnum):
    """What can happen to a redemption. A settlement is one transaction, which carries a `Leg`.
    Voided, it is proven that its transaction did nothing."""

    APPROVAL_GIVEN = "approval_given"
    REJECTION_GIVEN = "rejection_given"
    CANCELLATION_GIVEN = "cancellation_given"
    EXPIRY_PASSED = "expiry_passed"
    SETTLEMENT_PLANNED = "settlement_planned"
    BURN_PLANNED = "burn_planned"
    PAYOUT_PLANNED = "payout_planned"
    RETURN_PLANNED = "return_planned"
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


class Leg(StrEnum):
    """What of its redemptions one settlement carries out."""

    BURN_AND_PAYOUT = "burn_and_payout"
    BURN = "burn"
    PAYOUT = "payout"
    RETURN = "return"


PLANNED_AS = {
    Leg.BURN_AND_PAYOUT: RedemptionFact.SETTLEMENT_PLANNED,
    Leg.BURN: RedemptionFact.BURN_PLANNED,
    Leg.PAYOUT: RedemptionFact.PAYOUT_PLANNED,
    Leg.RETURN: RedemptionFact.RETURN_PLANNED,
}
"""What happens to a redemption as a settlement of the leg is planned."""


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


StatusT = TypeVar("StatusT", Standing, TransactionStatus)
FactT = TypeVar("FactT", RedemptionFact, TransactionFact)

_R, _F = RedemptionStatus, RedemptionFact
HELD_FROM_APPROVED = Standing(_R.HELD, _R.APPROVED)
HELD_FROM_BURNED = Standing(_R.HELD, _R.BURNED)
PAID_FROM_SETTLING = Standing(_R.PAID, _R.SETTLING)
PAID_FROM_PAYING = Standing(_R.PAID, _R.PAYING)
RETURNED_TO: Mapping[RedemptionStatus, tuple[RedemptionStatus, ...]] = MappingProxyType(
    {_R.HELD: (_R.APPROVED, _R.BURNED), _R.PAID: (_R.SETTLING, _R.PAYING)}
)
"""The statuses whose standing has a `back_to`, and which it may be."""
STANDINGS: tuple[Standing, ...] = tuple(
    Standing(status, back_to) for status in _R for back_to in RETURNED_TO.get(status, (None,))
)
"""Everywhere a redemption can stand."""

REDEMPTION_TABLE: Mapping[tuple[Standing, RedemptionFact], Standing] = MappingProxyType(
    {
        (Standing(_R.REQUESTED), _F.APPROVAL_GIVEN): Standing(_R.APPROVED),
        (Standing(_R.REQUESTED), _F.REJECTION_GIVEN): Standing(_R.REJECTED),
        (Standing(_R.REQUESTED), _F.CANCELLATION_GIVEN): Standing(_R.CANCELLED),
        (Standing(_R.REQUESTED), _F.EXPIRY_PASSED): Standing(_R.EXPIRED),
        (Standing(_R.REQUESTED), _F.FOUND_SETTLED): Standing(_R.SETTLED),
        (Standing(_R.APPROVED), _F.SETTLEMENT_PLANNED): Standing(_R.SETTLING),
        (Standing(_R.APPROVED), _F.BURN_PLANNED): Standing(_R.BURNING),
        (Standing(_R.APPROVED), _F.HOLD_PLACED): HELD_FROM_APPROVED,
        (Standing(_R.APPROVED), _F.CANCELLATION_GIVEN): Standing(_R.CANCELLED),
        (Standing(_R.APPROVED), _F.FOUND_SETTLED): Standing(_R.SETTLED),
        (Standing(_R.SETTLING), _F.PAYMENT_MINED): PAID_FROM_SETTLING,
        (Standing(_R.SETTLING), _F.SETTLEMENT_VOIDED): Standing(_R.APPROVED),
        (Standing(_R.SETTLING), _F.ITEM_SKIPPED): HELD_FROM_APPROVED,
        (Standing(_R.SETTLING), _F.HOLD_PLACED): HELD_FROM_APPROVED,
        (Standing(_R.BURNING), _F.BURN_FINAL): Standing(_R.BURNED),
        (Standing(_R.BURNING), _F.SETTLEMENT_VOIDED): Standing(_R.APPROVED),
        (Standing(_R.BURNING), _F.ITEM_SKIPPED): HELD_FROM_APPROVED,
        (Standing(_R.BURNING), _F.HOLD_PLACED): HELD_FROM_APPROVED,
        # Its shares are gone: from here on it is paid, or they are returned, and nothing else.
        (Standing(_R.BURNED), _F.PAYOUT_PLANNED): Standing(_R.PAYING),
        (Standing(_R.BURNED), _F.RETURN_PLANNED): Standing(_R.RETURNING),
        (Standing(_R.BURNED), _F.HOLD_PLACED): HELD_FROM_BURNED,
        (Standing(_R.PAYING), _F.PAYMENT_MINED): PAID_FROM_PAYING,
        (Standing(_R.PAYING), _F.SETTLEMENT_VOIDED): Standing(_R.BURNED),
        (Standing(_R.PAYING), _F.ITEM_SKIPPED): HELD_FROM_BURNED,
        (Standing(_R.PAYING), _F.HOLD_PLACED): HELD_FROM_BURNED,
        (PAID_FROM_SETTLING, _F.PAYMENT_MINED): PAID_FROM_SETTLING,
        (PAID_FROM_SETTLING, _F.PAYMENT_UNDONE): Standing(_R.SETTLING),
        (PAID_FROM_SETTLING, _F.PAYMENT_FINAL): Standing(_R.SETTLED),
        (PAID_FROM_PAYING, _F.PAYMENT_MINED): PAID_FROM_PAYING,
        (PAID_FROM_PAYING, _F.PAYMENT_UNDONE): Standing(_R.PAYING),
        (PAID_FROM_PAYING, _F.PAYMENT_FINAL): Standing(_R.SETTLED),
        (HELD_FROM_APPROVED, _F.HOLD_PLACED): HELD_FROM_APPROVED,
        (HELD_FROM_APPROVED, _F.HOLD_RELEASED): Standing(_R.APPROVED),
        (HELD_FROM_APPROVED, _F.CANCELLATION_GIVEN): Standing(_R.CANCELLED),
        (HELD_FROM_APPROVED, _F.FOUND_SETTLED): Standing(_R.SETTLED),
        (HELD_FROM_BURNED, _F.HOLD_PLACED): HELD_FROM_BURNED,
        (HELD_FROM_BURNED, _F.HOLD_RELEASED): Standing(_R.BURNED),
        (HELD_FROM_BURNED, _F.RETURN_PLANNED): Standing(_R.RETURNING),
        (Standing(_R.RETURNING), _F.SETTLEMENT_VOIDED): Standing(_R.BURNED),
        (Standing(_R.RETURNING), _F.SHARES_RETURNED): Standing(_R.RETURNED),
    }
)
"""(standing, fact) → next standing of a redemption; what is absent must never happen."""

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
IN_FLIGHT = frozenset({_R.SETTLING, _R.BURNING, _R.PAYING, _R.RETURNING})
"""Statuses in one live settlement that is not seen mined, or whose leg is not final."""
CANCELLABLE = frozenset({Standing(_R.REQUESTED), Standing(_R.APPROVED), HELD_FROM_APPROVED})
"""Where a person may still cancel: nothing of it can be on the chain."""


def advance(
    table: Mapping[tuple[StatusT, FactT], StatusT], status: StatusT, fact: FactT
) -> StatusT:
    """The status after `fact`; raises InvariantBroken for a pair that must never be."""
    following = table.get((status, fact))
    if following is None:
        raise InvariantBroken(
            f"{fact} cannot happen to a {status}"
            f" {'redemption' if isinstance(status, Standing) else 'transaction'}",
            status=str(status),
            fact=fact.value,
        )
    return following


def advance_redemption(standing: Standing, fact: RedemptionFact) -> Standing:
    """`advance()` over the redemption table."""
    return advance(REDEMPTION_TABLE, standing, fact)


def advance_transaction(status: TransactionStatus, fact: TransactionFact) -> TransactionStatus:
    """`advance()` over the transaction table."""
    return advance(TRANSACTION_TABLE, status, fact)


def diagram(table: Mapping[tuple[StatusT, FactT], StatusT]) -> str:
    """The table as a Mermaid state diagram, in table order; the docs hold exactly this text."""
    lines = ["stateDiagram-v2"]
    lines += [
        f"    {status} --> {following}: {fact}" for (status, fact), following in table.items()
    ]
    return "\n".join(lines) + "\n"
