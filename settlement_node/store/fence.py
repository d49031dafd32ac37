"""The fence: what proves, in every commit of one writer, that its lease is still ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from settlement_node.errors import LeaseLost
from settlement_node.store import tables as t


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write what a lease is of, by its name: the lease as it was taken."""

    name: str
    holder: str
    fencing_token: int


def check_fence(connection: Connection, fence: Fence, *, now_utc: datetime) -> None:
    """Lock the lease row and compare; raises LeaseLost when this commit must not happen."""
    row = connection.execute(
        sa.select(t.leases.c.holder, t.leases.c.fencing_token, t.leases.c.expires_at_utc)
        .where(t.leases.c.name == fence.name)
        .with_for_update()
    ).first()
    if (
        row is None
        or row.holder != fence.holder
        or row.fencing_token != fence.fencing_token
        or row.expires_at_utc <= now_utc
    ):
        raise LeaseLost(
            f"the lease of {fence.name} is no longer held by {fence.holder}; nothing was written",
            lease=fence.name,
            fencing_token=fence.fencing_token,
        )
