"""What a mined, undone or final transaction means for its settlement and redemptions.

Each function writes into the commit at hand, so that a transaction, its settlement, its
redemptions, the ledger and the outbox never disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from settlement_node.domain.lifecycle import (
    RedemptionFact,
    RedemptionStatus,
    TransactionFact,
    TransactionOutcome,
)
from settlement_node.domain.observations import (
    Receipt,
    RedemptionSettledEvent,
    SkipReason,
)
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.skips import SKIPS, Bearing, SkipMeaning
from settlement_node.errors import InvariantBroken, Transient
from settlement_node.methods import method_of
from settlement_node.methods.port import Incomplete
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.redemptions import Advance
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import (
    AttemptRow,
    ItemRow,
    RedemptionRow,
    SettlementRow,
    TransactionRow,
)
from settlement_node.store.tables import AttemptKind, ItemOutcome, SettlementStatus

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
    says = method_of(fund).read_receipt(settlement, receipt)
    if isinstance(says, Incomplete):
        raise Transient(
            f"an endpoint left out logs of the receipt of {receipt.transaction_hash};"
            " it is asked for again"
        )
    lane = lane_key(row.chain_id, row.signer_address)
    time = chain_book.timestamp_seconds(tx, lane, receipt.block_hash)
    chain_book.record_events(
        tx,
        row.chain_id,
        says.events,
        timestamps_seconds={} if time is None else {receipt.block_number: time},
    )
    items = settlements.items_of(tx, settlement.settlement_id)
    rows = redemptions.get_many(tx, [item.redemption_id for item in items])
    where = {
        "transaction_hash": receipt.transaction_hash,
        "block_number": receipt.block_number,
        "block_hash": receipt.block_hash,
    }
    advances: list[Advance] = []
    happened: list[ItemRow] = []
    for item in items:
        redemption = rows[item.redemption_id]
        came = says.items.get(item.redemption_id)
        if isinstance(came, RedemptionSettledEvent):
            _check_paid(item, redemption, came)
            happened.append(replace(item, outcome=ItemOutcome.SETTLED))
            advances.append(Advance(redemption, RedemptionFact.PAYMENT_MINED, detail=where))
        elif came is not None:
            happened.append(
                replace(
                    item,
                    outcome=ItemOutcome.SKIPPED,
                    skip_reason=came.reason.value,
                    skip_detail=came.words,
                )
            )
        else:
            raise InvariantBroken(
                f"the settler said nothing about redemption {item.redemption_id}"
                f" in {receipt.transaction_hash}",
                redemption_id=item.redemption_id,
            )
    settlements.set_items(tx, happened)
    redemptions.record_facts(tx, advances)
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
    items = settlements.items_of(tx, settlement.settlement_id)
    happened = [item for item in items if item.outcome is not ItemOutcome.PENDING]
    settlements.set_items(
        tx,
        [
            replace(item, outcome=ItemOutcome.PENDING, skip_reason=None, skip_detail=None)
            for item in happened
        ],
    )
    where = {"block_number": row.block_number, "block_hash": row.block_hash}
    rows = redemptions.get_many(tx, [item.redemption_id for item in happened])
    redemptions.record_facts(
        tx,
        [
            Advance(paid, RedemptionFact.PAYMENT_UNDONE, detail=where)
            for paid in rows.values()
            if paid.status is RedemptionStatus.PAID
        ],
    )
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
        _void(tx, row, settlement, _rows_of(tx, items), outcome, at_fault=False)


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
    items = settlements.items_of(tx, settlement.settlement_id)
    rows = _rows_of(tx, items)
    if outcome is TransactionOutcome.SUCCEEDED:
        settlements.end_settlement(tx, settlement, SettlementStatus.SETTLED)
        skipped = [item for item in items if item.outcome is not ItemOutcome.SETTLED]
        settlements.set_items(
            tx, [replace(item, outcome=ItemOutcome.SKIPPED, live=False) for item in skipped]
        )
        redemptions.record_facts(
            tx, [_settled(tx, item, row) for item, row in zip(items, rows, strict=True)]
        )
    else:
        at_fault = (
            row.refused_words is not None
            if outcome is TransactionOutcome.VOID
            else not refused_whole
            and method_of(get_fund(tx, settlement.fund_id)).fitted(tx, settlement)
        )
        _void(tx, row, settlement, rows, outcome, at_fault=at_fault)
    return outcome


def _rows_of(tx: Tx, items: Sequence[ItemRow]) -> list[RedemptionRow]:
    """The redemptions of items, in their order."""
    found = redemptions.get_many(tx, [item.redemption_id for item in items])
    return [found[item.redemption_id] for item in items]


def _settled(tx: Tx, item: ItemRow, row: RedemptionRow) -> Advance:
    """What an item of a final batch means for its redemption."""
    if item.outcome is ItemOutcome.SETTLED:
        return Advance(row, RedemptionFact.PAYMENT_FINAL)
    reason = SkipReason(item.skip_reason or SkipReason.INVALID_ITEM.value)
    meaning = SKIPS[reason]
    if meaning.bearing is Bearing.TEMPORARY or _preflight_can_tell(tx, row, meaning):
        return Advance(row, RedemptionFact.SETTLEMENT_VOIDED, detail={"skip_reason": reason.value})
    fact = RedemptionFact.ITEM_SKIPPED
    return redemptions.hold(row, meaning.hold_reason, item.skip_detail or "", fact=fact)


def _preflight_can_tell(tx: Tx, row: RedemptionRow, meaning: SkipMeaning) -> bool:
    """Whether a skip may be the fault of something all items share, a paused token or an empty
    treasury. Such an item goes back to planning, where the preflight holds it or waits with it;
    one that passes there and is skipped on the chain again and again is held."""
    if meaning.bearing is not Bearing.SHARED:
        return False
    earlier = settlements.items_of_redemption(tx, row.redemption_id)
    return sum(item.outcome is ItemOutcome.SKIPPED for item in earlier) < SKIPS_MAX


def _void(
    tx: Tx,
    transaction: TransactionRow,
    settlement: SettlementRow,
    rows: Sequence[RedemptionRow],
    outcome: TransactionOutcome,
    *,
    at_fault: bool,
) -> None:
    """Free the redemptions. Those of a batch that reverted on their account, or that no endpoint
    would take (`at_fault`), go on in smaller batches; alone, one is held. A batch refused because
    the ratchet had moved or the settler was paused is no fault of its items."""
    settlements.end_settlement(tx, settlement, SettlementStatus.VOID)
    if at_fault and settlement.items_count == 1:
        advances = [redemptions.hold(row, *_why_held(transaction)) for row in rows]
    else:
        changes = {"reverted_batch_size": settlement.items_count} if at_fault else {}
        detail = {
            "settlement_id": settlement.settlement_id,
            "transaction_hash": transaction.mined_attempt_hash,
            "outcome": outcome.value,
        }
        advances = [Advance(row, RedemptionFact.SETTLEMENT_VOIDED, changes, detail) for row in rows]
    redemptions.record_facts(tx, advances)


def _why_held(transaction: TransactionRow) -> tuple[HoldReason, str]:
    """Reason and detail for the one redemption of a batch that failed whole."""
    if transaction.refused_words is not None:
        return (
            HoldReason.BATCH_REFUSED,
            f"no endpoint takes its transaction: {transaction.refused_words}",
        )
    return HoldReason.BATCH_REVERTED, f"transaction {transaction.mined_attempt_hash} reverted"
