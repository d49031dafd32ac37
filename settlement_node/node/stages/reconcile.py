"""Reconcile: book, settler events, token transfers, supply and treasury, over final blocks.

Runs on its own interval and on demand. It reads the chain afresh, writes a run and its breaks, and
changes nothing else: an open money break is what stops planning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import RowMapping

from settlement_node.booking.breaks import book_entry, close_shown
from settlement_node.domain.attention import Alert, AlertKind, OfFund
from settlement_node.domain.breaks import FundBreak, PriceDiffers, RatchetGap
from settlement_node.domain.engine.finality import behind_final
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import (
    BatchSettledEvent,
    RedemptionSettledEvent,
    TransferEvent,
)
from settlement_node.domain.reconciliation import (
    BookEntry,
    ChainRange,
    FundAddresses,
    compare,
    net_flow,
)
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import NodeContext
from settlement_node.node.stages.judge import judge_found
from settlement_node.store.book import payments, redemptions
from settlement_node.store.book.funds import list_funds, lock_fund_to_change
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow
from settlement_node.store.telling import records
from settlement_node.store.telling.attention import (
    count_open_breaks,
    open_break,
    tell,
    was_opened,
)
from settlement_node.units import ZERO_ADDRESS, Address, Hex32

log = structlog.get_logger(__name__)
RANGE_BLOCKS_MAX = 20_000
"""Most blocks of one run; a longer history takes several runs."""
STUCK_AFTER_SECONDS = 900


class AnotherRun(Transient):
    """Another process reconciled the same fund meanwhile; nothing was written."""


@dataclass(frozen=True, slots=True)
class ReconciliationResult:
    """One run. `to_block` equals `from_block` when there was nothing final to compare yet."""

    fund_id: str
    from_block: int
    to_block: int
    settled_count: int
    differences: tuple[FundBreak, ...]
    breaks_opened_count: int
    breaks_open_count: int


def reconcile(context: NodeContext) -> list[ReconciliationResult]:
    """Reconcile every fund whose chain this node knows, up to its last final block."""
    with context.store.read() as tx:
        funds = [fund for fund in list_funds(tx) if fund.chain_id in context.chains]
    results: list[ReconciliationResult] = []
    later: list[str] = []
    for fund in funds:
        try:
            results += reconcile_to_the_end(context, fund)
        except (Transient, Refused) as error:
            # One fund's chain that does not answer keeps none of the others back.
            later.append(f"{fund.fund_id}: {error.message}")
            _note_stuck(context, fund, error.message)
    if later:
        raise Transient("not reconciled this time: " + "; ".join(later))
    return results


def _note_stuck(context: NodeContext, fund: FundRow, why: str) -> None:
    """An alert once a fund could not be reconciled for long; its next run clears it."""
    with context.store.transaction(actor=context.node_id) as tx:
        last = records.last_reconciliation(tx, fund.fund_id)
        since = fund.created_at_utc if last is None else last["ran_at_utc"]
        seconds = int((context.store.clock() - since).total_seconds())
        if seconds >= STUCK_AFTER_SECONDS:
            stuck = f"not reconciled for {seconds} s: {why}"
            tell(tx, Alert(AlertKind.RECONCILIATION_STUCK, OfFund(fund.fund_id), stuck))


def reconcile_now(context: NodeContext, fund: FundRow) -> ReconciliationResult:
    """For a person who asks: to the last final block, as one result. A run that meets another of
    the same fund goes on behind it."""
    try:
        runs = reconcile_to_the_end(context, fund)
    except AnotherRun:
        runs = reconcile_to_the_end(context, fund)
    return ReconciliationResult(
        fund_id=fund.fund_id,
        from_block=runs[0].from_block,
        to_block=runs[-1].to_block,
        settled_count=sum(run.settled_count for run in runs),
        differences=tuple(found for run in runs for found in run.differences),
        breaks_opened_count=sum(run.breaks_opened_count for run in runs),
        breaks_open_count=runs[-1].breaks_open_count,
    )


def reconcile_to_the_end(context: NodeContext, fund: FundRow) -> list[ReconciliationResult]:
    """Run after run until the last final block."""
    results = [reconcile_fund(context, fund)]
    while results[-1].to_block > results[-1].from_block:
        results.append(reconcile_fund(context, fund))
    return results[:-1] or results


def reconcile_fund(context: NodeContext, fund: FundRow) -> ReconciliationResult:
    """One run over at most RANGE_BLOCKS_MAX blocks. Raises Transient when the chain does not
    answer; nothing is written then."""
    with context.store.read() as tx:
        settlers = settlers_of(tx, fund.fund_id)
        last = records.last_reconciliation(tx, fund.fund_id)
        history_end = records.end_of_history(tx, fund.fund_id, run_blocks_max=RANGE_BLOCKS_MAX)
        final = chain_book.highest_final(tx, lane_key(fund.chain_id, fund.lane_address))
    first_block = min(s["from_block"] for s in settlers)
    start = first_block - 1 if last is None else last["to_block"]
    # A long history takes several full runs; until they reach its end, what the book never heard
    # of is history too, also when it is compared again.
    is_history = history_end is None or start < history_end
    scanned = min(s["scanned_to_block"] for s in settlers)
    target = min(final, scanned)
    end = min(target, start + RANGE_BLOCKS_MAX)
    if is_history and history_end is not None:
        end = min(end, history_end)
    if end <= start:
        return _nothing_new(context, fund, start)
    is_last_run = end == target
    addresses = FundAddresses(
        fund_id=fund.fund_id,
        treasury_address=fund.treasury_address,
        settler_addresses=frozenset(Address(s["settler_address"]) for s in settlers),
        burn_style=fund.burn_style,
    )
    client = context.chains[fund.chain_id].client
    words = behind_final(head_number=client.refresh().head.number, known_final_number=end)
    if words is not None:
        raise Transient(words)
    seen = client.settler_events(
        sorted(addresses.settler_addresses), from_block=start + 1, to_block=end
    )
    events = [e for e in seen if isinstance(e, RedemptionSettledEvent)]
    with context.store.read() as tx:
        book, in_flight = _read_book(tx, fund, events, from_block=start, to_block=end)
        times = payments.times_settled(tx, fund.chain_id, list(book))
    unbooked = [e.place.block_number for e in events if e.redemption_id_hex in in_flight]
    if unbooked:
        # Seen here before the tracker booked it; reconcile up to just before and come back.
        end = min(unbooked) - 1
        if end <= start:
            return _nothing_new(context, fund, start)
        events = [e for e in events if e.place.block_number <= end]
        with context.store.read() as tx:
            book, _ = _read_book(tx, fund, events, from_block=start, to_block=end)
    chain = _read_chain(
        context,
        fund,
        events,
        last,
        from_block=start,
        to_block=end,
        is_last_run=is_last_run,
    )
    differences = compare(
        addresses,
        book,
        chain,
        times_settled=times,
        judgements=judge_found(context, fund, book, events),
        is_first_run=is_history,
    )
    differences += _ratchet_differences([e for e in seen if isinstance(e, BatchSettledEvent)])
    return _write(context, fund, chain, differences, last, from_block=start, to_block=end)


def _nothing_new(context: NodeContext, fund: FundRow, start: int) -> ReconciliationResult:
    with context.store.read() as tx:
        still_open = count_open_breaks(tx, fund_id=fund.fund_id)
    return ReconciliationResult(fund.fund_id, start, start, 0, (), 0, still_open)


def _read_book(
    tx: ReadTx,
    fund: FundRow,
    events: list[RedemptionSettledEvent],
    *,
    from_block: int,
    to_block: int,
) -> tuple[dict[Hex32, BookEntry], set[Hex32]]:
    blocks = {"from_block": from_block, "to_block": to_block}
    own = payments.booked_paid_between(tx, fund.fund_id, **blocks)
    booked = own | payments.found_paid_between(tx, fund.fund_id, **blocks)
    ids = list(booked | {e.redemption_id_hex for e in events})
    rows = redemptions.get_many(tx, ids)
    book = {
        row.redemption_id: book_entry(
            row,
            booked_paid=row.redemption_id in booked,
            is_own_payment=row.redemption_id in own,
        )
        for row in rows.values()
    }
    # Each of these becomes settled at the next pass, once its final event is booked.
    waiting = {
        RedemptionStatus.REQUESTED,
        RedemptionStatus.APPROVED,
        RedemptionStatus.HELD,
        RedemptionStatus.SETTLING,
    }
    in_flight = {i for i, entry in book.items() if entry.status in waiting}
    return book, in_flight


def _read_chain(
    context: NodeContext,
    fund: FundRow,
    events: list[RedemptionSettledEvent],
    before: RowMapping | None,
    *,
    from_block: int,
    to_block: int,
    is_last_run: bool,
) -> ChainRange:
    """Events, transfers and, at `to_block`, supply and balance.

    Within a long history an endpoint may no longer have so old a state: there the figures are
    carried forward by the transfers, and the last run, which must have them, compares the sum.
    """
    client = context.chains[fund.chain_id].client
    first, treasury, zero = from_block + 1, fund.treasury_address, ZERO_ADDRESS

    def transfers(token: Address, whose: Address) -> list[TransferEvent]:
        asked = partial(client.transfers, token, from_block=first, to_block=to_block)
        return [*asked(from_address=whose), *asked(to_address=whose)]

    money = transfers(fund.payout_token_address, treasury)
    shares = transfers(fund.share_token_address, zero)
    supply_before = None if before is None else before["share_supply_base_units"]
    treasury_before = None if before is None else before["treasury_base_units"]
    supply_after: int | None
    treasury_after: int | None
    try:
        supply = client.token_view(fund.share_token_address, block=to_block)
        money_view = client.token_view(
            fund.payout_token_address, holders=[treasury], block=to_block
        )
        supply_after = supply.total_supply_base_units
        treasury_after = money_view.balances_base_units[treasury]
    except Transient:
        if is_last_run:
            raise
        supply_after = _carried(supply_before, -net_flow(shares, zero))
        treasury_after = _carried(treasury_before, net_flow(money, treasury))
    return ChainRange(
        events=events,
        treasury_transfers=money,
        share_transfers=shares,
        supply_before_base_units=supply_before,
        supply_after_base_units=supply_after,
        treasury_before_base_units=treasury_before,
        treasury_after_base_units=treasury_after,
    )


def _carried(before: int | None, change: int) -> int | None:
    """A balance that could not be read, by its transfers; None where these cannot be all."""
    return None if before is None or before + change < 0 else before + change


def _ratchet_differences(batches: list[BatchSettledEvent]) -> list[FundBreak]:
    """Within a range each settler's batches must follow one another."""
    tips: dict[Address, Hex32] = {}
    found: list[FundBreak] = []
    for batch in batches:
        settler = batch.place.settler_address
        before = tips.get(settler)
        if before is not None and before != batch.previous_batch_hash:
            found.append(RatchetGap(settler, batch.batch_hash, before, batch.previous_batch_hash))
        tips[settler] = batch.batch_hash
    return found


