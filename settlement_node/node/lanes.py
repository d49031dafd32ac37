"""Lanes: taking and keeping leases, and making a lane ready before anything is planned on it."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from settlement_node.domain.engine.nonces import (
    Adopt,
    Judged,
    Unexplained,
    explain_gap,
    judge_nonce,
)
from settlement_node.domain.lane_breaks import (
    BookWasBehind,
    BrokenInvariant,
    LaneStopped,
    StrangerAtNonce,
)
from settlement_node.errors import InvariantBroken, LeaseLost, Transient
from settlement_node.node.context import Lane, NodeContext
from settlement_node.store.book.funds import list_funds
from settlement_node.store.book.settlers import is_read_to, settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import (
    ensure_lane,
    get_lane,
    list_lanes,
    set_lane,
    set_lane_paused,
)
from settlement_node.store.engine.leases import lane_key, release_lease
from settlement_node.store.fence import Fence
from settlement_node.store.rows import LaneRow
from settlement_node.store.telling.attention import open_lane_break
from settlement_node.units import Hex32

log = structlog.get_logger(__name__)


def hold_lanes(context: NodeContext, held: dict[str, Lane]) -> None:
    """Renew the leases of held lanes and take those that are free; `held` is changed in place.

    A lane is one of the book's for which this node has both the chain and the signer.
    """
    with context.store.read() as tx:
        rows = list_lanes(tx)
    for row in rows:
        key = lane_key(row.chain_id, row.signer_address)
        chain = context.chains.get(row.chain_id)
        signer = context.signers.get((row.chain_id, row.signer_address))
        if chain is None or signer is None:
            continue
        fence = context.lease(key)
        known = held.get(key)
        if fence is None:
            if known is not None:
                log.warning("lane_lost", lane=key)
                del held[key]
            continue
        if known is None or known.fence != fence:
            log.info("lane_taken", lane=key, fencing_token=fence.fencing_token)
            held[key] = Lane(
                context=context,
                chain_id=row.chain_id,
                signer_address=row.signer_address,
                fence=fence,
                chain=chain,
                signer=signer,
            )


def release(store: Store, fences: Iterable[Fence]) -> None:
    """Give leases back; used by a clean stop."""
    for fence in fences:
        try:
            release_lease(store, fence)
        except Transient:
            log.warning("lease_not_released", lease=fence.name)


def prepare(lane: Lane) -> None:
    """Before the first plan under a new lease, and after the events were replayed: the book's next
    nonce must be the chain's, or the difference must be ours. Until it is known nothing is planned.

    Raises LaneStopped when a stranger has used the key, Transient while that cannot be said.
    """
    client, signer, final = lane.chain.client, lane.signer_address, lane.head.final_number
    with lane.store.read() as tx:
        row = get_lane(tx, lane.chain_id, signer)
        highest_own = transactions.highest_unfinal_nonce(tx, lane.chain_id, signer)
    chain_nonce = client.nonce(signer)
    judged = judge_nonce(
        book_nonce=None if row is None else row.next_nonce,
        chain_nonce=chain_nonce,
        final_nonce=client.nonce(signer, final) if final >= 0 else 0,
        highest_own=highest_own,
    )
    match judged:
        case Judged.NOT_FINAL_YET:
            log.info("nonce_not_final", lane=lane.key, nonce=chain_nonce)
            return
        case Adopt(next_nonce):
            with lane.commit("nonce") as tx:
                ensure_lane(tx, lane.chain_id, signer)
                set_lane(tx, lane.chain_id, signer, next_nonce=next_nonce)
                tx.audit("nonce_adopted", "lane", lane.key, {"next_nonce": next_nonce})
        case Unexplained():
            assert row is not None
            _adopt_gap(lane, row, judged)
        case _:
            if highest_own is not None:
                log.info("lane_resumes", lane=lane.key, highest_unfinal_nonce=highest_own)
    lane.memory.is_prepared = lane.has_nonce = True


def _adopt_gap(lane: Lane, row: LaneRow, gap: Unexplained) -> None:
    """The chain has used nonces the book never gave: a restored backup, or a stranger.

    A restored book knows itself by the replay: the newest batches on the chain were sent by this
    very signer at nonces in the gap. Nothing else is believed.
    """
    with lane.store.read() as tx:
        funds = list_funds(tx, chain_id=lane.chain_id, lane_address=lane.signer_address)
        hashes = [
            Hex32(tip.transaction_hash)
            for fund in funds
            for settler in settlers_of(tx, fund.fund_id)
            if (tip := chain_book.ratchet_tip(tx, lane.chain_id, settler["settler_address"]))
        ]
        is_read = all(is_read_to(tx, fund.fund_id, lane.head.number) for fund in funds)
    places = [lane.chain.client.transaction_place(transaction_hash) for transaction_hash in hashes]
    own = [place[1] for place in places if place is not None and place[0] == lane.signer_address]
    words = (
        f"the chain is at nonce {gap.chain_nonce} of {lane.signer_address}, the book at"
        f" {gap.book_nonce}, and"
    )
    match explain_gap(gap, own_nonces=own, is_read=is_read and not lane.unscanned):
        case Judged.NOT_READ_YET:
            raise Transient(f"{words} not every settler could be read that may explain it")
        case Judged.STRANGER:
            why = (
                f"{words} no settlement explains the difference: somebody else uses this key, or"
                " the database is older than its backup"
            )
            raise LaneStopped(
                StrangerAtNonce(lane.chain_id, lane.signer_address, gap.book_nonce, why)
            )
        case _:
            _go_on_restored(lane, row, gap)


def _go_on_restored(lane: Lane, row: LaneRow, gap: Unexplained) -> None:
    book_nonce, chain_nonce = gap.book_nonce, gap.chain_nonce
    # The backup of a book that was itself just restored: nothing was planned since, and the batches
    # of its own gap may not be called its own yet.
    is_further = row.restored_below_nonce == book_nonce
    with lane.commit("nonce") as tx:
        set_lane(
            tx,
            lane.chain_id,
            lane.signer_address,
            next_nonce=chain_nonce,
            restored_from_nonce=row.restored_from_nonce if is_further else book_nonce,
            restored_below_nonce=chain_nonce,
        )
        told = {"book_nonce": book_nonce, "next_nonce": chain_nonce}
        tx.audit("nonce_adopted", "lane", lane.key, told)
        open_lane_break(
            tx,
            BookWasBehind(
                lane.chain_id,
                lane.signer_address,
                book_nonce,
                chain_nonce=chain_nonce,
                replayed_to_block=lane.head.number,
            ),
        )
    log.warning("book_was_behind", lane=lane.key, book_nonce=book_nonce, chain_nonce=chain_nonce)


def stop_lane(lane: Lane, error: InvariantBroken) -> None:
    """Something that must never be: in one commit the lane is paused and a money break opened.
    Tracking goes on. Said once, however many passes come to it."""
    if isinstance(error, LeaseLost):
        return
    found = (
        error.found
        if isinstance(error, LaneStopped)
        else BrokenInvariant(lane.chain_id, lane.signer_address, error.message)
    )
    with lane.commit() as tx:
        is_new = open_lane_break(tx, found)
        reason = error.message[:500]
        set_lane_paused(tx, lane.chain_id, lane.signer_address, paused=True, reason=reason)
    if is_new:
        log.error("lane_stopped", lane=lane.key, kind=found.kind.value, reason=error.message)
