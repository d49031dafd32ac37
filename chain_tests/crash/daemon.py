"""The real daemon as a process of its own: started, killed by itself at a point, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from chain_tests.world import CONFIRMATIONS_BLOCKS
from settlement_node.node.checkpoints import CRASH_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
KEY_VARIABLE = "CRASH_TEST_LANE_KEY"
LEASE_SECONDS = 3_600.0
"""Never to lapse here: whoever comes after a kill sees that the holder has ended."""
PATIENCE_SECONDS = 180.0
"""How long a daemon on a busy machine may take for what it does at once."""


def settings_text(
    *,
    database_url: str,
    endpoints: Sequence[str],
    chain_id: int,
    engine: Sequence[str] = (),
    fees: Sequence[str] = (),
) -> str:
    """A settings file that polls quickly; `engine` and `fees` are further lines of those tables."""
    lines = [
        "[database]",
        f'url = "{database_url}"',
        "[[chains]]",
        f"chain_id = {chain_id}",
        'name = "chain under test"',
        "poll_interval_seconds = 0.1",
    ]
    for place, address in enumerate(endpoints):
        lines += [
            "[[chains.endpoints]]",
            f'name = "endpoint-{place}"',
            f'url = "{address}"',
            "timeout_seconds = 5",
        ]
    lines += [
        "[chains.finality]",
        'mode = "confirmations"',
        f"confirmations_blocks = {CONFIRMATIONS_BLOCKS}",
        "[chains.fees]",
        *fees,
        "[[signers]]",
        f"chain_id = {chain_id}",
        'kind = "env"',
        f'key_env = "{KEY_VARIABLE}"',
        "[engine]",
        f"lease_seconds = {LEASE_SECONDS}",
        "reconcile_interval_seconds = 0.5",
        "deliver_interval_seconds = 0.2",
        *engine,
    ]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Daemon:
    """`python -m settlement_node run`; a context manager that leaves no process behind."""

    settings: Path
    key: bytes
    _process: subprocess.Popen[bytes] | None = None
    _output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def start(self, *, crash_at: str | None = None) -> None:
        """Start it; with `crash_at`, a point's name or `name:n`, it will kill itself there."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            KEY_VARIABLE: "0x" + self.key.hex(),
        }
        environment.pop(CRASH_VARIABLE, None)
        if crash_at is not None:
            environment[CRASH_VARIABLE] = crash_at
        self._output.truncate(0)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "settlement_node", "run"),
                *("--no-api", "--config", str(self.settings)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
        )

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def wait(self, *, seconds: float) -> int:
        """Its exit status, negative for a signal; TimeoutError while it lives on."""
        assert self._process is not None
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the daemon lives on after {seconds} seconds") from None

    def kill(self) -> None:
        """SIGKILL from outside, wherever it is."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended cleanly."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self.wait(seconds=PATIENCE_SECONDS)
        assert status == 0, f"it ended with {status}:\n{self.last_words()}"

    def has_said(self, words: str) -> bool:
        """Whether these words are in what it has written since its start."""
        return words.encode() in os.pread(self._output.fileno(), 10**7, 0)

    def last_words(self, characters: int = 4_000) -> str:
        """The end of what it wrote."""
        return os.pread(self._output.fileno(), 10**7, 0).decode("utf-8", "replace")[-characters:]

    def wait_until_killed(self, *, seconds: float) -> bool:
        """Whether it killed itself in time; AssertionError when it ended in any other way."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ended:
                status = self.wait(seconds=1)
                assert status == -signal.SIGKILL, f"ended with {status}:\n{self.last_words()}"
                return True
            time.sleep(0.02)
        return False
