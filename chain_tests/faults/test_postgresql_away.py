"""PostgreSQL stopped at once, in the middle of the work, and started again."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chain_tests.crash.daemon import PATIENCE_SECONDS, Daemon, settings_text
from chain_tests.marks import on_anvil
from chain_tests.world import Chain, World, build_world, wait_until
from settlement_node.demo.stage import set_stage
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd
from settlement_node.store.database import Store, open_engine
from settlement_node.store.migrate import upgrade
from settlement_node.units import Payout
from tests_support.anvil import AnvilProcess
from tests_support.postgresql import server

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

S = RedemptionStatus


@dataclass(slots=True)
class OwnServer:
    """A PostgreSQL that this test may stop; the shared one serves others."""

    folder: Path
    running: Any

    @property
    def address(self) -> str:
        return str(self.running.get_uri())

    def stop_at_once(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, every connection cut."""
        process = self.running.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(60)

    def start(self) -> None:
        """Start it again; it recovers from its log."""
        self.running.ensure_postgres_running()


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    folder = Path(tempfile.mkdtemp(prefix="settlement-pg-away-"))
    folder.chmod(0o755)
    running = server(folder)
    with psycopg.connect(running.get_uri(), autocommit=True) as admin:
        # The machine stays up, so the disk proves nothing here; a restart must not take seconds
        # to write every file to it, since the server is given ten.
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("SELECT pg_reload_conf()")
    yield OwnServer(folder, running)
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_world(chain: Chain, own_server: OwnServer) -> Iterator[World]:
    engine = open_engine(own_server.address)
    upgrade(engine)
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    yield build_world(chain, stage, Store(engine))
    engine.dispose()


@on_anvil
@pytest.mark.parametrize("point", ["sign.before_commit", "send.after_broadcast"])
def test_database__stopped_before_a_commit_and_started__work_goes_on_and_is_paid_once(
    own_world: World, own_server: OwnServer, point: str
) -> None:
    world = own_world
    names = world.enter(3)
    stopped: list[str] = []

    def stop_at(name: str) -> None:
        if name == point and not stopped:
            stopped.append(name)
            own_server.stop_at_once()

    world.at_each_point(stop_at)
    ends: list[PassEnd] = []
    while not stopped:
        assert len(ends) < 10
        ends += [result.end for result in world.node.tick()]
        if not stopped:
            world.mine()
    assert ends[-1] is PassEnd.LATER, "the database may come back: nothing is given up"
    world.mine()
    ends += [result.end for result in world.node.tick()]
    own_server.start()

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    assert world.breaks() == []
    assert world.check_books().transactions == 1


@on_anvil
def test_database__stopped_while_the_daemon_runs__it_lives_on_and_everything_is_settled(
    own_world: World, own_server: OwnServer, tmp_path: Path
) -> None:
    world = own_world
    assert isinstance(world.chain, AnvilProcess)
    orders = world.orders(6)
    settings = tmp_path / "node.toml"
    settings.write_text(
        settings_text(
            database_url=own_server.address,
            endpoints=[world.chain.address],
            chain_id=world.chain.chain_id,
        )
    )
    world.take_in(*orders[:2])
    world.chain.set_interval(1)
    with Daemon(settings, world.chain.funded_keys[1]) as daemon:
        daemon.start()
        for start in (2, 4):
            wait_until(_has_any(world, S.PAID), seconds=PATIENCE_SECONDS)
            own_server.stop_at_once()
            wait_until(
                lambda: daemon.has_said("worker_failed") or daemon.ended, seconds=PATIENCE_SECONDS
            )
            assert not daemon.ended, daemon.last_words()
            own_server.start()
            world.take_in(*orders[start : start + 2])
        names = [order.external_id for order in orders]
        wait_until(
            lambda: world.statuses(names) == [S.SETTLED] * 6,
            seconds=90,
            explain=daemon.last_words,
        )
        daemon.stop()
    world.chain.set_interval(0)
    world.check_books()


def _has_any(world: World, status: RedemptionStatus) -> Callable[[], bool]:
    return lambda: any(row.status in (status, S.SETTLED) for row in world.rows())
