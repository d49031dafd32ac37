"""An anvil process: a real client's chain for the demonstration and the tests."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

from settlement_node.chain.wire.transport import HttpTransport, RpcError, RpcRequest, quantity
from settlement_node.devchain.development_keys import ACCOUNTS, MNEMONIC, development_keys
from settlement_node.errors import InvalidInput, Refused, Transient

START_SECONDS = 20.0
STOP_SECONDS = 5.0
CHAIN_ID = 31_337
_LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)")


def find_anvil() -> Path:
    """anvil on the PATH, or in the nearest `node_modules/.bin` upwards from here or from the
    working directory. InvalidInput says how to get it."""
    on_path = shutil.which("anvil")
    if on_path is not None:
        return Path(on_path)
    for start in (Path(__file__).resolve(), Path.cwd() / "x"):
        for folder in start.parents:
            modules = folder / "node_modules"
            # The program itself before npm's wrapper: it starts sooner and takes signals itself.
            for candidate in sorted(modules.glob("@foundry-rs/anvil-*/bin/anvil")):
                return candidate
            if (modules / ".bin" / "anvil").exists():
                return modules / ".bin" / "anvil"
    raise InvalidInput("anvil is not installed; `make setup` installs it")


class AnvilProcess:
    """A context manager around one anvil, on a free port of this machine.

    Without `block_seconds` nothing is mined but by `mine`. `slots_in_an_epoch` sets how far the
    `safe` and `finalized` tags stay behind the head: one and two such epochs.
    """

    def __init__(
        self,
        *,
        chain_id: int = CHAIN_ID,
        block_seconds: int | None = None,
        slots_in_an_epoch: int = 1,
        block_gas_limit: int = 30_000_000,
        more_arguments: Sequence[str] = (),
    ) -> None:
        """Nothing is started yet."""
        self.funded_keys: tuple[bytes, ...] = development_keys()
        self.chain_id = chain_id
        self._arguments = [
            *("--host", "127.0.0.1", "--port", "0"),
            *("--chain-id", str(chain_id)),
            *("--mnemonic", MNEMONIC, "--accounts", str(ACCOUNTS)),
            *("--gas-limit", str(block_gas_limit)),
            *("--slots-in-an-epoch", str(slots_in_an_epoch)),
            *(("--no-mining",) if block_seconds is None else ("--block-time", str(block_seconds))),
            *more_arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Start and wait until it answers; Transient with its last words when it does not."""
        # A file, not a pipe: nobody reads on after the start, and a full pipe would stop anvil.
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 — our own arguments, no shell
            [str(find_anvil()), *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1"},
            start_new_session=True,
        )
        try:
            self._port = self._wait_for_port(self._process, self._output)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def transport(self, name: str = "anvil", *, timeout_seconds: float = 10.0) -> HttpTransport:
        """A connection to it; several stand for several endpoints."""
        return HttpTransport(self.address, name=name, timeout_seconds=timeout_seconds)

    def stop(self) -> None:
        """Ask it to end, then make it. Does nothing when it has ended."""
        process, self._process = self._process, None
        if process is not None:
            _end(process, signal.SIGTERM)
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _end(process, signal.SIGKILL)
                process.wait()
        if self._output is not None:
            self._output.close()
            self._output = None

    def rpc(self, method: str, *parameters: Any) -> Any:
        """One call, for tests; Refused with the client's words on an error."""
        (result,) = self.transport().request([RpcRequest(method, parameters)])
        if isinstance(result, RpcError):
            raise Refused(f"{method}: {result.message}", rpc_code=result.code)
        return result.value

    def mine(self, blocks: int = 1) -> None:
        """Mine; pending transactions go into the first block."""
        self.rpc("anvil_mine", quantity(blocks))

    @staticmethod
    def _wait_for_port(process: subprocess.Popen[bytes], output: IO[bytes]) -> int:
        """Read the port from its first lines. It was told to choose a free one itself."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            ended = process.poll() is not None
            # By position, since the process writes through the same file offset.
            said = os.pread(output.fileno(), 65_536, 0)
            match = _LISTENING.search(said)
            if match:
                return int(match.group(1))
            if ended or time.monotonic() > deadline:
                last_words = said[-500:].decode("utf-8", "replace").strip() or "it said nothing"
                raise Transient(f"anvil did not start: {last_words}")
            time.sleep(0.01)


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Signal the whole session, as npm's wrapper is a process of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
