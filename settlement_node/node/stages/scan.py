"""Reading settler events into the book: at start-up the whole history, then every new block.

The events are the chain's own record of what was paid. They are read for every settler the fund
ever had, whoever sent the batches, so that neither a lost database nor a second node can make
this one pay again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import structlog
from sqlalchemy import RowMapping

from settlement_node.booking import breaks
from settlement_node.booking.found import find_settled
from settlement_node.booking.undo import undo_events
from settlement_node.domain.observations import (
    BatchSettledEvent,
    RedemptionSettledEvent,
    SettlerEvent,
)
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import Lane
from settlement_node.node.stages.settlers import know_predecessors
from settlement_node.node.work import FundWork
from settlement_node.store.book import orders
from settlement_node.store.book.funds import lock_fund_to_plan, raise_next_index
from settlement_node.store.book.settlers import set_scanned, settlers_of
from settlement_node.store.chain_memory import chain_book, foreign
from settlement_node.store.database import Tx
from settlement_node.store.rows import FundRow, SettlerEventRow
from settlement_node.units import ZERO_HASH, Address, Hex32

log = structlog.get_logger(__name__)
INDEX_BOUND = 2**62
"""ItemData.sol: no settler settles an index from here on, so an event with one is made up."""


def scan(lane: Lane) -> int:
    """Bring every settler of the lane's funds up to the lane's head; returns new events.

    Bounded by pages: each page is one read of the chain and one commit, so a long history resumes
    where it was left. A fund that could not be read keeps none of the others back: it is named in
    `lane.unscanned`, with the reason.
    """
    unscanned: dict[str, str] = {}
    found = 0
    for fund_id, work in lane.work().funds.items():
        try:
            found += _scan_fund(lane, work)
        except (Transient, Refused) as error:
            log.warning("scan_later", fund_id=fund_id, reason=error.message)
            unscanned[fund_id] = error.message
    lane.unscanned = unscanned
    return found


def _scan_fund(lane: Lane, work: FundWork) -> int:
    fund = work.fund
    settlers = know_predecessors(lane, work)
    found = sum(_scan_settler(lane, fund, settler) for settler in settlers)
    while lane.work().funds[fund.fund_id].has_found and _find_settled(lane, fund):
        pass
    if lane.work().funds[fund.fund_id].has_breaks:
        close_booked(lane, fund)
    return found


def _scan_settler(lane: Lane, fund: FundRow, settler: RowMapping) -> int:
    """Read page after page up to the head. The batches must follow one another and end where the
    settler's own hash stands: an endpoint that leaves out a whole transaction shows so."""
    address = Address(settler["settler_address"])
    first = start = settler["scanned_to_block"] + 1
    found = 0
    if first <= lane.head.number:
        lane.memory.whole.discard(address)
    while start <= lane.head.number:
        end = min(start + lane.policy.log_page_blocks - 1, lane.head.number)
        new = _scan_page(lane, fund, settler, start, end)
        if new is None:
            raise Transient("a reorganisation is under way; the events are read again")
        found += new
        if start != first:
            log.info(
                "replaying_events",
                fund_id=fund.fund_id,
                settler=address,
                block_number=end,
                head_number=lane.head.number,
            )
        start = end + 1
    if address not in lane.memory.whole and start == lane.head.number + 1:
        with lane.store.read() as tx:
            tip = chain_book.ratchet_tip(tx, lane.chain_id, address)
        if lane.chain.client.batch_hash(address) != _hash_of(tip):
            _read_again(lane, fund, address, tip)
        lane.memory.whole.add(address)
    return found


def _check_follows(
    lane: Lane, fund: FundRow, settler: Address, batches: Sequence[BatchSettledEvent], *, start: int
) -> None:
    with lane.store.read() as tx:
        tip = chain_book.ratchet_tip(tx, lane.chain_id, settler, below_block=start)
    last_hash = _hash_of(tip)
    for batch in batches:
        if batch.previous_batch_hash != last_hash:
            _read_again(lane, fund, settler, tip)
        last_hash = batch.batch_hash


def _hash_of(tip: SettlerEventRow | None) -> Hex32:
    return ZERO_HASH if tip is None or tip.batch_hash is None else tip.batch_hash


