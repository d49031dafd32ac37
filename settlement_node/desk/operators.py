"""The operators' hands: hold, release, pause, resume, cancel, speed up, re-scan, resolve.

Each is one commit, audited under the caller's name. Nothing here touches the chain: it changes
what the stages will do next. Raises NotFound or Conflict, and then nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from settlement_node.booking.undo import undo_events
from settlement_node.desk.intake import require_read
from settlement_node.domain.breaks import Break, BreakKind
from settlement_node.domain.lane_breaks import (
    BookWasBehind,
    ReorganisationBeyondFinality,
    StrangerAtNonce,
    UnknownBatch,
)
from settlement_node.domain.lifecycle import (
    RedemptionFact,
    RedemptionStatus,
    TransactionStatus,
)
from settlement_node.domain.redemption import HoldReason
from settlement_node.errors import Conflict, InvalidInput, NotFound
from settlement_node.store.book import funds, orders, redemptions
from settlement_node.store.book.funds import get_fund, list_funds
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import chain_book, foreign
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import set_lane, set_lane_paused
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import RedemptionRow, TransactionRow
from settlement_node.store.tables import AcceptedAs
from settlement_node.store.telling import attention, records
from settlement_node.units import (
    DECIMALS_MAX,
    Address,
    Hex32,
    parse_decimal_units,
)

REASON_LENGTH_MAX = 300
RESOLVE_MAX = 1_000
"""Most breaks resolved by one commit."""


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
    require_read(tx, fund)
    if chain_book.settled_events(tx, fund.chain_id, [redemption_id]):
        raise Conflict("the chain shows this redemption as paid; it cannot be released")
    # The settler has used its index for another redemption: a new one, or it is held again.
    if row.hold_reason == HoldReason.ALREADY_SETTLED.value and orders.give_new_index(tx, fund, row):
        row = _redemption(tx, redemption_id)
    return redemptions.record_fact(
        tx,
        row,
        RedemptionFact.HOLD_RELEASED,
        detail={"reason": check_reason(reason), "was_held_for": row.hold_reason},
    )


def pause_lane(tx: Tx, *, chain_id: int, signer_address: Address, reason: str) -> None:
    """Plan, sign and send nothing on a lane; what is in flight is tracked on."""
    set_lane_paused(tx, chain_id, signer_address, paused=True, reason=check_reason(reason))


def resume_lane(tx: Tx, *, chain_id: int, signer_address: Address, reason: str) -> None:
    """Let a lane go on. Conflict while a break that stopped it is open: resolve that first."""
    why = check_reason(reason)
    key = lane_key(chain_id, signer_address)
    opened = attention.open_lane_breaks(tx, chain_id, signer_address)
    stopping = [row for row in opened if row["is_money"]]
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


def set_nav(
    tx: Tx, fund_id: str, *, nav: str, nav_decimals: int, reason: str, since: str | None = None
) -> int:
    """Set the price of one whole share, such as "104.25", for what is planned from now on; returns
    it as an integer of `nav_decimals` decimals. With `since`, a time in the past, it is a price
    that a restored book has lost, by which what it finds paid is judged."""
    if not 0 <= nav_decimals <= DECIMALS_MAX:
        raise InvalidInput(
            f"nav_decimals must be between 0 and {DECIMALS_MAX}", field="nav_decimals"
        )
    price = parse_decimal_units(nav, nav_decimals, field="nav")
    if price == 0:
        raise InvalidInput("nav must be greater than zero", field="nav")
    why = check_reason(reason)
    funds.set_nav(
        tx,
        fund_id,
        nav_per_share=price,
        nav_decimals=nav_decimals,
        valid_from_utc=None if since is None else _past(since, now_utc=tx.now_utc),
    )
    tx.audit("nav_reason", "fund", fund_id, {"reason": why})
    return price


def _past(text: str, *, now_utc: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at > now_utc:
        raise InvalidInput(
            "since must be a time in the past with its zone, such as 2026-01-31T12:00:00Z",
            field="since",
        )
    return at.astimezone(UTC)


def pause_fund(tx: Tx, fund_id: str, *, reason: str) -> None:
    """Plan nothing for a fund until it is resumed; what is in flight is tracked on."""
    funds.set_fund_paused(tx, fund_id, paused=True, reason=check_reason(reason))


def resume_fund(tx: Tx, fund_id: str, *, reason: str) -> None:
    """Let a fund be planned again."""
    funds.set_fund_paused(tx, fund_id, paused=False, reason=None)
    tx.audit("fund_resume_reason", "fund", fund_id, {"reason": check_reason(reason)})


def rescan(tx: Tx, fund_id: str, *, from_block: int, reason: str) -> None:
    """Forget the settlers' events from a block on and have them read anew. Nothing is planned for
    the fund until they are, and reconciliation goes over those blocks again: what was booked by an
    event that is not there any more comes up as a break."""
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
        chain_book.forget_events(
            tx,
            fund.chain_id,
            fund_id,
            Address(settler["settler_address"]),
            from_number=max(from_block, settler["from_block"]),
        )
    records.rewind_reconciliations(tx, fund_id, from_block=from_block)
    tx.audit("rescan_requested", "fund", fund_id, {"from_block": from_block, "reason": why})


class Resolution(StrEnum):
    """What came of one break that was to be resolved."""

    RESOLVED = "resolved"
    NOT_OPEN = "not_open"


def resolve_breaks(tx: Tx, break_ids: Sequence[int], *, reason: str) -> dict[int, Resolution]:
    """Close several breaks for one reason, in one commit: what came of each, in the order given.
    One that is not open any more is told and keeps none of the others back. Raises NotFound when
    none of them is open, InvalidInput for none or too many."""
    check_reason(reason)
    wanted = list(dict.fromkeys(break_ids))
    if not 1 <= len(wanted) <= RESOLVE_MAX:
        raise InvalidInput(f"give 1 to {RESOLVE_MAX} breaks at once", field="break_ids")
    outcomes = dict.fromkeys(wanted, Resolution.NOT_OPEN)
    for break_id in wanted:
        if attention.get_open_break(tx, break_id) is not None:
            resolve_break(tx, break_id, reason=reason)
            outcomes[break_id] = Resolution.RESOLVED
    if Resolution.RESOLVED not in outcomes.values():
        raise NotFound(f"none of these breaks is open: {_listed(wanted)}", field="break_ids")
    return outcomes


def resolve_breaks_of_kind(
    tx: Tx, *, fund_id: str, kind: str, reason: str
) -> dict[int, Resolution]:
    """Close every open break of one kind of a fund, as `resolve_breaks` does, the oldest
    RESOLVE_MAX of them. A break of a lane has no fund and is resolved by its number."""
    get_fund(tx, fund_id)
    if kind not in list(BreakKind):
        known = ", ".join(BreakKind)
        raise NotFound(f"{kind} is no kind of break; these are: {known}", field="kind")
    kinds = [BreakKind(kind)]
    found = attention.open_breaks(tx, fund_id=fund_id, kinds=kinds, limit=RESOLVE_MAX)
    if not found:
        raise NotFound(f"fund {fund_id} has no open break of kind {kind}", field="kind")
    return resolve_breaks(tx, [row["break_id"] for row in found], reason=reason)


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:20])
    return shown if len(numbers) <= 20 else f"{shown} and {len(numbers) - 20} more"


def resolve_break(tx: Tx, break_id: int, *, reason: str) -> None:
    """Close a break, with the reason why book and chain are right as they are.

    To resolve a break that stopped a lane is to accept what stopped it, as ACCEPTED_BY says.
    Conflict for a book that was behind the chain until it is reconciled.
    """
    found = attention.get_open_break(tx, break_id)
    if found is None:
        raise NotFound(f"there is no open break {break_id}", field="break_id")
    why = check_reason(reason)
    ACCEPTED_BY.get(type(found), _only_closed)(tx, found)
    attention.resolve_break(tx, break_id, reason=why)


def _only_closed(_tx: Tx, _found: Break) -> None:
    """A person says that book and chain are right as they are; nothing follows from it."""


def _check_reconciled(tx: Tx, found: BookWasBehind) -> None:
    """Every fund of the lane is compared with the chain beyond what was replayed, and no money is
    in doubt."""
    to_block = found.replayed_to_block
    for fund in list_funds(tx, chain_id=found.chain_id, lane_address=found.signer_address):
        last = records.last_reconciliation(tx, fund.fund_id)
        done = -1 if last is None else int(last["to_block"])
        if done < to_block:
            raise Conflict(
                f"fund {fund.fund_id} is reconciled to block {done}, and the book was behind up to"
                f" block {to_block}; reconcile first",
                fund_id=fund.fund_id,
            )
        money = attention.open_breaks(tx, fund_id=fund.fund_id, money_only=True, limit=1)
        if money:
            raise Conflict(
                f"break {money[0]['break_id']} ({money[0]['kind']}) of fund {fund.fund_id} is open;"
                " resolve it first",
                break_id=money[0]["break_id"],
            )


def _accept_stranger(tx: Tx, found: StrangerAtNonce) -> None:
    """Ours at that nonce is void once theirs is final."""
    chain_id, signer, nonce = found.chain_id, found.signer_address, found.nonce
    for row in transactions.unmined(tx, chain_id, signer):
        if row.nonce == nonce:
            transactions.set_fields(tx, row.transaction_id, displacement_accepted=True)
            return
    if transactions.with_nonces(tx, chain_id, signer, first=nonce, below=nonce + 1):
        return  # its receipt was found after all: ours is mined there, and nobody else
    # No transaction of ours has that nonce: the chain is ahead of the book, whose next nonce is
    # read from the chain again.
    set_lane(tx, chain_id, signer, next_nonce=None)


def _accept_batch(tx: Tx, found: UnknownBatch) -> None:
    """The batch counts as explained. It may have used a nonce that the book was to give next."""
    foreign.accept_batch(
        tx,
        found.chain_id,
        found.settler_address,
        found.batch_hash,
        accepted_as=AcceptedAs.PERSON,
    )
    set_lane(tx, found.chain_id, found.signer_address, next_nonce=None)


def _accept_fork(tx: Tx, found: ReorganisationBeyondFinality) -> None:
    """Forget what stood on the old blocks, and reconcile them again. Transactions that are not
    final follow by their own block's hash; those that are final stay so, and a payment the new
    chain does not have comes out of the reconciliation as a break of its own."""
    chain_id, signer, first = found.chain_id, found.signer_address, found.first_undone_block
    chain_book.forget_heads(tx, lane_key(chain_id, signer), from_number=0)
    set_lane(tx, chain_id, signer, highest_head_number=None)
    for fund in list_funds(tx, chain_id=chain_id, lane_address=signer):
        undo_events(tx, fund, first_undone_number=first)
        records.rewind_reconciliations(tx, fund.fund_id, from_block=first)


ACCEPTED_BY: Mapping[type[Break], Callable[[Tx, Any], None]] = {
    BookWasBehind: _check_reconciled,
    StrangerAtNonce: _accept_stranger,
    UnknownBatch: _accept_batch,
    ReorganisationBeyondFinality: _accept_fork,
}
"""What follows when a person closes a break of a kind; of every other kind nothing does."""


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
