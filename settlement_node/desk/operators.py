"""The operators' hands: what each action of desk/actions.py does, under the action's name, and what
it answers.

Each is one commit, audited under the caller's name. Nothing here touches the chain: it changes
what the stages will do next. Raises NotFound or Conflict, and then nothing is changed.
"""

from __future__ import annotations

from datetime import datetime

from settlement_node.desk.breaks import resolve, resolve_many
from settlement_node.desk.intake import refuse_paid
from settlement_node.domain.lifecycle import (
    CANCELLABLE,
    RedemptionFact,
    RedemptionStatus,
    TransactionStatus,
)
from settlement_node.domain.redemption import HoldReason
from settlement_node.errors import Conflict, InvalidInput, NotFound
from settlement_node.reads.shapes import EXAMPLE_ADDRESS, AddressOut, Answer, HashOut, examples
from settlement_node.store.book import funds, orders, redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import set_lane_paused
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import RedemptionRow, TransactionRow
from settlement_node.store.telling import attention, records
from settlement_node.units import DECIMALS_MAX, Address, Hex32, parse_decimal_units, parse_time

__all__ = ["resolve", "resolve_many"]


class LaneSetOut(Answer):
    """A lane after the operation."""

    model_config = examples(
        {"chain_id": 1, "signer_address": EXAMPLE_ADDRESS, "paused": True, "reason": "key change"}
    )

    chain_id: int
    signer_address: AddressOut
    paused: bool
    reason: str


class TransactionAskedOut(Answer):
    """A transaction and what was asked for; the send stage carries it out at its next pass."""

    transaction_id: int
    transaction_hash: HashOut
    nonce: int
    status: TransactionStatus
    asked: str


class RescanOut(Answer):
    """A re-scan that the stages will do."""

    fund_id: str
    from_block: int


class FundSetOut(Answer):
    """A fund that was paused or resumed."""

    fund_id: str


class NavSetOut(Answer):
    """A fund's price: `nav_per_share` in digits, of which `nav_decimals` are decimals."""

    fund_id: str
    nav_per_share: str
    nav_decimals: int


def hold(tx: Tx, redemption_id: Hex32, *, reason: str) -> RedemptionRow:
    """Keep an approved redemption from being planned until it is released."""
    row = redemptions.get_known(tx, redemption_id)
    if row.status is not RedemptionStatus.APPROVED:
        raise Conflict(
            f"only an approved redemption can be held; this one is {row.status.value}",
            status=row.status.value,
        )
    return redemptions.record_fact(
        tx,
        row,
        RedemptionFact.HOLD_PLACED,
        changes={"hold_reason": HoldReason.OPERATOR.value, "hold_detail": reason},
        detail={"hold_reason": HoldReason.OPERATOR.value, "reason": reason},
    )


def release(tx: Tx, redemption_id: Hex32, *, reason: str) -> RedemptionRow:
    """Let a held redemption be settled again."""
    row = redemptions.get_known(tx, redemption_id)
    if row.status is not RedemptionStatus.HELD:
        raise Conflict(
            f"only a held redemption can be released; this one is {row.status.value}",
            status=row.status.value,
        )
    fund = refuse_paid(tx, row, "released")
    # The settler has used its index for another redemption: a new one, or it is held again.
    if row.hold_reason == HoldReason.ALREADY_SETTLED.value and orders.give_new_index(tx, fund, row):
        row = redemptions.get_known(tx, redemption_id)
    return redemptions.record_fact(
        tx,
        row,
        RedemptionFact.HOLD_RELEASED,
        detail={"reason": reason, "was_held_for": row.hold_reason},
    )


def cancel_redemption(tx: Tx, redemption_id: Hex32, *, reason: str) -> RedemptionRow:
    """Cancel a redemption nothing of which can be on the chain, and release its shares."""
    row = redemptions.get_known(tx, redemption_id)
    if row.standing not in CANCELLABLE:
        raise Conflict(
            f"a {row.status.value} redemption can no longer be cancelled",
            status=row.status.value,
            field="redemption_id",
        )
    refuse_paid(tx, row, "cancelled")
    return redemptions.record_fact(
        tx, row, RedemptionFact.CANCELLATION_GIVEN, detail={"reason": reason}
    )


def pause(tx: Tx, chain_id: int, signer_address: Address, *, reason: str) -> LaneSetOut:
    """Plan, sign and send nothing on a lane; what is in flight is tracked on."""
    set_lane_paused(tx, chain_id, signer_address, paused=True, reason=reason)
    return LaneSetOut(chain_id=chain_id, signer_address=signer_address, paused=True, reason=reason)


