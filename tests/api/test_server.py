"""The API's own server: binding, starting, stopping."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from settlement_node.api.server import ApiServer
from settlement_node.errors import InvalidInput

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def database_name() -> str:
    """Serving does not depend on the database."""
    return "sqlite"


def test_server__on_a_free_port__answers_until_stopped(app: FastAPI) -> None:
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        answer = httpx.get(f"{server.url}/healthz", timeout=60)
        assert answer.json() == {"status": "alive"}
        assert "server" not in answer.headers
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/healthz", timeout=60)


def test_server__a_taken_port__is_refused_at_once(app: FastAPI) -> None:
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(InvalidInput, match=r"change api\.host or api\.port"):
            ApiServer(app, host="127.0.0.1", port=port)


def test_server__a_head_of_a_request_without_end__is_refused(app: FastAPI) -> None:
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        try:
            long = {"X-Long": "x" * 2_000_000}
            assert httpx.get(f"{server.url}/healthz", headers=long, timeout=60).status_code == 400
        except httpx.TransportError:
            pass  # closed while it was still being sent
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200
