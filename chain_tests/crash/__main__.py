"""`python -m chain_tests.crash`: kill the real daemon at every point, on anvil and PostgreSQL."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from chain_tests.copies import Copies
from chain_tests.crash.daemon import Daemon
from chain_tests.crash.rounds import Crashes, Outcome, Round, all_rounds
from chain_tests.world import build_world
from settlement_node.demo.stage import set_stage
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.node.checkpoints import CHECKPOINTS
from settlement_node.store.database import Store, open_engine
from settlement_node.store.migrate import upgrade
from settlement_node.units import Payout
from tests_support.anvil import AnvilProcess
from tests_support.postgresql import PostgresqlOwner, database


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the rounds and print the count; 0 only if every point was reached and all is well."""
    parser = argparse.ArgumentParser(prog="python -m chain_tests.crash", description=__doc__)
    parser.add_argument("--points", help="only these points, separated by commas")
    asked = parser.parse_args(arguments).points
    points = asked.split(",") if asked else list(CHECKPOINTS)
    unknown = [point for point in points if point not in CHECKPOINTS]
    if unknown:
        parser.error(f"no such point: {', '.join(unknown)}; they are: {', '.join(CHECKPOINTS)}")
    rounds = [one for one in all_rounds() if one.point in points]
    started = time.monotonic()
    found = run(rounds)
    for name in found.missed:
        print(f"never reached: {name}", file=sys.stderr)
    print(
        f"points={len({one.point for one in rounds})} kills={found.kills}"
        f" redemptions={found.redemptions} double_paid={found.double_paid} lost={found.lost}"
        f" missed={len(found.missed)} seconds={time.monotonic() - started:.0f}"
    )
    return 1 if found.missed or found.double_paid or found.lost else 0


def run(rounds: Sequence[Round]) -> Outcome:
    """Play rounds on a PostgreSQL and an anvil of their own, and audit at the end."""
    owner = PostgresqlOwner()
    with ExitStack() as stack:
        stack.callback(owner.pytest_unconfigure)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = open_engine(stack.enter_context(database("crash_test")))
        stack.callback(engine.dispose)
        upgrade(engine)
        chain = stack.enter_context(AnvilProcess())
        stage = set_stage(chain, treasury_base_units=Payout(10**15))
        world = build_world(
            chain, stage, Store(engine), policy=EnginePolicy(replace_after_blocks=1)
        )
        daemon = stack.enter_context(Daemon(folder / "node.toml", chain.funded_keys[1]))
        copies = stack.enter_context(Copies(folder, "crash"))
        crashes = Crashes(world, daemon, copies, report=lambda line: print(line, flush=True))
        crashes.play(rounds)
        crashes.check_books()
        return crashes.outcome()


if __name__ == "__main__":
    sys.exit(main())
