"""The operators' hands: hold, release, pause, resume, cancel, speed up, re-scan, resolve.

Each is one commit, audited under the caller's name. Nothing here touches the chain: it changes
what the stages will do next. Raises NotFound or Conflict, and then nothing is changed.
"""

from __future__ import annotations

from settlement_node.domain.lifecycle import (
    RedemptionFact,
    RedemptionStatus,
    TransactionStatus,
)
from settlement_node.domain.redemption import HoldReason
from settlement_node.errors import Conflict, InvalidInput, NotFound
from settlement_node.store import attention, chain_book, redemptions, transactions
from settlement_node.store.database import Tx
from settlement_node.store.funds import (
    get_fund,
    set_lane_paused,
    set_scanned,
    settlers_of,
)
from settlement_node.store.leases import lane_key
from settlement_node.store.rows import RedemptionRow, TransactionRow
from settlement_node.units import Address, Hex32

REASON_LENGTH_MAX = 300


def check_reason(reason: str) -> str:
    """A reason a later reader understands: 3 to 300 printable characters."""
    text = reason.strip()
    if not 3 <= len(text) <= REASON_LENGTH_MAX or not text.isprintable():
        raise InvalidInput(
            f"reason must have 3 to {REASON_LENGTH_MAX} printable characters", field="reason"
        )
    return text


def hold_redemption(tx: Tx, redemption_id: Hex32, *, reason: str) -> RedemptionRow:
    """Keep an approved redemption from being planned until it is released."""
    row = _redemption(tx, redemption_id)
    if row.status is not RedemptionStatus.APPROVED:
        raise Conflict(
            f"only an approved redemption can be held; this one is {row.status.value}",
            status=row.status.value,
        )
    why = check_reason(reason)
    return redemptions.record_fact(
        tx,
        row,
        RedemptionFact.HOLD_PLACED,
        changes={"hold_reason": HoldReason.OPERATOR.value, "hold_detail": why},
        detail={"hold_reason": HoldReason.OPERATOR.value, "reason": why},
    )


def release_redemption(tx: Tx, redemption_id: Hex32, *, reason: str) -> RedemptionRow:
    """Let a held redemption be settled again. One that the chain shows as paid is not released:
    it becomes settled by itself once that is final."""
    row = _redemption(tx, redemption_id)
    if row.status is not RedemptionStatus.HELD:
        raise Conflict(
            f"only a held redemption can be released; this one is {row.status.value}",
            status=row.status.value,
        )
    fund = get_fund(tx, row.fund_id)
    if chain_book.settled_events(tx, fund.chain_id, [redemption_id]):
        raise Conflict("the chain shows this redemption as paid; it cannot be released")
    return redemptions.record_fact(
        tx,
        row,
        RedemptionFact.HOLD_RELEASED,
        changes={"reverted_batch_size": None},
        detail={"reason": check_reason(reason), "was_held_for": row.hold_reason},
    )


def pause_lane(tx: Tx, *, chain_id: int, signer_address: Address, reason: str) -> None:
    """Plan, sign and send nothing on a lane; what is in flight is tracked on."""
    set_lane_paused(tx, chain_id, signer_address, paused=True, reason=check_reason(reason))


def resume_lane(tx: Tx, *, chain_id: int, signer_address: Address, reason: str) -> None:
    """Let a lane go on. Conflict while a break that stopped it is open: resolve that first."""
    why = check_reason(reason)
    key = lane_key(chain_id, signer_address)
    stopping = [
        row
        for row in attention.open_breaks(tx, money_only=True, limit=1_000)
        if row["fund_id"] is None and str(row["subject"]).startswith(key)
    ]
    if stopping:
        raise Conflict(
            f"break {stopping[0]['break_id']} ({stopping[0]['kind']}) stopped this lane;"
            " resolve it first, with the reason why that is right",
            break_id=stopping[0]["break_id"],
        )
    set_lane_paused(tx, chain_id, signer_address, paused=False, reason=None)
    tx.audit("lane_resume_reason", "lane", key, {"reason": why})


def cancel_transaction(tx: Tx, transaction_id: int, *, reason: str) -> TransactionRow:
    """Have a no-op replace an unmined transaction at its nonce. If the no-op is mined and final,
    the settlement is void and its redemptions are planned anew; the original may still win."""
    row = _unmined(tx, transaction_id, "cancelled")
    transactions.set_fields(tx, transaction_id, cancel_requested=True)
    tx.audit(
        "cancel_requested", "transaction", str(transaction_id), {"reason": check_reason(reason)}
    )
    return row


def speed_up_transaction(tx: Tx, transaction_id: int, *, reason: str) -> TransactionRow:
    """Have an unmined transaction replaced with higher fees at once, at the same nonce."""
    row = _unmined(tx, transaction_id, "sped up")
    transactions.set_fields(tx, transaction_id, speed_up_requested=True)
    tx.audit(
        "speed_up_requested", "transaction", str(transaction_id), {"reason": check_reason(reason)}
    )
    return row


def rescan(tx: Tx, fund_id: str, *, from_block: int, reason: str) -> None:
    """Have the settlers' events read again from a block on; nothing known is forgotten."""
    fund = get_fund(tx, fund_id)
    why = check_reason(reason)
    latest = chain_book.latest_head(tx, lane_key(fund.chain_id, fund.lane_address))
    if latest is None or from_block > latest[0]:
        known = "none yet" if latest is None else str(latest[0])
        raise InvalidInput(
            f"from_block {from_block} is in the future; the last known block is {known}",
            field="from_block",
        )
    if from_block < 0:
        raise InvalidInput("from_block must not be negative", field="from_block")
    for settler in settlers_of(tx, fund_id):
        start = max(from_block, settler["from_block"])
        if settler["scanned_to_block"] >= start:
            set_scanned(tx, fund_id, Address(settler["settler_address"]), to_block=start - 1)
    tx.audit("rescan_requested", "fund", fund_id, {"from_block": from_block, "reason": why})


def resolve_break(tx: Tx, break_id: int, *, reason: str) -> None:
    """Close a break, with the reason why book and chain are right as they are."""
    if not attention.resolve_break(tx, break_id, reason=check_reason(reason)):
        raise NotFound(f"there is no open break {break_id}", field="break_id")


def _redemption(tx: Tx, redemption_id: Hex32) -> RedemptionRow:
    row = redemptions.get(tx, redemption_id)
    if row is None:
        raise NotFound(f"there is no redemption {redemption_id}", field="redemption_id")
    return row


def _unmined(tx: Tx, transaction_id: int, verb: str) -> TransactionRow:
    row = transactions.get(tx, transaction_id)
    if row is None:
        raise NotFound(f"there is no transaction {transaction_id}", field="transaction_id")
    if row.status in (TransactionStatus.MINED, TransactionStatus.FINAL):
        raise Conflict(
            f"a {row.status.value} transaction can no longer be {verb}",
            status=row.status.value,
        )
    return row
