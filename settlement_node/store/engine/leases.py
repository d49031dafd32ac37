"""Leases with fencing tokens: one writer for what a lease names, invariant 10. Times are the
database's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import Store
from settlement_node.store.fence import Fence
from settlement_node.store.inserts import insert_if_new
from settlement_node.units import Address

le = t.leases


def lane_key(chain_id: int, signer_address: Address) -> str:
    """The lease's name of a lane."""
    return f"{chain_id}:{signer_address}"


def take_lease(
    store: Store,
    *,
    name: str,
    holder: str,
    seconds: float,
    process: str | None = None,
    has_ended: Callable[[str], bool] = lambda process: False,
) -> Fence | None:
    """Take or renew a lease; None while another holder's has not expired, unless that holder's
    process is proven to have ended (`has_ended`, given what it left as its `process`).

    A renewal keeps its token; every change of holder, and every take-up after a lapse, gets a
    higher one, so that commits under the old token fail.
    """
    with store.transaction(actor=holder) as tx:
        now = store.database_now(tx.connection)
        free = {"holder": None, "fencing_token": 0, "expires_at_utc": now}
        tx.connection.execute(insert_if_new(tx.connection, le).values(name=name, **free))
        row = tx.connection.execute(sa.select(le).where(le.c.name == name).with_for_update()).one()
        live = row.expires_at_utc > now
        if live and row.holder not in (None, holder):
            left = row.holder_process
            if left is None or not has_ended(left):
                return None
        renewal = live and row.holder == holder
        token = row.fencing_token + (0 if renewal else 1)
        held = {
            "holder": holder,
            "holder_process": process,
            "fencing_token": token,
            "expires_at_utc": now + timedelta(seconds=seconds),
        }
        tx.connection.execute(le.update().where(le.c.name == name).values(**held))
        if not renewal:
            before = row.holder if live else None
            tx.audit("lease_taken", "lease", name, {"fencing_token": token, "ended": before})
        return Fence(name=name, holder=holder, fencing_token=token)


def release_lease(store: Store, fence: Fence) -> None:
    """Give a lease back at once, so that another node need not wait for it to lapse."""
    with store.transaction(actor=fence.holder) as tx:
        now = store.database_now(tx.connection)
        released = tx.connection.execute(
            le.update()
            .where(
                le.c.name == fence.name,
                le.c.holder == fence.holder,
                le.c.fencing_token == fence.fencing_token,
            )
            .values(holder=None, expires_at_utc=now)
        )
        if released.rowcount:
            told = {"fencing_token": fence.fencing_token}
            tx.audit("lease_released", "lease", fence.name, told)
