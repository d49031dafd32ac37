"""The fence: what proves, in every commit of a lane, that its lease is still ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from settlement_node.errors import LeaseLost
from settlement_node.store import tables as t


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write a lane: a lease as it was taken."""

    lane: str
    holder: str
    fencing_token: int


def check_fence(connection: Connection, fence: Fence, *, now_utc: datetime) -> None:
    """Lock the lease row and compare; raises LeaseLost when this commit must not happen."""
    row = connection.execute(
        sa.select(t.leases.c.holder, t.leases.c.fencing_token, t.leases.c.expires_at_utc)
        .where(t.leases.c.lane == fence.lane)
        .with_for_update()
    ).first()
    if (
        row is None
        or row.holder != fence.holder
        or row.fencing_token != fence.fencing_token
        or row.expires_at_utc <= now_utc
    ):
        raise LeaseLost(
            f"the lease of lane {fence.lane} is no longer held by {fence.holder};"
            " nothing was written",
            lane=fence.lane,
            fencing_token=fence.fencing_token,
        )
