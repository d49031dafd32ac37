"""The real daemon, killed by itself at a few points; `make crash-test` does all of them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from chain_tests.copies import Copies, address_of
from chain_tests.crash.daemon import PATIENCE_SECONDS, ROOT, Daemon, settings_text
from chain_tests.crash.rounds import (
    LOST_BOOK_POINTS,
    NOT_PLAIN,
    Crashes,
    Outcome,
    Round,
    all_rounds,
)
from chain_tests.marks import on_anvil, on_postgresql
from chain_tests.world import World, wait_until
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.checkpoints import CHECKPOINTS

S = RedemptionStatus
SEVERAL_RENEWALS_SECONDS = 11.0
"""Leases are looked after every five seconds."""


def run_rounds(world: World, copies: Copies, folder: Path, rounds: list[Round]) -> Outcome:
    with Daemon(folder / "node.toml", world.chain.funded_keys[1]) as daemon:
        crashes = Crashes(world, daemon, copies)
        crashes.play(rounds)
    crashes.check_books()
    return crashes.outcome()


@pytest.mark.slow
@on_anvil
@on_postgresql
def test_killed__around_the_send__burned_once_and_paid_once(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    rounds = [Round("sign.after_commit"), Round("send.after_broadcast")]
    found = run_rounds(world, copies, tmp_path, rounds)
    assert found == Outcome(kills=2, redemptions=4, double_paid=0, lost=0, missed=())


@pytest.mark.slow
@on_anvil
@on_postgresql
def test_killed__undoing_replacing_and_restoring__burned_once_and_paid_once(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    rounds = [
        Round("heads.before_commit", kind="reorganisation"),
        Round("send.after_broadcast", kind="replacement"),
        Round("nonce.after_commit", kind="lost book"),
    ]
    found = run_rounds(world, copies, tmp_path, rounds)
    assert found == Outcome(kills=3, redemptions=6, double_paid=0, lost=0, missed=())


@pytest.mark.slow
@on_anvil
def test_killed_from_outside__between_send_and_receipt__restarted_and_paid_once(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    """SIGKILL from outside while the batch waits in the mempool; it is mined while nobody looks."""
    names = world.enter(3)
    settings = tmp_path / "node.toml"
    settings.write_text(settings_of(world))
    with Daemon(settings, world.chain.funded_keys[1]) as daemon:
        daemon.start()
        wait_until(
            lambda: (
                world.status(names[0]) is S.SETTLING
                and any(a.sends_count for a in world.attempts_of(names[0]))
            ),
            seconds=PATIENCE_SECONDS,
            explain=daemon.last_words,
        )
        daemon.kill()
        world.mine(5)
        assert world.statuses(names) == [S.SETTLING] * 3
        daemon.start()
        wait_until(
            lambda: world.statuses(names) == [S.SETTLED] * 3,
            seconds=PATIENCE_SECONDS,
            explain=daemon.last_words,
        )
        daemon.stop()
    assert world.check_books().transactions == 1


@pytest.mark.slow
@on_anvil
def test_two_daemons__on_one_machine__the_second_takes_the_lane_once_the_first_is_killed(
    world: World, tmp_path: Path
) -> None:
    """At once, long before the lease lapses; and not while the first one lives."""
    settings = tmp_path / "node.toml"
    settings.write_text(settings_of(world))
    key = world.chain.funded_keys[1]
    with Daemon(settings, key) as first, Daemon(settings, key) as second:
        for daemon, said in ((first, "lane_taken"), (second, "node_started")):
            daemon.start()
            wait_until(
                partial(daemon.has_said, said),
                seconds=PATIENCE_SECONDS,
                explain=daemon.last_words,
            )
        world.enter(1)
        wait_until(
            lambda: world.status("order-0") is not S.APPROVED,
            seconds=PATIENCE_SECONDS,
            explain=first.last_words,
        )
        time.sleep(SEVERAL_RENEWALS_SECONDS)
        assert not second.has_said("lane_taken")
        first.kill()
        wait_until(
            partial(second.has_said, "lane_taken"),
            seconds=PATIENCE_SECONDS,
            explain=second.last_words,
        )
        second.stop()


def settings_of(world: World) -> str:
    from tests_support.anvil import AnvilProcess

    assert isinstance(world.chain, AnvilProcess)
    return settings_text(
        database_url=address_of(world.store.engine),
        endpoints=[world.chain.address],
        chain_id=world.chain.chain_id,
    )


@pytest.mark.slow
@on_anvil
def test_crash_point__that_does_not_exist__refused_by_name_and_nothing_done(
    world: World, tmp_path: Path
) -> None:
    names = world.enter(1)
    settings = tmp_path / "node.toml"
    settings.write_text(settings_of(world))
    with Daemon(settings, world.chain.funded_keys[1]) as daemon:
        daemon.start(crash_at="send.before_lunch")
        assert daemon.wait(seconds=PATIENCE_SECONDS) == 2
        assert "send.before_lunch names no crash point" in daemon.last_words()
    assert world.statuses(names) == [S.APPROVED]


def test_command__unknown_point__exits_with_the_names() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "chain_tests.crash", "--points", "heads.before_commit,nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "no such point: nowhere" in ended.stderr


def test_points__in_the_code__are_the_table_and_each_is_killed_at() -> None:
    code = [path.read_text() for path in (ROOT / "settlement_node").rglob("*.py")]
    passed = {
        found for text in code for found in re.findall(r'\bcheckpoint\("([a-z._]+)"\)', text)
    } | {
        f"{name}.{side}_commit"
        for text in code
        for name in re.findall(r'\blane\.commit\("([a-z]+)"', text)
        for side in ("before", "after")
    }
    assert set(CHECKPOINTS) == passed
    assert {one.point for one in all_rounds()} == passed
    assert set(NOT_PLAIN) == set(LOST_BOOK_POINTS)
