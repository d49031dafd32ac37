"""Lanes: one signer on one chain each, its next nonce and its pause."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from settlement_node.errors import NotFound
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.inserts import insert_if_new
from settlement_node.store.rows import LaneRow
from settlement_node.units import Address


def ensure_lane(tx: Tx, chain_id: int, signer_address: Address) -> LaneRow:
    """The lane's row, made if it is new."""
    new = {"chain_id": chain_id, "signer_address": signer_address, "paused": False}
    tx.connection.execute(
        insert_if_new(tx.connection, t.lanes).values(**new, updated_at_utc=tx.now_utc)
    )
    made = get_lane(tx, chain_id, signer_address)
    assert made is not None
    return made


def get_lane(tx: ReadTx, chain_id: int, signer_address: Address) -> LaneRow | None:
    """A lane's row, or None."""
    lanes = t.lanes
    row = (
        tx.connection.execute(
            sa.select(lanes).where(
                lanes.c.chain_id == chain_id, lanes.c.signer_address == signer_address
            )
        )
        .mappings()
        .first()
    )
    return None if row is None else LaneRow.of(row)


def lock_lane(tx: Tx, chain_id: int, signer_address: Address) -> None:
    """Keep a lane as it is while this commit is open: a pause waits, and one committed before is
    seen."""
    lanes = t.lanes
    tx.connection.execute(
        sa.select(lanes.c.chain_id)
        .where(lanes.c.chain_id == chain_id, lanes.c.signer_address == signer_address)
        .with_for_update()
    ).all()


def list_lanes(tx: ReadTx, *, limit: int = 1000) -> list[LaneRow]:
    """Every lane."""
    lanes = t.lanes
    query = sa.select(lanes).order_by(lanes.c.chain_id, lanes.c.signer_address).limit(limit)
    return [LaneRow.of(row) for row in tx.connection.execute(query).mappings()]


def set_lane(tx: Tx, chain_id: int, signer_address: Address, **values: Any) -> None:
    """Change a lane's next_nonce, highest_head_number, paused or pause_reason."""
    tx.connection.execute(
        t.lanes.update()
        .where(t.lanes.c.chain_id == chain_id, t.lanes.c.signer_address == signer_address)
        .values(updated_at_utc=tx.now_utc, **values)
    )


def set_lane_paused(
    tx: Tx, chain_id: int, signer_address: Address, *, paused: bool, reason: str | None
) -> None:
    """Stop or go on planning and signing on a lane. Raises NotFound for an unknown lane."""
    lane = get_lane(tx, chain_id, signer_address)
    if lane is None:
        raise NotFound(f"there is no lane {signer_address} on chain {chain_id}", field="lane")
    if lane.paused == paused and lane.pause_reason == reason:
        return
    set_lane(tx, chain_id, signer_address, paused=paused, pause_reason=reason)
    subject = f"{chain_id}:{signer_address}"
    action = "lane_paused" if paused else "lane_resumed"
    tx.audit(action, "lane", subject, {"reason": reason})
    tx.emit(action.replace("_", "."), subject, {"lane": subject, "reason": reason})
