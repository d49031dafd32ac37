"""`node`: the node's own processor time for each redemption, through every stage.

The stages run in this process, pass by pass, and anvil in another, which mines when a pass is over:
the node waits for nobody, and its time is this process's. What PostgreSQL does is in processes of
its own and not in the figure; what SQLite does is. Taking orders in is not in it either.

`python -m benchmarks.node --profile [--database postgresql]` says which functions it goes to.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from benchmarks.figures import Figure
from benchmarks.scene import DATABASES, Scene, scene
from settlement_node.chain.client import ChainClient
from settlement_node.chain.context import ChainContext
from settlement_node.chain.signers.local import KeySigner
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.context import NodeContext
from settlement_node.node.runtime import Node
from settlement_node.store.book import redemptions

ORDERS = 10_000
BATCH = 500
TARGET_MILLISECONDS = 0.5
PASSES_MAX = 400


def measure(scale: float, databases: Sequence[str] = DATABASES) -> list[Figure]:
    """On either database."""
    count = max(100, round(ORDERS * scale))
    return [
        Figure(
            f"CPU of a redemption, approved → settled, {database}",
            1000 * settle(database, count) / count,
            "ms",
            TARGET_MILLISECONDS,
        )
        for database in databases
    ]


def settle(
    database: str, count: int, *, around: Callable[[Callable[[], None]], None] | None = None
) -> float:
    """Settle so many orders to the end and give the processor seconds of all passes. `around` is
    given each pass to carry out, for a profile."""
    with ExitStack() as stack:
        played = stack.enter_context(scene(database))
        played.chain.set_interval(0)
        node = node_of(played, batch=BATCH)
        # The lane is taken and the chain looked at before anything is measured.
        node.tick()
        played.enter(played.orders(count))
        seconds = 0.0
        for _ in range(PASSES_MAX):
            played.chain.mine()
            began = time.process_time()
            if around is None:
                node.tick()
            else:
                around(node.tick)
            seconds += time.process_time() - began
            if settled(played) == count:
                return seconds
    raise AssertionError(f"not settled in {PASSES_MAX} passes")


def settled(played: Scene) -> int:
    """How many are settled."""
    with played.store.read() as tx:
        counts = redemptions.count_by_status(tx, played.stage.fund.fund_id)
    return counts[RedemptionStatus.SETTLED]


def node_of(played: Scene, *, batch: int) -> Node:
    """A node of this process on the scene."""
    chain = played.chain
    client = ChainClient(chain.chain_id, [chain.transport("node")], now=time.monotonic)
    operator = KeySigner(chain.funded_keys[1])
    context = NodeContext(
        store=played.store,
        chains={
            chain.chain_id: ChainContext(
                client, FinalityPolicy(FinalityMode.CONFIRMATIONS, 2), FeePolicy()
            )
        },
        signers={(chain.chain_id, operator.address): operator},
        node_id="benchmark",
        policy=EnginePolicy(batch_items_max=batch),
    )
    return Node(context, sinks=())


def main() -> int:
    """A profile of one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node")
    parser.add_argument("--profile", action="store_true", required=True)
    parser.add_argument("--database", choices=DATABASES, default=DATABASES[0])
    parser.add_argument("--orders", type=int, default=2_000)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    profile = cProfile.Profile(time.process_time)
    seconds = settle(asked.database, asked.orders, around=profile.runcall)
    with tempfile.NamedTemporaryFile("w+", suffix=".txt") as text:
        statistics = pstats.Stats(profile, stream=text)
        for order in ("tottime", "cumulative"):
            statistics.sort_stats(order).print_stats(45)
        text.flush()
        print(Path(text.name).read_text())
    print(f"{1000 * seconds / asked.orders:.2f} ms for each, under the profiler")
    return 0


if __name__ == "__main__":
    sys.exit(main())
