"""One redemption's whole story, from a dozen queries whatever its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from settlement_node.chain.context import ChainContext
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.domain.postings import Account
from settlement_node.domain.waiting import Standing, Waiting, WaitingFor, obstacles_of, waiting_for
from settlement_node.reads.payments import PaymentOut, payments_of
from settlement_node.reads.redemptions import RedemptionOut
from settlement_node.reads.shapes import AddressOut, Answer, BaseUnitsOut, HashOut
from settlement_node.reads.standing import read_standing
from settlement_node.reads.transactions import TransactionOut, tell_transactions
from settlement_node.store.book import ledger, redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements
from settlement_node.store.rows import ItemRow, RedemptionRow, SettlementRow
from settlement_node.store.tables import ItemOutcome, SettlementStatus
from settlement_node.store.telling import records
from settlement_node.store.telling.overview import settlements_by_id
from settlement_node.units import Hex32


class WaitingOut(Answer):
    """One thing an unfinished redemption waits for."""

    waiting_for: WaitingFor
    confirmations_blocks: int | None = Field(description="For confirmations: how many there are,")
    confirmations_needed_blocks: int | None = Field(description="of how many.")
    detail: str | None


class FactOut(Answer):
    """Something that happened to it, and who recorded it."""

    at_utc: datetime
    fact: str = Field(examples=["settlement_planned"])
    actor: str = Field(examples=["api:treasury"])
    detail: dict[str, Any]


class ParticipationOut(Answer):
    """A settlement it was in, with what came of it there."""

    settlement_id: int
    settlement_status: SettlementStatus
    item_position: int
    outcome: ItemOutcome
    skip_reason: str | None
    skip_detail: str | None
    payout_base_units: BaseUnitsOut
    batch_hash: HashOut
    transaction: TransactionOut


class PostingOut(Answer):
    """One movement in the double-entry ledger."""

    journal: str
    asset_address: AddressOut
    debit_account: Account
    credit_account: Account
    units_base_units: BaseUnitsOut
    posted_at_utc: datetime


class RedemptionDetailOut(RedemptionOut):
    """A redemption with its whole story, oldest first."""

    waiting_for: list[WaitingOut]
    facts: list[FactOut]
    settlements: list[ParticipationOut]
    payments: list[PaymentOut]
    ledger: list[PostingOut]


def read_story(
    store: Store, chains: Mapping[int, ChainContext], redemption_id: Hex32
) -> RedemptionDetailOut:
    """Everything the book knows of a redemption; raises NotFound."""
    with store.read() as tx:
        row = redemptions.get_known(tx, redemption_id)
        fund = get_fund(tx, row.fund_id)
        items = settlements.items_of_redemption(tx, redemption_id)
        batches = settlements_by_id(tx, [item.settlement_id for item in items])
        carried = tell_transactions(tx, chains, {b.transaction_id for b in batches.values()})
        parts = [_part(item, batches[item.settlement_id], carried) for item in items]
        live = [part.transaction for part, item in zip(parts, items, strict=True) if item.live]
        paid = {part.transaction.mined_attempt_hash: part.payout_base_units for part in parts}
        now_utc = store.database_now(tx.connection)
        return RedemptionDetailOut.of(
            row,
            waiting_for=_waiting(row, read_standing(tx, fund), live[-1:], now_utc=now_utc),
            facts=[
                FactOut.of(fact, fact=fact["action"])
                for fact in records.audit_of(tx, "redemption", redemption_id)
            ],
            settlements=parts,
            payments=payments_of(tx, fund, row, paid),
            ledger=[PostingOut.of(posting) for posting in ledger.postings_of(tx, redemption_id)],
        )


def _part(
    item: ItemRow, batch: SettlementRow, carried: Mapping[int, TransactionOut]
) -> ParticipationOut:
    return ParticipationOut.of(
        item,
        settlement_status=batch.status,
        batch_hash=batch.batch_hash,
        transaction=carried[batch.transaction_id],
    )


def _waiting(
    row: RedemptionRow, standing: Standing, live: Sequence[TransactionOut], *, now_utc: datetime
) -> tuple[Waiting, ...]:
    """By the functions the stages decide by, `live` being the transaction it is in, if any. What
    only the chain can say (liquidity, limits, a paused token) the plan stage has noted on the
    row."""
    obstacles = obstacles_of(
        standing,
        settle_after_utc=row.settle_after_utc,
        noted=None if row.waiting_on is None else WaitingFor(row.waiting_on),
        now_utc=now_utc,
    )
    unsent = (TransactionStatus.PLANNED, TransactionStatus.SIGNED)
    block = live[0].block if live else None
    return waiting_for(
        row.status,
        obstacles=obstacles,
        attempt_sent=any(transaction.status not in unsent for transaction in live),
        confirmations_blocks=None if block is None else block.confirmations_blocks,
        confirmations_needed_blocks=None if block is None else block.confirmations_needed_blocks,
        hold_reason=row.hold_reason,
    )
