"""Batches of a fund's settlers that this book did not plan: a restored book's own, or a stop.

Whoever settles at a fund's settler besides this book has the operator's key, or has been made
operator. The lane stops at once, final or not, whoever sent it and however right it looks.
"""

from __future__ import annotations

import structlog

from settlement_node.domain.lane_breaks import LaneStopped, UnknownBatch
from settlement_node.errors import Transient
from settlement_node.node.context import Lane
from settlement_node.store.chain_memory import foreign
from settlement_node.store.chain_memory.foreign import ForeignBatch
from settlement_node.store.rows import LaneRow
from settlement_node.store.tables import AcceptedAs
from settlement_node.store.telling.attention import was_opened
from settlement_node.units import ZERO_ADDRESS, Address

log = structlog.get_logger(__name__)


def check_batches(lane: Lane) -> None:
    """Once the lane has its nonce: everything on the settlers so far is explained, or stops it.

    What was there before this book first read a settler to its end is history. What the lane's
    own signer sent at the nonces that a restored book was behind is that book's. Raises
    LaneStopped for the first batch of any other kind, once for each; Transient where no
    endpoint says who sent it.
    """
    if not lane.may_act:
        return
    work = lane.work()
    begun = [place for place in work.begun if place[0] not in lane.unscanned]
    if begun:
        with lane.commit() as tx:
            for fund_id, settler_address in begun:
                foreign.set_history_read(tx, fund_id, settler_address)
    for batch in work.foreign:
        _explain(lane, work.row, batch)


def _break(
    lane: Lane, batch: ForeignBatch, sender: Address = ZERO_ADDRESS, nonce: int = -1
) -> UnknownBatch:
    """The batch's break; its subject does not depend on who sent it."""
    return UnknownBatch(
        lane.chain_id,
        lane.signer_address,
        settler_address=batch.settler_address,
        batch_hash=batch.batch_hash,
        transaction_hash=batch.transaction_hash,
        sender_address=sender,
        sender_nonce=nonce,
    )


def _explain(lane: Lane, row: LaneRow | None, batch: ForeignBatch) -> None:
    with lane.store.read() as tx:
        if was_opened(tx, lane.chain_id, UnknownBatch.kind, _break(lane, batch).subject):
            return
    place = lane.chain.client.transaction_place(batch.transaction_hash)
    if place is None:
        raise Transient(
            f"no endpoint says who sent {batch.transaction_hash}, which settled a batch that is"
            " not in this book"
        )
    sender, nonce = place
    if row is not None and sender == lane.signer_address and row.was_restored_over(nonce):
        with lane.commit() as tx:
            foreign.accept_batch(
                tx,
                lane.chain_id,
                batch.settler_address,
                batch.batch_hash,
                accepted_as=AcceptedAs.RESTORE,
            )
        log.warning("batch_of_restored_book", lane=lane.key, nonce=nonce)
        return
    raise LaneStopped(_break(lane, batch, sender, nonce))
