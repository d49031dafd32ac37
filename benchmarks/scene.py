"""What the larger benchmarks play on: a real anvil, a real database, the daemon as a process."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from benchmarks.accounts import give, holders
from settlement_node.demo.stage import Stage, set_stage
from settlement_node.desk.intake import ORDERS_MAX, take_in
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.store.book.funds import add_fund
from settlement_node.store.database import Store, open_engine
from settlement_node.store.migrate import upgrade
from settlement_node.units import Payout, Shares
from tests_support.anvil import AnvilProcess
from tests_support.postgresql import server

ROOT = Path(__file__).resolve().parents[1]
DATABASES = ("sqlite", "postgresql")
BLOCK_GAS = 60_000_000
SHARE = 10**18
MONEY = Payout(10**15)
"""Of the stablecoin: for ten million shares, and within the day's limit of the demonstration."""
INVESTORS_MAX = 10_000
LANE_KEY, API_KEY = "BENCHMARK_LANE_KEY", "BENCHMARK_API_KEY"
PATIENCE_SECONDS = 120.0


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Scene:
    """A fund on a chain, an empty book that knows it, and the daemon, not started yet."""

    chain: AnvilProcess
    stage: Stage
    store: Store
    daemon: Daemon
    orders_count: int = 0

    def orders(self, count: int) -> list[RedemptionOrder]:
        """Orders of a share, each of an investor of its own up to ten thousand, who keeps shares
        and holds stablecoin."""
        fund = self.stage.fund
        first, self.orders_count = self.orders_count, self.orders_count + count
        accounts = holders(min(count, INVESTORS_MAX), f"investor from {first}")
        each = -(-count // len(accounts))
        give(self.chain, fund.share_token_address, dict.fromkeys(accounts, (each + 1) * SHARE))
        give(self.chain, fund.payout_token_address, dict.fromkeys(accounts, 1))
        return [
            RedemptionOrder(f"BENCH-{first + place:08}", holder, holder, Shares(SHARE))
            for place, holder in zip(range(count), cycle(accounts), strict=False)
        ]

    def enter(self, orders: Sequence[RedemptionOrder]) -> None:
        """Take them in, approved."""
        fund_id = self.stage.fund.fund_id
        for start in range(0, len(orders), ORDERS_MAX):
            with self.store.transaction(actor="benchmark") as tx:
                take_in(tx, fund_id, orders[start : start + ORDERS_MAX], approved_by="desk")


@contextmanager
def scene(database: str, *, settings: Sequence[str] = ()) -> Iterator[Scene]:
    """Set it up; blocks come once a second from then on. `settings` are lines of `[engine]`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="settlement-bench-")))
        url = stack.enter_context(database_of(database, folder))
        chain = stack.enter_context(AnvilProcess(block_gas_limit=BLOCK_GAS))
        stage = set_stage(chain, treasury_base_units=MONEY)
        chain.set_interval(1)
        engine = open_engine(url)
        stack.callback(engine.dispose)
        upgrade(engine)
        store = Store(engine)
        with store.transaction(actor="benchmark") as tx:
            add_fund(tx, stage.fund)
        daemon = stack.enter_context(Daemon(folder / "node.toml", chain.funded_keys[1]))
        daemon.configure(url, chain, settings)
        yield Scene(chain, stage, store, daemon)


@contextmanager
def database_of(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a file, or one of a PostgreSQL server of its own. Both keep
    what they commit, as they do in production."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'node.sqlite'}"
        return
    home = Path(tempfile.gettempdir()) / f"settlement-bench-pg-{secrets.token_hex(6)}"
    started = server(home)
    try:
        admin_url = started.get_uri()
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE bench"))
        yield admin_url.replace("/postgres?", "/bench?")
    finally:
        started.stop()
        shutil.rmtree(home, ignore_errors=True)


@dataclass(slots=True)
class Daemon:
    """`settlement-node run` as a process of its own; none is left behind."""

    settings: Path
    key: bytes
    port: int = field(default_factory=free_port)
    api_key: str = field(default_factory=lambda: secrets.token_hex(32))
    _process: subprocess.Popen[bytes] | None = None
    _output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._output.close()

    def configure(self, database_url: str, chain: AnvilProcess, engine: Sequence[str]) -> None:
        """Write its settings: one endpoint, two confirmations, all else as it comes."""
        lines = [
            *("[database]", f'url = "{database_url}"'),
            *("[api]", f"port = {self.port}", "reads_need_key = false"),
            *("[[api.api_keys]]", 'name = "benchmark"', f'key_env = "{API_KEY}"'),
            *("[[chains]]", f"chain_id = {chain.chain_id}", 'name = "anvil"'),
            *("agreement_endpoints = 1", "poll_interval_seconds = 0.25"),
            *("[[chains.endpoints]]", 'name = "anvil"', f'url = "{chain.address}"'),
            *("[chains.finality]", 'mode = "confirmations"', "confirmations_blocks = 2"),
            *("[[signers]]", f"chain_id = {chain.chain_id}", 'kind = "env"'),
            *(f'key_env = "{LANE_KEY}"', "[engine]", *engine),
            *("[logging]", 'level = "warning"'),
        ]
        self.settings.write_text("\n".join(lines) + "\n")

    def start(self, *, api: bool = False) -> None:
        """Start it; with `api`, wait until that answers."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "settlement_node", "run", "--config", str(self.settings)),
                *(() if api else ("--no-api",)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, LANE_KEY: "0x" + self.key.hex(), API_KEY: self.api_key},
            cwd=ROOT,
        )
        if api:
            wait_for(self._answers, self)

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def check(self) -> None:
        """It must be alive."""
        status = None if self._process is None else self._process.poll()
        if status is not None:
            said = os.pread(self._output.fileno(), 10**6, 0).decode("utf-8", "replace")
            raise AssertionError(f"the daemon ended with {status}:\n{said[-3000:]}")

    def memory_peak_mb(self) -> float:
        """The most memory it ever had, in million bytes."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """The processor time it used so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connection(self) -> closing[http.client.HTTPConnection]:
        """A connection to its API, for a `with`."""
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS))

    def _answers(self) -> bool:
        try:
            with self.connection() as asked:
                asked.request("GET", "/healthz")
                return asked.getresponse().status == 200
        except OSError:
            return False


def wait_for(
    holds: Callable[[], bool],
    daemon: Daemon,
    *,
    seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.02,
) -> None:
    """Until something holds; AssertionError when the daemon ends or the time is up."""
    deadline = time.monotonic() + seconds
    while not holds():
        daemon.check()
        assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds"
        time.sleep(every_seconds)
