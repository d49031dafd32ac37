"""The named points before and after every commit and every call that leaves the process.

Tests stop the node at one of them; in production they do nothing. The table is the whole list: a
name that is not in it is refused.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from settlement_node.errors import InvalidInput

CHECKPOINTS = (
    "heads.before_commit",
    "heads.after_commit",
    "scan.before_commit",
    "scan.after_commit",
    "found.before_commit",
    "found.after_commit",
    "nonce.before_commit",
    "nonce.after_commit",
    "track.before_commit",
    "track.after_commit",
    "finish.before_commit",
    "finish.after_commit",
    "plan.before_commit",
    "plan.after_commit",
    "sign.before_signer",
    "sign.before_commit",
    "sign.after_commit",
    "send.before_broadcast",
    "send.after_broadcast",
    "send.after_commit",
    "deliver.before_commit",
    "deliver.after_commit",
    "reconcile.before_commit",
    "reconcile.after_commit",
)
CRASH_VARIABLE = "SETTLEMENT_NODE_CRASH_AT"


def crash_at(setting: str) -> Callable[[str], None]:
    """A checkpoint hook that kills this process with SIGKILL at the n-th passage of one point.

    `setting` is `name` or `name:n`; raises InvalidInput for a name or count that does not exist.
    """
    name, _, count = setting.partition(":")
    if name not in CHECKPOINTS:
        raise InvalidInput(
            f"{CRASH_VARIABLE}={setting} names no crash point; they are: " + ", ".join(CHECKPOINTS),
            field=CRASH_VARIABLE,
        )
    if count and not (count.isdigit() and int(count) >= 1):
        raise InvalidInput(
            f"{CRASH_VARIABLE}={setting}: the passage after the colon is a number from 1",
            field=CRASH_VARIABLE,
        )
    left = int(count or 1)

    def checkpoint(passed: str) -> None:
        nonlocal left
        if passed == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def checkpoint_from_environment() -> Callable[[str], None]:
    """The hook for a daemon: does nothing unless the crash variable is set."""
    setting = os.environ.get(CRASH_VARIABLE)
    return crash_at(setting) if setting else lambda _: None
