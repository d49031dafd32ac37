"""The API's own server: binding, starting, stopping."""

from __future__ import annotations

import socket
import time

import httpx
import pytest
from fastapi import FastAPI

from settlement_node.api import edge, protocol
from settlement_node.api.server import ApiServer
from settlement_node.errors import InvalidInput
from tests.api.support import KEY, problem_of

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


def connect(server: ApiServer) -> socket.socket:
    port = int(server.url.rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=60)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: local"])
def test_server__a_connection_without_a_whole_request__is_closed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.5)
    with ApiServer(app, host="127.0.0.1", port=0) as server, connect(server) as idle:
        idle.sendall(sent)
        assert idle.recv(100) == b""


def test_server__a_head_that_drips_in__is_closed_all_the_same(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.5)
    with ApiServer(app, host="127.0.0.1", port=0) as server, connect(server) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        deadline = time.monotonic() + 60
        with pytest.raises(OSError, match=r"[Bb]roken pipe|reset"):
            while time.monotonic() < deadline:
                slow.sendall(b"X-A: b\r\n")
                time.sleep(0.05)


@pytest.mark.parametrize("size", [33_000, 70_000, 120_000])
def test_server__a_head_a_little_too_large__is_told_so(app: FastAPI, size: int) -> None:
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        headers = {"X-Long": "x" * size}
        problem = problem_of(httpx.get(f"{server.url}/healthz", headers=headers, timeout=60), 431)
    assert "32768 bytes" in problem["detail"]


BODY_BEGUN = (
    f"POST /v1/redemptions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    "Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{"
).encode()


def test_server__a_body_that_never_ends__is_closed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.5)
    with ApiServer(app, host="127.0.0.1", port=0) as server, connect(server) as slow:
        slow.sendall(BODY_BEGUN)
        assert slow.recv(100) == b""


def test_server__a_body_that_drips_in__is_closed_all_the_same(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.5)
    with ApiServer(app, host="127.0.0.1", port=0) as server, connect(server) as slow:
        slow.sendall(BODY_BEGUN)
        deadline = time.monotonic() + 10
        with pytest.raises(OSError, match=r"[Bb]roken pipe|reset"):
            while time.monotonic() < deadline:
                slow.sendall(b" ")
                time.sleep(0.05)


def test_server__a_body_that_takes_longer_than_a_head_may__is_read(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.2)
    with ApiServer(app, host="127.0.0.1", port=0) as server, connect(server) as slow:
        slow.sendall(BODY_BEGUN)
        time.sleep(0.6)
        slow.sendall(b" " * 9_999)
        assert slow.recv(100).startswith(b"HTTP/1.1 400")


def test_server__every_connection_held_by_a_body__still_answers(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 3)
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        held = [connect(server) for _ in range(3)]
        for one in held:
            one.sendall(BODY_BEGUN)
        time.sleep(0.3)
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200
        assert held[0].recv(100) == b"", "the one that was waited for longest made room"
        for one in held:
            one.close()


def test_server__as_many_idle_connections_as_may_be__still_answers(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 3)
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        held = [connect(server) for _ in range(3)]
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200
        assert held[0].recv(100) == b"", "the one that was idle longest made room"
        for one in held:
            one.close()


def test_server__as_many_requests_as_may_be__health_is_answered_and_the_rest_come_back(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "REQUESTS_MAX", 0)
    with ApiServer(app, host="127.0.0.1", port=0) as server:
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200
        refused = httpx.get(f"{server.url}/v1/status", timeout=60)
    problem_of(refused, 503)
    assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize("chunked", [False, True])
def test_server__too_large_a_body_on_a_reused_connection__the_413_is_read(
    app: FastAPI, chunked: bool
) -> None:
    body = b"x" * (16 * 1024 * 1024)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with (
        ApiServer(app, host="127.0.0.1", port=0) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=60) as client,
    ):
        for _ in range(5):
            assert client.get("/healthz").status_code == 200
            sent = iter([body]) if chunked else body
            problem_of(client.post("/v1/redemptions", content=sent), 413)
