"""Leases with fencing tokens: invariant 10, one writer per lane. Times are the database's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import Store, Tx
from settlement_node.store.fence import Fence
from settlement_node.store.inserts import insert_if_new
from settlement_node.units import Address


def lane_key(chain_id: int, signer_address: Address) -> str:
    """The lease's name of a lane."""
    return f"{chain_id}:{signer_address}"


def take_lease(
    store: Store,
    *,
    lane: str,
    holder: str,
    seconds: float,
    process: str | None = None,
    has_ended: Callable[[str], bool] = lambda process: False,
) -> Fence | None:
    """Take or renew the lease of a lane; None while another holder's has not expired, unless that
    holder's process is proven to have ended (`has_ended`, given what it left as its `process`).

    A renewal keeps its token; every change of holder, and every take-up after a lapse, gets a
    higher one, so that commits under the old token fail.
    """
    with store.transaction(actor=holder) as tx:
        now = store.database_now(tx.connection)
        expires = now + timedelta(seconds=seconds)
        row = (
            tx.connection.execute(
                sa.select(t.leases).where(t.leases.c.lane == lane).with_for_update()
            )
            .mappings()
            .first()
        )
        if row is None:
            _insert_if_absent(tx, lane, now)
            row = (
                tx.connection.execute(
                    sa.select(t.leases).where(t.leases.c.lane == lane).with_for_update()
                )
                .mappings()
                .one()
            )
        live = row["expires_at_utc"] > now
        if live and row["holder"] not in (None, holder):
            left = row["holder_process"]
            if left is None or not has_ended(left):
                return None
        renewal = live and row["holder"] == holder
        token = row["fencing_token"] + (0 if renewal else 1)
        tx.connection.execute(
            t.leases.update()
            .where(t.leases.c.lane == lane)
            .values(
                holder=holder,
                holder_process=process,
                fencing_token=token,
                expires_at_utc=expires,
            )
        )
        if not renewal:
            before = row["holder"] if live else None
            tx.audit("lease_taken", "lane", lane, {"fencing_token": token, "ended": before})
        return Fence(lane=lane, holder=holder, fencing_token=token)


def _insert_if_absent(tx: Tx, lane: str, now: datetime) -> None:
    tx.connection.execute(
        insert_if_new(tx.connection, t.leases).values(
            lane=lane, holder=None, fencing_token=0, expires_at_utc=now
        )
    )


def release_lease(store: Store, fence: Fence) -> None:
    """Give a lease back at once, so that another node need not wait for it to lapse."""
    with store.transaction(actor=fence.holder) as tx:
        now = store.database_now(tx.connection)
        released = tx.connection.execute(
            t.leases.update()
            .where(
                t.leases.c.lane == fence.lane,
                t.leases.c.holder == fence.holder,
                t.leases.c.fencing_token == fence.fencing_token,
            )
            .values(holder=None, expires_at_utc=now)
        )
        if released.rowcount:
            tx.audit("lease_released", "lane", fence.lane, {"fencing_token": fence.fencing_token})
