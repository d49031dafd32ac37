"""Following the head by hash, and undoing what a reorganisation took back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from settlement_node.booking.undo import undo_from
from settlement_node.chain.views import HeadView
from settlement_node.domain.engine import following
from settlement_node.domain.engine.finality import Fork, final_number, is_answered
from settlement_node.domain.engine.following import (
    Behind,
    BelowFinality,
    Extends,
    Forked,
    HeadSeen,
    Remembered,
    Same,
)
from settlement_node.domain.lane_breaks import LaneStopped, ReorganisationBeyondFinality
from settlement_node.domain.observations import Block
from settlement_node.errors import Transient
from settlement_node.node.context import Head, Lane
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.engine.lanes import set_lane

log = structlog.get_logger(__name__)


def follow_head(lane: Lane) -> HeadSeen:
    """Bring the lane's remembered heads up to the agreed head, in one commit; returns what the
    head was beside them.

    A changed hash undoes what stood on it. Raises LaneStopped for a change below the line once
    called final: nothing is undone and nothing sent again. Raises Transient for a head below that
    line without another hash anywhere, which is no change but endpoints that lag.
    """
    view = lane.chain.client.refresh()
    with lane.store.read() as tx:
        remembered = _remembered(tx, lane, view.head)
        head = _head(lane, view, known_final_number=remembered.final_number)
        lane.begin_pass(tx, final_number=head.final_number)
    row = lane.work().row
    lane.has_nonce = row is not None and row.next_nonce is not None
    if row is not None and row.highest_head_number is not None:
        head = replace(head, highest_number=row.highest_head_number)
    seen = _compare(lane, view.head, remembered)
    match seen:
        case Same():
            if head.final_number > remembered.final_number:
                with lane.commit(keeps_work=True) as tx:
                    chain_book.mark_final(tx, lane.key, up_to_number=head.final_number)
        case Extends(new):
            _remember(lane, head, new, fork=None)
        case Forked(fork, new):
            lane.memory.resting.clear()
            _remember(lane, head, new, fork=fork)
        case Behind(words):
            lane.head = replace(lane.head, is_below_final=True)
            raise Transient(words)
        case BelowFinality(fork):
            final, first = remembered.final_number, fork.first_undone_number
            raise LaneStopped(
                ReorganisationBeyondFinality(lane.chain_id, lane.signer_address, final, first)
            )
    _note_changes(lane, head, is_new=not isinstance(seen, Same))
    lane.head = replace(head, highest_number=max(head.highest_number, head.number))
    return seen


def _remembered(tx: ReadTx, lane: Lane, head: Block) -> Remembered:
    latest = chain_book.latest_head(tx, lane.key)
    final = chain_book.highest_final(tx, lane.key)
    if latest is None or following.is_next(head, latest):
        return Remembered(latest, final, {})
    lowest = max(min(final - 1, head.number), 0)
    return Remembered(latest, final, chain_book.remembered_heads(tx, lane.key, from_number=lowest))


def _head(lane: Lane, view: HeadView, *, known_final_number: int) -> Head:
    final = final_number(
        lane.chain.finality,
        head_number=view.head.number,
        safe_number=view.safe_number,
        finalized_number=view.finalized_number,
    )
    return Head(
        number=view.head.number,
        block_hash=view.head.block_hash,
        final_number=max(final, known_final_number),
        gas_limit=view.head.gas_limit,
        finality_answered=is_answered(
            lane.chain.finality,
            safe_number=view.safe_number,
            finalized_number=view.finalized_number,
        ),
    )


def _compare(lane: Lane, head: Block, remembered: Remembered) -> HeadSeen:
    seen = _follow(lane, head, remembered)
    if not isinstance(seen, BelowFinality):
        return seen
    # How far down the chain is another: whoever accepts it accepts it from there on.
    with lane.store.read() as tx:
        everything = replace(remembered, blocks=chain_book.remembered_heads(tx, lane.key))
    deep = _follow(lane, head, everything)
    return deep if isinstance(deep, BelowFinality) else seen


def _follow(lane: Lane, head: Block, remembered: Remembered) -> HeadSeen:
    page_blocks = lane.policy.head_page_blocks
    numbers = following.numbers_to_compare(head, remembered, page_blocks=page_blocks)
    return following.follow(head, remembered, lane.chain.client.blocks(numbers) if numbers else {})


def _remember(lane: Lane, head: Head, new: Sequence[Block], *, fork: Fork | None) -> None:
    with lane.commit("heads", keeps_work=fork is None) as tx:
        if fork is not None:
            log.warning("reorganisation", lane=lane.key, depth_blocks=fork.depth_blocks)
            undo_from(
                tx,
                chain_id=lane.chain_id,
                signer_address=lane.signer_address,
                first_undone_number=fork.first_undone_number,
            )
        chain_book.remember_heads(tx, lane.key, new)
        chain_book.mark_final(tx, lane.key, up_to_number=head.final_number)
        chain_book.drop_old_heads(
            tx, lane.key, below_number=head.final_number - lane.policy.heads_kept_blocks
        )
        if head.number > head.highest_number:
            set_lane(tx, lane.chain_id, lane.signer_address, highest_head_number=head.number)


def _note_changes(lane: Lane, head: Head, *, is_new: bool) -> None:
    """Since when head and finality have stood still; `watch` makes alerts of it."""
    memory, now = lane.memory, lane.store.clock()
    if is_new or memory.head_changed_at_utc is None:
        memory.head_changed_at_utc = now
    if memory.final_changed_at_utc is None or head.final_number > lane.head.final_number:
        memory.final_changed_at_utc = now
