"""One redemption's whole story, from a dozen queries whatever its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from settlement_node.api.context import ApiContext
from settlement_node.api.redemptions.payments import payments_of
from settlement_node.api.redemptions.schemas import (
    FactOut,
    ParticipationOut,
    PostingOut,
    RedemptionDetailOut,
    WaitingOut,
    redemption_fields,
)
from settlement_node.api.transactions.schemas import TransactionOut
from settlement_node.domain.engine.finality import FinalityPolicy
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.domain.waiting import Waiting, WaitingFor, obstacles_of, waiting_for
from settlement_node.errors import NotFound
from settlement_node.reads.standing import read_standing
from settlement_node.store.book import ledger, redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.engine import settlements
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.engine.transactions import attempts_of
from settlement_node.store.rows import (
    FundRow,
    ItemRow,
    RedemptionRow,
    SettlementRow,
    TransactionRow,
)
from settlement_node.store.telling import records
from settlement_node.store.telling.overview import settlements_by_id, transactions_by_id
from settlement_node.units import Hex32


def tell(context: ApiContext, tx: ReadTx, redemption_id: Hex32) -> RedemptionDetailOut:
    """Everything the book knows of a redemption; raises NotFound."""
    row = redemptions.get(tx, redemption_id)
    if row is None:
        raise NotFound(f"there is no redemption {redemption_id}", field="redemption_id")
    fund = get_fund(tx, row.fund_id)
    head = chain_book.latest_head(tx, lane_key(fund.chain_id, fund.lane_address))
    head_number = None if head is None else head[0]
    finality = context.finality(fund.chain_id)
    items = settlements.items_of_redemption(tx, redemption_id)
    batches = settlements_by_id(tx, [item.settlement_id for item in items])
    carried = transactions_by_id(tx, [batch.transaction_id for batch in batches.values()])
    attempts = attempts_of(tx, list(carried))
    shown = {
        key: TransactionOut.of(t, attempts[key], head_number=head_number, finality=finality)
        for key, t in carried.items()
    }
    live = _live_transaction(items, batches, carried)
    return RedemptionDetailOut(
        **redemption_fields(row),
        waiting_for=[
            WaitingOut(
                waiting_for=w.on,
                confirmations_blocks=w.confirmations_blocks,
                confirmations_needed_blocks=w.confirmations_needed_blocks,
                detail=w.detail,
            )
            for w in _waiting(
                tx,
                fund,
                row,
                live,
                head_number=head_number,
                finality=finality,
                now_utc=context.store.database_now(tx.connection),
            )
        ],
        facts=_facts(tx, redemption_id),
        settlements=[_participation(item, batches[item.settlement_id], shown) for item in items],
        payments=payments_of(tx, fund, row, items, batches, carried),
        ledger=_postings(tx, redemption_id),
    )


def _live_transaction(
    items: Sequence[ItemRow],
    batches: Mapping[int, SettlementRow],
    carried: Mapping[int, TransactionRow],
) -> TransactionRow | None:
    for item in reversed(items):
        if item.live:
            return carried[batches[item.settlement_id].transaction_id]
    return None


def _waiting(
    tx: ReadTx,
    fund: FundRow,
    row: RedemptionRow,
    live: TransactionRow | None,
    *,
    head_number: int | None,
    finality: FinalityPolicy | None,
    now_utc: datetime,
) -> tuple[Waiting, ...]:
    """By the functions the stages decide by. What only the chain can say (liquidity, limits, a
    paused token) the plan stage has noted on the row."""
    obstacles = obstacles_of(
        read_standing(tx, fund),
        settle_after_utc=row.settle_after_utc,
        noted=None if row.waiting_on is None else WaitingFor(row.waiting_on),
        now_utc=now_utc,
    )
    mined = None if live is None else live.block_number
    return waiting_for(
        row.status,
        obstacles=obstacles,
        attempt_sent=live is not None
        and live.status not in (TransactionStatus.PLANNED, TransactionStatus.SIGNED),
        confirmations_blocks=(
            None if mined is None or head_number is None else max(head_number - mined, 0)
        ),
        confirmations_needed_blocks=None if finality is None else finality.confirmations_blocks,
        hold_reason=row.hold_reason,
    )


def _facts(tx: ReadTx, redemption_id: Hex32) -> list[FactOut]:
    return [
        FactOut(
            at_utc=fact["at_utc"],
            fact=fact["action"],
            actor=fact["actor"],
            detail=fact["detail"],
        )
        for fact in records.audit_of(tx, "redemption", redemption_id)
    ]


def _participation(
    item: ItemRow, batch: SettlementRow, shown: Mapping[int, TransactionOut]
) -> ParticipationOut:
    return ParticipationOut(
        settlement_id=batch.settlement_id,
        settlement_status=batch.status,
        item_position=item.item_position,
        outcome=item.outcome,
        skip_reason=item.skip_reason,
        skip_detail=item.skip_detail,
        payout_base_units=str(item.payout_base_units),
        batch_hash=batch.batch_hash,
        transaction=shown[batch.transaction_id],
    )


def _postings(tx: ReadTx, redemption_id: Hex32) -> list[PostingOut]:
    return [
        PostingOut(
            journal=posting["journal"],
            asset_address=posting["asset_address"],
            debit_account=posting["debit_account"],
            credit_account=posting["credit_account"],
            units_base_units=str(posting["units_base_units"]),
            posted_at_utc=posting["posted_at_utc"],
        )
        for posting in ledger.postings_of(tx, redemption_id)
    ]
