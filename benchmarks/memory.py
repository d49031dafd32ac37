"""`memory`: the daemon's memory through a long backlog, and what it costs to wait with one.

First the treasury's allowance is taken away: the daemon waits for money with everything approved
behind it, and its share of a core is measured. Then the allowance is given back, and the peak of
its memory is read once everything is paid.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa

from benchmarks.figures import Figure
from benchmarks.scene import DATABASES, MONEY, Scene, scene, wait_for
from settlement_node.store import tables as t
from settlement_node.units import Payout

ORDERS = 1_000_000
SETTINGS = ("batch_items_max = 500", "batch_gas_bps = 3000")
TARGET_MB, TARGET_CORE_PERCENT = 300.0, 5.0
WAITING_SECONDS = 20.0
SECONDS_AN_ORDER = 0.02


def measure(scale: float, databases: Sequence[str] = DATABASES) -> list[Figure]:
    """On either database."""
    count = max(200, round(ORDERS * scale))
    return [figure for database in databases for figure in _on(database, count)]


def _on(database: str, count: int) -> list[Figure]:
    with scene(database, settings=SETTINGS) as played:
        _allow(played, 0)
        played.enter(played.orders(count))
        played.daemon.start(api=True)
        wait_for(lambda: _waits_for_money(played), played.daemon)
        used, began = played.daemon.cpu_seconds(), time.monotonic()
        time.sleep(WAITING_SECONDS if count > 10_000 else WAITING_SECONDS / 4)
        core = 100 * (played.daemon.cpu_seconds() - used) / (time.monotonic() - began)
        _allow(played, MONEY)
        wait_for(
            lambda: _open(played) == 0,
            played.daemon,
            seconds=60 + count * SECONDS_AN_ORDER,
            every_seconds=1,
        )
        peak = played.daemon.memory_peak_mb()
    return [
        Figure(
            f"of a core while {count:,} wait for money, {database}", core, "%", TARGET_CORE_PERCENT
        ),
        Figure(f"peak of memory through {count:,}, {database}", peak, "MB", TARGET_MB),
    ]


def _allow(played: Scene, units: int) -> None:
    played.stage.approve(Payout(units))


def _waits_for_money(played: Scene) -> bool:
    query = sa.select(sa.func.count()).where(t.alerts.c.status == "open")
    with played.store.read() as tx:
        return int(tx.connection.execute(query).scalar_one()) > 0


def _open(played: Scene) -> int:
    """Orders that are not paid; looked for and not counted, there may be a million."""
    r = t.redemptions.c
    query = sa.select(r.redemption_id).where(r.status.in_(("approved", "settling"))).limit(1)
    with played.store.read() as tx:
        return len(tx.connection.execute(query).all())