def resume(tx: Tx, chain_id: int, signer_address: Address, *, reason: str) -> LaneSetOut:
    """Let a lane go on. Conflict while a break that stopped it is open: resolve that first."""
    opened = attention.open_lane_breaks(tx, chain_id, signer_address)
    stopping = [row for row in opened if row["is_money"]]
    if stopping:
        raise Conflict(
            f"break {stopping[0]['break_id']} ({stopping[0]['kind']}) stopped this lane;"
            " resolve it first, with the reason why that is right",
            break_id=stopping[0]["break_id"],
        )
    set_lane_paused(tx, chain_id, signer_address, paused=False, reason=None)
    tx.audit("lane_resume_reason", "lane", lane_key(chain_id, signer_address), {"reason": reason})
    return LaneSetOut(chain_id=chain_id, signer_address=signer_address, paused=False, reason=reason)


def cancel_transaction(tx: Tx, transaction_hash: Hex32, *, reason: str) -> TransactionAskedOut:
    """Have a no-op replace an unmined transaction at its nonce. If the no-op is mined and final,
    the settlement is void and its redemptions are planned anew; the original may still win."""
    row = _unmined(tx, transaction_hash, "cancelled")
    transactions.set_fields(tx, row.transaction_id, cancel_requested=True)
    tx.audit("cancel_requested", "transaction", str(row.transaction_id), {"reason": reason})
    return TransactionAskedOut.of(row, transaction_hash=transaction_hash, asked="cancel")


def speed_up_transaction(tx: Tx, transaction_hash: Hex32, *, reason: str) -> TransactionAskedOut:
    """Have an unmined transaction replaced with higher fees at once, at the same nonce."""
    row = _unmined(tx, transaction_hash, "sped up")
    transactions.set_fields(tx, row.transaction_id, speed_up_requested=True)
    tx.audit("speed_up_requested", "transaction", str(row.transaction_id), {"reason": reason})
    return TransactionAskedOut.of(row, transaction_hash=transaction_hash, asked="speed-up")


def set_nav(
    tx: Tx, fund_id: str, price: str, nav_decimals: int, since: str | None = None, *, reason: str
) -> NavSetOut:
    """Set the price of one whole share, such as "104.25", for what is planned from now on. With
    `since`, a time in the past, it is a price that a restored book has lost, by which what it finds
    paid is judged."""
    if not 0 <= nav_decimals <= DECIMALS_MAX:
        raise InvalidInput(
            f"nav_decimals must be between 0 and {DECIMALS_MAX}", field="nav_decimals"
        )
    nav_per_share = parse_decimal_units(price, nav_decimals, field="nav")
    if nav_per_share == 0:
        raise InvalidInput("nav must be greater than zero", field="nav")
    funds.set_nav(
        tx,
        fund_id,
        nav_per_share=nav_per_share,
        nav_decimals=nav_decimals,
        valid_from_utc=None if since is None else _past(since, now_utc=tx.now_utc),
    )
    tx.audit("nav_reason", "fund", fund_id, {"reason": reason})
    return NavSetOut(fund_id=fund_id, nav_per_share=str(nav_per_share), nav_decimals=nav_decimals)


def _past(text: str, *, now_utc: datetime) -> datetime:
    at = parse_time(text, field="since")
    if at > now_utc:
        raise InvalidInput("since must be a time in the past", field="since")
    return at


def pause_fund(tx: Tx, fund_id: str, *, reason: str) -> FundSetOut:
    """Plan nothing for a fund until it is resumed; what is in flight is tracked on."""
    funds.set_fund_paused(tx, fund_id, paused=True, reason=reason)
    return FundSetOut(fund_id=fund_id)


def resume_fund(tx: Tx, fund_id: str, *, reason: str) -> FundSetOut:
    """Let a fund be planned again."""
    funds.set_fund_paused(tx, fund_id, paused=False, reason=None)
    tx.audit("fund_resume_reason", "fund", fund_id, {"reason": reason})
    return FundSetOut(fund_id=fund_id)


def rescan(tx: Tx, fund_id: str, from_block: int, *, reason: str) -> RescanOut:
    """Forget the settlers' events from a block on and have them read anew. Nothing is planned for
    the fund until they are, and reconciliation goes over those blocks again: what was booked by an
    event that is not there any more comes up as a break."""
    fund = get_fund(tx, fund_id)
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
        chain_book.forget_events(
            tx,
            fund.chain_id,
            fund_id,
            Address(settler["settler_address"]),
            from_number=max(from_block, settler["from_block"]),
        )
    records.rewind_reconciliations(tx, fund_id, from_block=from_block)
    tx.audit("rescan_requested", "fund", fund_id, {"from_block": from_block, "reason": reason})
    return RescanOut(fund_id=fund_id, from_block=from_block)


def _unmined(tx: Tx, transaction_hash: Hex32, verb: str) -> TransactionRow:
    row = transactions.by_attempt_hash(tx, transaction_hash)
    if row is None:
        raise NotFound(
            f"no transaction of this book has an attempt {transaction_hash}",
            field="transaction_hash",
        )
    if row.status in (TransactionStatus.MINED, TransactionStatus.FINAL):
        raise Conflict(
            f"a {row.status.value} transaction can no longer be {verb}",
            status=row.status.value,
        )
    return row
