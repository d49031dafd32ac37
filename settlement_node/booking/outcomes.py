"""What a mined, undone or final transaction means for its settlement and redemptions.

Each function writes into the commit at hand, so that a transaction, its settlement, its
redemptions, the ledger and the outbox never disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.booking.bookkeeping import post_not_owed, post_paid, post_unpaid
from settlement_node.booking.holds import place_hold
from settlement_node.chain.contracts.logs import incomplete_batch
from settlement_node.chain.contracts.reverts import skip_words
from settlement_node.chain.contracts.settler import decode_settler_events
from settlement_node.domain.lifecycle import (
    RedemptionFact,
    RedemptionStatus,
    TransactionFact,
    TransactionOutcome,
)
from settlement_node.domain.observations import (
    BatchSettledEvent,
    Receipt,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SkipReason,
)
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.skips import SHARED_SKIPS, TEMPORARY_SKIPS
from settlement_node.errors import InvariantBroken, Transient
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import (
    AttemptRow,
    FundRow,
    ItemRow,
    RedemptionRow,
    SettlementRow,
    TransactionRow,
)
from settlement_node.store.tables import AttemptKind, ItemOutcome, SettlementStatus
from settlement_node.units import ZERO_HASH, Hex32

SKIPS_MAX = 3
"""Most often one redemption is skipped on the chain before a person must decide."""


def record_mined(
    tx: Tx, row: TransactionRow, attempt: AttemptRow, receipt: Receipt
) -> TransactionRow:
    """A receipt on the canonical chain: book which attempt was mined and what it paid.

    Raises InvariantBroken when the settler says it paid something else than was ordered, Transient
    when the receipt lacks some of its logs.
    """
    mined = transactions.record_fact(
        tx,
        row,
        TransactionFact.MINED,
        mined_attempt_hash=attempt.attempt_hash,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        evm_succeeded=receipt.succeeded,
        gas_used=receipt.gas_used,
        effective_gas_price_wei=receipt.effective_gas_price_wei,
    )
    settlement = settlements.of_transaction(tx, row.transaction_id)
    if settlement is None or attempt.kind is AttemptKind.CANCEL or not receipt.succeeded:
        return mined
    fund = get_fund(tx, settlement.fund_id)
    events = decode_settler_events(receipt.logs, settler_address=settlement.settler_address)
    if incomplete_batch(events) or not any(isinstance(e, BatchSettledEvent) for e in events):
        raise Transient(
            f"an endpoint left out logs of the receipt of {receipt.transaction_hash};"
            " it is asked for again"
        )
    lane = lane_key(row.chain_id, row.signer_address)
    time = chain_book.timestamp_seconds(tx, lane, receipt.block_hash)
    chain_book.record_events(
        tx,
        row.chain_id,
        events,
        timestamps_seconds={} if time is None else {receipt.block_number: time},
    )
    paid = {e.redemption_id_hex: e for e in events if isinstance(e, RedemptionSettledEvent)}
    skipped = {e.redemption_id_hex: e for e in events if isinstance(e, RedemptionSkippedEvent)}
    items = settlements.items_of(tx, settlement.settlement_id)
    rows = redemptions.get_many(tx, [item.redemption_id for item in items])
    for item in items:
        redemption = rows[item.redemption_id]
        if item.redemption_id in paid:
            _check_paid(item, redemption, paid[item.redemption_id])
            settlements.set_item(tx, item, outcome=ItemOutcome.SETTLED, live=True)
            settled = redemptions.record_fact(
                tx,
                redemption,
                RedemptionFact.PAYMENT_MINED,
                detail={
                    "transaction_hash": receipt.transaction_hash,
                    "block_number": receipt.block_number,
                    "block_hash": receipt.block_hash,
                },
            )
            post_paid(tx, fund, settled)
        elif item.redemption_id in skipped:
            event = skipped[item.redemption_id]
            settlements.set_item(
                tx,
                item,
                outcome=ItemOutcome.SKIPPED,
                live=True,
                skip_reason=event.skip_reason.value,
                skip_detail=skip_words(event.skip_reason, event.detail, fund.error_signatures),
            )
        else:
            raise InvariantBroken(
                f"the settler said nothing about redemption {item.redemption_id}"
                f" in {receipt.transaction_hash}",
                redemption_id=item.redemption_id,
            )
    return mined


def _check_paid(item: ItemRow, row: RedemptionRow, event: RedemptionSettledEvent) -> None:
    ordered = (
        row.investor_address,
        row.payee_address,
        item.shares_base_units,
        item.payout_base_units,
        row.redemption_index,
    )
    happened = (
        event.investor_address,
        event.payee_address,
        event.shares_base_units,
        event.payout_base_units,
        event.redemption_index,
    )
    if ordered != happened:
        raise InvariantBroken(
            f"the settler paid redemption {row.redemption_id} otherwise than ordered:"
            f" ordered {ordered}, happened {happened}",
            redemption_id=row.redemption_id,
        )


def undo_mined(tx: Tx, row: TransactionRow) -> TransactionRow:
    """The block went away: the transaction is sent again, its payments are undone."""
    undone = transactions.record_fact(
        tx,
        row,
        TransactionFact.UNMINED,
        mined_attempt_hash=None,
        block_number=None,
        block_hash=None,
        evm_succeeded=None,
        gas_used=None,
        effective_gas_price_wei=None,
    )
    settlement = settlements.of_transaction(tx, row.transaction_id)
    if settlement is None:
        return undone
    fund = get_fund(tx, settlement.fund_id)
    items = settlements.items_of(tx, settlement.settlement_id)
    rows = redemptions.get_many(tx, [item.redemption_id for item in items])
    for item in items:
        if item.outcome is ItemOutcome.PENDING:
            continue
        settlements.set_item(tx, item, outcome=ItemOutcome.PENDING, live=True)
        redemption = rows[item.redemption_id]
        if redemption.status is RedemptionStatus.PAID:
            settling = redemptions.record_fact(
                tx,
                redemption,
                RedemptionFact.PAYMENT_UNDONE,
                detail={"block_number": row.block_number, "block_hash": row.block_hash},
            )
            post_unpaid(tx, fund, settling)
    return undone


def record_displaced(tx: Tx, row: TransactionRow) -> None:
    """A stranger's transaction is final at our nonce and a person accepted it: ours can never be
    mined, so its settlement is void."""
    outcome = TransactionOutcome.VOID
    transactions.record_fact(
        tx, row, TransactionFact.DISPLACED, outcome=outcome.value, final_at_utc=tx.now_utc
    )
    settlement = settlements.of_transaction(tx, row.transaction_id)
    if settlement is not None:
        items = settlements.items_of(tx, settlement.settlement_id)
        rows = redemptions.get_many(tx, [item.redemption_id for item in items])
        fund = get_fund(tx, settlement.fund_id)
        _void(tx, fund, row, settlement, items, rows, outcome, at_fault=False)


def record_final(
    tx: Tx, row: TransactionRow, *, mined_kind: AttemptKind, refused_whole: bool = False
) -> TransactionOutcome:
    """The block is final: settle, or void and free the redemptions for another batch.

    `refused_whole` says that the settler refused a reverted batch for a reason that lies in none
    of its items, such as a pause.
    """
    if mined_kind is AttemptKind.CANCEL:
        outcome = TransactionOutcome.VOID
    elif row.evm_succeeded:
        outcome = TransactionOutcome.SUCCEEDED
    else:
        outcome = TransactionOutcome.REVERTED
    transactions.record_fact(
        tx, row, TransactionFact.FINALISED, outcome=outcome.value, final_at_utc=tx.now_utc
    )
    settlement = settlements.of_transaction(tx, row.transaction_id)
    if settlement is None:
        return outcome
    fund = get_fund(tx, settlement.fund_id)
    items = settlements.items_of(tx, settlement.settlement_id)
    rows = redemptions.get_many(tx, [item.redemption_id for item in items])
    if outcome is TransactionOutcome.SUCCEEDED:
        settlements.end_settlement(tx, settlement, SettlementStatus.SETTLED)
        for item in items:
            _settle_item(tx, fund, item, rows[item.redemption_id])
    else:
        at_fault = (
            row.refused_words is not None
            if outcome is TransactionOutcome.VOID
            else not refused_whole and _ratchet_fitted(tx, row.chain_id, settlement)
        )
        _void(tx, fund, row, settlement, items, rows, outcome, at_fault=at_fault)
    return outcome


def _settle_item(tx: Tx, fund: FundRow, item: ItemRow, row: RedemptionRow) -> None:
    if item.outcome is ItemOutcome.SETTLED:
        redemptions.record_fact(
            tx,
            row,
            RedemptionFact.PAYMENT_FINAL,
            changes={"settled_at_utc": tx.now_utc},
        )
        return
    reason = SkipReason(item.skip_reason or SkipReason.INVALID_ITEM.value)
    settlements.set_item(
        tx,
        item,
        outcome=ItemOutcome.SKIPPED,
        live=False,
        skip_reason=item.skip_reason,
        skip_detail=item.skip_detail,
    )
    post_not_owed(tx, fund, row)
    if reason in TEMPORARY_SKIPS or _preflight_can_tell(tx, row, reason):
        redemptions.record_fact(
            tx, row, RedemptionFact.SETTLEMENT_VOIDED, detail={"skip_reason": reason.value}
        )
        return
    why = (item.skip_detail or "")[:500]
    redemptions.record_fact(
        tx,
        row,
        RedemptionFact.ITEM_SKIPPED,
        changes={"hold_reason": HoldReason(reason.value).value, "hold_detail": why},
        detail={"hold_reason": reason.value, "hold_detail": why},
    )


def _preflight_can_tell(tx: Tx, row: RedemptionRow, reason: SkipReason) -> bool:
    """Whether a skip may be the fault of something all items share, a paused token or an empty
    treasury. Such an item goes back to planning, where the preflight holds it or waits with it;
    one that passes there and is skipped on the chain again and again is held."""
    if reason not in SHARED_SKIPS:
        return False
    earlier = settlements.items_of_redemption(tx, row.redemption_id)
    return sum(item.outcome is ItemOutcome.SKIPPED for item in earlier) < SKIPS_MAX


def _void(
    tx: Tx,
    fund: FundRow,
    transaction: TransactionRow,
    settlement: SettlementRow,
    items: Sequence[ItemRow],
    rows: dict[Hex32, RedemptionRow],
    outcome: TransactionOutcome,
    *,
    at_fault: bool,
) -> None:
    """Free the redemptions. Those of a batch that reverted on their account, or that no endpoint
    would take (`at_fault`), go on in smaller batches; alone, one is held. A batch refused because
    the ratchet had moved or the settler was paused is no fault of its items."""
    settlements.end_settlement(tx, settlement, SettlementStatus.VOID)
    for item in items:
        row = rows[item.redemption_id]
        post_not_owed(tx, fund, row)
        if at_fault and settlement.items_count == 1:
            place_hold(tx, row, *_why_held(transaction))
            continue
        redemptions.record_fact(
            tx,
            row,
            RedemptionFact.SETTLEMENT_VOIDED,
            changes={"reverted_batch_size": settlement.items_count} if at_fault else {},
            detail={
                "settlement_id": settlement.settlement_id,
                "transaction_hash": transaction.mined_attempt_hash,
                "outcome": outcome.value,
            },
        )


def _why_held(transaction: TransactionRow) -> tuple[HoldReason, str]:
    """Reason and detail for the one redemption of a batch that failed whole."""
    if transaction.refused_words is not None:
        return (
            HoldReason.BATCH_REFUSED,
            f"no endpoint takes its transaction: {transaction.refused_words}",
        )
    return HoldReason.BATCH_REVERTED, f"transaction {transaction.mined_attempt_hash} reverted"


def _ratchet_fitted(tx: Tx, chain_id: int, settlement: SettlementRow) -> bool:
    """Whether the batch followed the settler's hash when it was mined: its predecessor is on the
    chain and nobody else moved on from there."""
    settler = settlement.settler_address
    previous = settlement.previous_batch_hash
    if previous != ZERO_HASH and chain_book.batch_event(tx, chain_id, settler, previous) is None:
        return False
    return chain_book.batch_after(tx, chain_id, settler, previous) is None
