"""`recovery`: from a start after SIGKILL, with many orders unfinished, to the first useful send.

Useful is a transaction with a nonce that no endpoint had before the start: what was in flight at
the kill is known to the chain already. Blocks go on coming while nobody is there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.scene import DATABASES, Scene, scene, wait_for

ORDERS = 100_000
KILLS = 3
TARGET_SECONDS = 5.0
LOOK_SECONDS = 0.005


def measure(scale: float, databases: Sequence[str] = DATABASES) -> list[Figure]:
    """The worst of a few kills, on either database."""
    count = max(200, round(ORDERS * scale))
    return [
        Figure(
            f"start after a kill → first useful send, {count:,} unfinished, {database}",
            max(_kills(database, count)),
            "s",
            TARGET_SECONDS,
        )
        for database in databases
    ]


def _kills(database: str, count: int) -> list[float]:
    # Small batches, so that plenty is unfinished at every kill.
    with scene(database, settings=["batch_items_max = 10", "in_flight_max = 4"]) as played:
        played.enter(played.orders(count))
        played.daemon.start()
        _wait_for_send(played)
        waits = []
        for _ in range(KILLS):
            played.daemon.kill()
            before = _sent_nonces(played)
            began = time.monotonic()
            played.daemon.start()
            wait_for(
                lambda before=before: _sent_nonces(played) > before,
                played.daemon,
                every_seconds=LOOK_SECONDS,
            )
            waits.append(time.monotonic() - began)
        return waits


def _wait_for_send(played: Scene) -> None:
    before = _sent_nonces(played)
    wait_for(lambda: _sent_nonces(played) > before, played.daemon)


def _sent_nonces(played: Scene) -> int:
    """How many transactions of the lane the chain has, mined or pending."""
    lane = played.stage.operator.address
    return int(played.chain.rpc("eth_getTransactionCount", lane, "pending"), 16)