def _was_judged(tx: Tx, fund: FundRow, found: FundBreak) -> bool:
    """A found payment is judged when it is booked, and again here from what the chain says now; a
    person who has closed the first break is not asked a second time."""
    return isinstance(found, PriceDiffers) and was_opened(
        tx, fund.chain_id, found.kind, found.subject
    )


def _write(
    context: NodeContext,
    fund: FundRow,
    chain: ChainRange,
    differences: list[FundBreak],
    before: RowMapping | None,
    *,
    from_block: int,
    to_block: int,
) -> ReconciliationResult:
    context.checkpoint("reconcile.before_commit")
    with context.store.transaction(actor=context.node_id) as tx:
        lock_fund_to_change(tx, fund.fund_id)
        if records.last_reconciliation(tx, fund.fund_id) != before:
            raise AnotherRun("another reconciliation of this fund ran at the same time")
        opened = sum(
            open_break(tx, fund, found) for found in differences if not _was_judged(tx, fund, found)
        )
        close_shown(tx, fund, chain.events)
        tell(tx, Alert(AlertKind.RECONCILIATION_STUCK, OfFund(fund.fund_id)))
        still_open = count_open_breaks(tx, fund_id=fund.fund_id)
        records.add_reconciliation(
            tx,
            fund_id=fund.fund_id,
            from_block=from_block,
            to_block=to_block,
            share_supply_base_units=chain.supply_after_base_units,
            treasury_base_units=chain.treasury_after_base_units,
            settled_count=len(chain.events),
            breaks_opened_count=opened,
            breaks_open_count=still_open,
        )
    context.checkpoint("reconcile.after_commit")
    if differences:
        log.error("breaks_found", fund_id=fund.fund_id, count=len(differences))
    return ReconciliationResult(
        fund_id=fund.fund_id,
        from_block=from_block,
        to_block=to_block,
        settled_count=len(chain.events),
        differences=tuple(differences),
        breaks_opened_count=opened,
        breaks_open_count=still_open,
    )
