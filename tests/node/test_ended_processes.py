"""Whether another process of this machine has ended: by the kernel's word, never by a guess."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from settlement_node.node.processes import has_ended, this_process

SHOW = """
import sys
from settlement_node.node.processes import this_process
print(this_process(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that waits, and what it says it is."""
    with subprocess.Popen(
        [sys.executable, "-c", SHOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def parts_of(process: str) -> tuple[str, str, str]:
    namespaces, number, start = process.split(" ")
    return namespaces, number, start


def test_this_process__asked_twice__is_the_same_and_lives() -> None:
    me = this_process()
    assert me is not None
    assert me == this_process()
    assert not has_ended(me)
    assert len(me) <= 120, "as long as its column"


def test_has_ended__another_that_lives__is_not_proven(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    assert not has_ended(other[1])


def test_has_ended__killed__is_proven_once_it_is_gone(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    process, name = other
    process.kill()
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is None:
        time.sleep(0.01)
    assert not has_ended(name), "its number is still its own"
    process.wait()
    assert has_ended(name)


def test_has_ended__number_given_to_a_later_process__is_proven(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    namespaces, number, start = parts_of(other[1])
    assert has_ended(f"{namespaces} {number} {int(start) - 1}")


def test_has_ended__of_another_boot_or_namespace__is_never_proven(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    process, name = other
    process.kill()
    process.wait()
    namespaces, number, start = parts_of(name)
    boot, numbers, times = namespaces.split(":")
    for elsewhere in (
        f"{boot[::-1]}:{numbers}:{times}",
        f"{boot}:{int(numbers) + 1}:{times}",
        f"{boot}:{numbers}:{int(times) + 1}",
    ):
        assert not has_ended(f"{elsewhere} {number} {start}")


@pytest.mark.parametrize("name", ["", "node", "a b c", "x:1:2 one 3", "None"])
def test_has_ended__no_process_at_all__is_never_proven(name: str) -> None:
    assert not has_ended(name)
