"""Booking what the chain shows as paid and this book did not settle: judged as our own would be.

After a restore these are the payments of the lost book; otherwise somebody else has the lane's key.
Either way the booked payout is the chain's, and what differs from the order, its date or the
fund's price is a money break until a person closes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from settlement_node.domain.breaks import AmountsDiffer, FundBreak, Parties
from settlement_node.domain.found import FoundPayment, Judgement, PastTerms, judge
from settlement_node.domain.lifecycle import RedemptionFact
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.domain.reconciliation import price_difference
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.store.book import payments, redemptions
from settlement_node.store.book.redemptions import Advance
from settlement_node.store.book.terms import terms_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow, RedemptionRow, SettlerEventRow
from settlement_node.store.telling.attention import open_break
from settlement_node.units import Payout, Shares


def find_settled(tx: Tx, fund: FundRow, *, limit: int) -> int:
    """After a replay: book every waiting redemption that final events show as paid."""
    final_number = chain_book.highest_final(tx, lane_key(fund.chain_id, fund.lane_address))
    waiting = payments.waiting_but_settled(tx, fund, final_number=final_number, limit=limit)
    paid = chain_book.settled_events(tx, fund.chain_id, [row.redemption_id for row in waiting])
    record_found_settled(tx, fund, [(row, paid[row.redemption_id]) for row in waiting])
    return len(waiting)


def record_found_settled(
    tx: Tx, fund: FundRow, found: Sequence[tuple[RedemptionRow, SettlerEventRow]]
) -> list[RedemptionRow]:
    """The chain shows these redemptions as paid: book them so, with the chain's own figures. Where
    these are not what our own payment would have been, a money break opens in the same commit."""
    if not found:
        return []
    history = terms_of(tx, fund)
    judgements = [
        judged(row, event, history, timestamp_seconds=event.block_timestamp_seconds)
        for row, event in found
    ]
    settled = redemptions.record_facts(
        tx,
        [
            _advance(row, event, judgement)
            for (row, event), judgement in zip(found, judgements, strict=True)
        ],
    )
    for (row, event), judgement in zip(found, judgements, strict=True):
        for difference in _differences(row, event, judgement):
            open_break(tx, fund, difference)
    return settled


def is_as_ordered(row: RedemptionRow | RedemptionOrder, event: SettlerEventRow) -> bool:
    """Whether the chain paid to whom and for what the order says."""
    ordered = (row.investor_address, row.payee_address, row.shares_base_units)
    return ordered == (event.investor_address, event.payee_address, event.shares_base_units)


def judged(
    row: RedemptionRow,
    event: SettlerEventRow | RedemptionSettledEvent,
    history: Sequence[PastTerms],
    *,
    timestamp_seconds: int | None,
) -> Judgement:
    """What our own payment of this order would have been, and what is wrong with the found one."""
    return judge(
        FoundPayment(
            shares_base_units=Shares(event.shares_base_units or 0),
            payout_base_units=Payout(event.payout_base_units or 0),
            waited_from_utc=_waited_from(row),
            settle_after_utc=row.settle_after_utc,
            paid_at_utc=(
                None
                if timestamp_seconds is None
                else datetime.fromtimestamp(timestamp_seconds, UTC)
            ),
        ),
        history,
    )


def _waited_from(row: RedemptionRow) -> datetime:
    since: Iterable[datetime | None] = (row.approved_at_utc, row.settle_after_utc)
    return max([row.requested_at_utc, *(at for at in since if at is not None)])


def _advance(row: RedemptionRow, event: SettlerEventRow, judgement: Judgement) -> Advance:
    """The fact, with the figures of the chain."""
    expected = judgement.expected_base_units
    return Advance(
        row,
        RedemptionFact.FOUND_SETTLED,
        changes={
            "payout_base_units": event.payout_base_units,
            "found_block_number": event.block_number,
        },
        detail={
            "transaction_hash": event.transaction_hash,
            "block_number": event.block_number,
            "payout_base_units": str(event.payout_base_units),
            "expected_payout_base_units": None if expected is None else str(expected),
        },
        burned_base_units=event.shares_base_units,
    )


def _differences(
    row: RedemptionRow, event: SettlerEventRow, judgement: Judgement
) -> Iterator[FundBreak]:
    """What a person must look at."""
    if not is_as_ordered(row, event):
        yield _otherwise_than_ordered(row, event)
    yield from price_difference(
        row.redemption_id,
        judgement,
        paid_base_units=Payout(event.payout_base_units or 0),
        transaction_hash=event.transaction_hash,
    )


def _otherwise_than_ordered(row: RedemptionRow, event: SettlerEventRow) -> AmountsDiffer:
    assert event.investor_address is not None
    assert event.payee_address is not None
    assert event.shares_base_units is not None
    assert event.payout_base_units is not None
    payout = event.payout_base_units
    return AmountsDiffer(
        row.redemption_id,
        Parties(row.investor_address, row.payee_address, row.shares_base_units, payout),
        Parties(event.investor_address, event.payee_address, event.shares_base_units, payout),
        event.transaction_hash,
    )
