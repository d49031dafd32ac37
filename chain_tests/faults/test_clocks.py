"""A machine whose clock jumps: waiting times go by a clock that only goes forward."""

from __future__ import annotations

import socket
import time

import pytest

from settlement_node.assembly import build_client
from settlement_node.config.sections import Settings
from settlement_node.errors import Transient

DAY_SECONDS = 86_400


def closed_port() -> int:
    """A port of this machine nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize("jump_seconds", [DAY_SECONDS, -DAY_SECONDS])
def test_client__wall_clock_jumps__quarantine_lasts_as_long_as_it_was_given(
    monkeypatch: pytest.MonkeyPatch, jump_seconds: int
) -> None:
    wall = time.time
    jumped = [0]
    monkeypatch.setattr(time, "time", lambda: wall() + jumped[0])
    url = f"http://127.0.0.1:{closed_port()}"
    settings = Settings.model_validate(
        {
            "database": {"url": "sqlite://"},
            "chains": [{"chain_id": 1, "name": "one", "endpoints": [{"name": "a", "url": url}]}],
        }
    )
    client = build_client(settings.chains[0], settings)
    for _ in range(3):
        with pytest.raises(Transient):
            client.refresh()
    assert [endpoint.quarantined for endpoint in client.health()] == [True]

    jumped[0] = jump_seconds
    before = client.health()[0]
    assert before.quarantined
    assert before.score < 0.5, "nor is it forgotten before its time"
