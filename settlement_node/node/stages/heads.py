"""Following the head by hash, and undoing what a reorganisation took back."""

from __future__ import annotations

import structlog

from settlement_node.booking.undo import undo_from
from settlement_node.chain.views import HeadView
from settlement_node.domain.engine.finality import (
    Fork,
    behind_final,
    crosses_finality,
    final_number,
    find_fork,
    is_answered,
)
from settlement_node.domain.observations import Block
from settlement_node.errors import InvariantBroken, Transient
from settlement_node.node.context import Lane
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.engine.lanes import get_lane, set_lane, set_lane_paused
from settlement_node.store.telling.attention import NewBreak, open_break
from settlement_node.units import Hex32

log = structlog.get_logger(__name__)


def follow_head(lane: Lane) -> HeadView:
    """Bring the lane's remembered heads up to the agreed head, in one commit.

    A changed hash undoes what stood on it. A change below the line once called final stops the
    lane with a money break and raises InvariantBroken: nothing is undone and nothing re-sent. A
    head below that line, without another hash anywhere, is no change but endpoints that lag, and
    raises Transient.
    """
    view = lane.chain.client.refresh()
    with lane.store.read() as tx:
        row = get_lane(tx, lane.chain_id, lane.signer_address)
        latest = chain_book.latest_head(tx, lane.key)
        settled_line = chain_book.highest_final(tx, lane.key)
        known = (
            {}
            if latest is None or _is_next(view.head, latest)
            else chain_book.remembered_heads(tx, lane.key, from_number=max(settled_line - 1, 0))
        )
    seen = -1 if row is None or row.highest_head_number is None else row.highest_head_number
    lane.highest_head_number = seen
    lane.is_below_final = view.head.number < settled_line
    lane.has_nonce = row is not None and row.next_nonce is not None
    lane.head_timestamp_seconds = view.head.timestamp_seconds
    lane.head_gas_limit = view.head.gas_limit
    final = max(
        final_number(
            lane.chain.finality,
            head_number=view.head.number,
            safe_number=view.safe_number,
            finalized_number=view.finalized_number,
        ),
        settled_line,
    )
    if lane.head_changed_at_utc is None:
        lane.head_changed_at_utc = lane.store.clock()
    if lane.final_changed_at_utc is None or final > lane.final_number:
        lane.final_changed_at_utc = lane.store.clock()
    lane.finality_answered = is_answered(
        lane.chain.finality, safe_number=view.safe_number, finalized_number=view.finalized_number
    )
    if latest == (view.head.number, view.head.block_hash):
        lane.head_number, lane.final_number = view.head.number, final
        if final > settled_line:
            with lane.commit() as tx:
                chain_book.mark_final(tx, lane.key, up_to_number=final)
        return view
    fork, new = _compare(lane, view.head, latest, known)
    if fork is not None and crosses_finality(fork, final_block_number=settled_line):
        _check_not_behind(lane, view.head, fork, settled_line)
        with lane.store.read() as tx:
            known = chain_book.remembered_heads(tx, lane.key, from_number=0)
        fork = _compare(lane, view.head, latest, known)[0] or fork
        _stop_at_deep_fork(lane, fork, settled_line)
    lane.head_changed_at_utc = lane.store.clock()
    with lane.commit("heads") as tx:
        if fork is not None:
            log.warning("reorganisation", lane=lane.key, depth_blocks=fork.depth_blocks)
            undo_from(
                tx,
                chain_id=lane.chain_id,
                signer_address=lane.signer_address,
                first_undone_number=fork.first_undone_number,
            )
        chain_book.remember_heads(tx, lane.key, new)
        chain_book.mark_final(tx, lane.key, up_to_number=final)
        chain_book.drop_old_heads(tx, lane.key, below_number=final - lane.policy.heads_kept_blocks)
        if view.head.number > seen:
            set_lane(tx, lane.chain_id, lane.signer_address, highest_head_number=view.head.number)
    lane.head_number, lane.final_number = view.head.number, final
    lane.highest_head_number = max(seen, view.head.number)
    return view


def _is_next(head: Block, latest: tuple[int, Hex32]) -> bool:
    number, block_hash = latest
    return (head.number == number and head.block_hash == block_hash) or (
        head.number == number + 1 and head.parent_hash == block_hash
    )


def _compare(
    lane: Lane,
    head: Block,
    latest: tuple[int, Hex32] | None,
    known: dict[int, Hex32],
) -> tuple[Fork | None, list[Block]]:
    """The fork, if there is one, and the blocks to remember after it is undone."""
    if latest is not None and _is_next(head, latest) and head.number == latest[0] + 1:
        return None, [head]
    # At the first start too: events below the head are read then, and may be undone like others.
    newest = max(known, default=-1)
    # A long sleep leaves a gap; finality needs the remembered blocks and the last ones only.
    first_new = max(newest + 1, head.number - lane.policy.head_page_blocks + 1)
    numbers = sorted({*known, *range(first_new, head.number + 1)})
    canonical = lane.chain.client.blocks([n for n in numbers if n < head.number])
    canonical = {n: b for n, b in canonical.items() if n < head.number} | {head.number: head}
    try:
        fork = find_fork(known, {n: b.block_hash for n, b in canonical.items()})
    except InvariantBroken as error:
        # One answer out of several forks says nothing of the chain; the next one may be whole.
        raise Transient(error.message) from error
    start = newest + 1 if fork is None else fork.first_undone_number
    return fork, [canonical[n] for n in sorted(canonical) if n >= start]


def _check_not_behind(lane: Lane, head: Block, fork: Fork, settled_line: int) -> None:
    """Every block up to the head is as remembered, and the rest is only not there yet: wait."""
    if head.number >= fork.first_undone_number:
        return
    with lane.store.read() as tx:
        known = chain_book.remembered_heads(tx, lane.key, from_number=head.number)
    words = behind_final(head_number=head.number, known_final_number=settled_line)
    if words and known.get(head.number, head.block_hash) == head.block_hash:
        raise Transient(words)


def _stop_at_deep_fork(lane: Lane, fork: Fork, settled_line: int) -> None:
    reason = (
        f"a reorganisation reaches block {fork.first_undone_number}, but block {settled_line}"
        " was final"
    )
    with lane.commit() as tx:
        set_lane_paused(tx, lane.chain_id, lane.signer_address, paused=True, reason=reason)
        open_break(
            tx,
            chain_id=lane.chain_id,
            fund_id=None,
            new=NewBreak(
                kind="reorganisation_beyond_finality",
                subject=lane.key,
                is_money=True,
                expected=f"block {settled_line} final",
                # A number alone: who resolves the break accepts the chain from there on.
                actual=str(fork.first_undone_number),
                detail=reason,
            ),
        )
    # Of the same kind as the break above, so that stopping the lane opens no second one.
    raise InvariantBroken(reason, kind="reorganisation_beyond_finality", lane=lane.key)