def _read_again(
    lane: Lane, fund: FundRow, settler: Address, tip: SettlerEventRow | None
) -> NoReturn:
    """Batches behind the last known one are missing: go back there, and act on nothing before. If
    the last known one is itself of a chain that is gone, it is forgotten."""
    if tip is not None:
        block = lane.chain.client.blocks([tip.block_number]).get(tip.block_number)
        if block is not None and block.block_hash != tip.block_hash:
            with lane.commit() as tx:
                undo_events(tx, fund, first_undone_number=tip.block_number)
            raise Transient(
                f"a batch of settler {settler} in block {tip.block_number} is no longer on the"
                " chain; the events are read again from there"
            )
    with lane.commit() as tx:
        from_block = next(
            row["from_block"]
            for row in settlers_of(tx, fund.fund_id)
            if row["settler_address"] == settler
        )
        start = from_block if tip is None else max(tip.block_number, from_block)
        # Forgotten too, not only read again: the last known batch may be the one that never was.
        chain_book.forget_events(tx, lane.chain_id, fund.fund_id, settler, from_number=start)
    raise Transient(
        f"events of settler {settler} from block {start} on are incomplete: an endpoint left some"
        " out, or settler_from_block is later than its first batch; they are read again",
        settler_address=settler,
        from_block=start,
    )


def _find_settled(lane: Lane, fund: FundRow) -> int:
    """Book a batch of waiting redemptions that the chain shows as paid; returns how many."""
    with lane.commit("found") as tx:
        return find_settled(tx, fund, limit=lane.policy.intake_batch_max)


def _free_taken_indexes(tx: Tx, fund: FundRow, events: Sequence[SettlerEvent]) -> None:
    """A lost book was filled again before its settlers were replayed, and gave an index that the
    chain had used for another redemption: the settler would refuse it for ever. If nothing of it
    was ever signed, it gets a new one; otherwise the settler's word keeps it held."""
    used = {
        e.redemption_index: e.redemption_id_hex
        for e in events
        if isinstance(e, RedemptionSettledEvent) and e.redemption_index < INDEX_BOUND
    }
    for row in orders.colliding(tx, fund.fund_id, used):
        changed = orders.give_new_index(tx, fund, row)
        log.warning(
            "index_taken",
            fund_id=fund.fund_id,
            redemption_id=row.redemption_id,
            is_changed=changed,
        )


def _scan_page(lane: Lane, fund: FundRow, row: RowMapping, start: int, end: int) -> int | None:
    """One page into the book; how many events were new, None when the chain moved meanwhile."""
    settler = Address(row["settler_address"])
    events = lane.chain.client.settler_events([settler], from_block=start, to_block=end)
    # The head may have moved since: their blocks must still be the agreed ones.
    blocks = lane.chain.client.blocks(sorted({e.place.block_number for e in events}))
    for event in events:
        block = blocks.get(event.place.block_number)
        if block is None or block.block_hash != event.place.block_hash:
            return None
    batches = [event for event in events if isinstance(event, BatchSettledEvent)]
    if batches:
        _check_follows(lane, fund, settler, batches, start=start)
    is_plain = not events and row["history_read_at_utc"] is not None
    with lane.commit("scan", keeps_work=is_plain) as tx:
        # Against who deletes events, and no more: orders are taken in meanwhile, and nobody else
        # writes a page or a plan of this lane under its lease.
        lock_fund_to_plan(tx, fund.fund_id)
        new = chain_book.record_events(
            tx,
            lane.chain_id,
            events,
            timestamps_seconds={n: block.timestamp_seconds for n, block in blocks.items()},
        )
        settled = [e.redemption_index for e in events if isinstance(e, RedemptionSettledEvent)]
        raise_next_index(tx, fund.fund_id, settled)
        _free_taken_indexes(tx, fund, events)
        foreign.note_batches(
            tx, fund.fund_id, lane.chain_id, settler, [batch.batch_hash for batch in batches]
        )
        set_scanned(tx, fund.fund_id, settler, from_block=start, to_block=end)
    return new


def close_booked(lane: Lane, fund: FundRow) -> int:
    """Close the breaks of payments that the book lacked and has by now: their orders were entered
    again after a restore, say. Goes by the final events in the book; returns how many."""
    with lane.store.read() as tx:
        if not breaks.booked(tx, lane.key, fund):
            return 0
    with lane.commit() as tx:
        closed = breaks.close(tx, breaks.booked(tx, lane.key, fund))
    log.info("breaks_explained", fund_id=fund.fund_id, count=closed)
    return closed
