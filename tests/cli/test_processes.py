"""Commands as processes of their own: exit statuses, signals, and what goes where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from settlement_node.store.rows import FundRow
from tests.cli.conftest import SETTINGS, Desk
from tests_support.book import CHAIN_ID, LANE_ADDRESS, approve

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "settlement_node"]
START_SECONDS = 40


def environment(desk: Desk, **more: str) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "SETTLEMENT_NODE_CONFIG": str(desk.folder / "settlement-node.toml"),
        **more,
    }


def run(desk: Desk, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(desk, **more),
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("db", "status", "--json"), 0),
        (("config", "check", "--json"), 1),
        (("import", "none.csv"), 2),
        (("no-such-command",), 2),
        (("status", "--config", "none.toml"), 2),
    ],
)
def test_exit_status__of_a_process__is_as_documented(
    desk: Desk, arguments: tuple[str, ...], code: int
) -> None:
    ended = run(desk, *arguments)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    if "--json" in arguments:
        json.loads(ended.stdout)
    else:
        assert ended.stdout == ""
        assert ended.stderr


class Running:
    """`settlement-node run`, as a service manager starts and stops it."""

    def __init__(self, desk: Desk, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "run", "--json", *arguments],
            env=environment(desk, LANE_KEY="0x" + "22" * 32),
            cwd=desk.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.started: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")

    def stop(self, number: int) -> tuple[int, dict[str, Any], str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, json.loads(out.strip().splitlines()[-1]), err


@pytest.fixture
def running(desk: Desk) -> Iterator[Running]:
    signer = '\n[[signers]]\nchain_id = 31337\nkind = "env"\nkey_env = "LANE_KEY"\n'
    desk.write("settlement-node.toml", SETTINGS + "\n[api]\nport = 0\n" + signer)
    node = Running(desk)
    yield node
    if node.process.poll() is None:
        node.process.kill()
        node.process.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_run__stopped_by_a_signal__ends_cleanly(running: Running, number: int) -> None:
    assert running.started["started"] is True
    assert running.started["api"].startswith("http://127.0.0.1:")
    code, last, err = running.stop(number)
    assert (code, last["stopped"]) == (0, True)
    assert "Traceback" not in err
    assert "22" * 32 not in err


def test_run__a_taken_port__is_an_error_that_names_the_key(desk: Desk, running: Running) -> None:
    port = running.started["api"].rsplit(":", 1)[1]
    second = run(desk, "run", LANE_KEY="0x" + "22" * 32, SETTLEMENT_NODE__API__PORT=port)
    assert second.returncode == 2
    assert "api.port" in second.stderr


def test_demo__a_taken_port__is_said_before_anything_is_played(
    desk: Desk, running: Running
) -> None:
    port = running.started["api"].rsplit(":", 1)[1]
    ended = run(desk, "demo", "--port", port, "--json")
    assert ended.returncode == 2
    assert list(json.loads(ended.stdout)) == ["error"]
    assert "--port" in ended.stdout
    assert "api.port" not in ended.stdout


def test_run__lanes_of_the_book__are_released_at_the_stop(desk: Desk, fund: FundRow) -> None:
    """The lane's signer is not configured here, so the node takes none and still serves."""
    approve(desk.store, fund, ["a"])
    desk.write("settlement-node.toml", SETTINGS + "\n[api]\nport = 0\n")
    node = Running(desk)
    time.sleep(1)
    code, _, _ = node.stop(signal.SIGTERM)
    assert (code, node.started["signers"]) == (0, [])
    told = desk.json("status")
    (lane,) = told["lanes"]
    assert lane["lane"] == f"{CHAIN_ID}:{LANE_ADDRESS}"
    assert lane["held_by"] is None


def test_dry_run__signer_is_elsewhere__ends_by_itself_and_says_so(
    desk: Desk, fund: FundRow
) -> None:
    approve(desk.store, fund, ["a"])

    ended = run(desk, "run", "--dry-run", "--json")

    assert ended.returncode == 3
    (told,) = json.loads(ended.stdout)["funds"]
    assert (told["fund_id"], told["would_settle_count"], told["would_hold"]) == (
        fund.fund_id,
        0,
        [],
    )
    assert f"no signer for {LANE_ADDRESS}" in told["unjudged_because"]


def test_dry_run__no_fund_yet__ends_and_says_how_to_enter_one(desk: Desk) -> None:
    ended = run(desk, "run", "--dry-run")
    assert ended.returncode == 0
    assert "fund add FILE" in ended.stdout


STOPPED_WHILE_LOCKED = """
import signal, threading
from settlement_node.cli.common import stop_on_signals

stopping = threading.Event()
stop_on_signals(stopping.set)
with stopping._cond:  # as while it is being set or waited for
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
print(stopping.wait(10))
"""


def test_stop_on_signals__while_the_event_is_locked__stops_all_the_same() -> None:
    """A handler runs in the main thread, between any two steps of it."""
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_WHILE_LOCKED],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")
