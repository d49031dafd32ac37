"""A caller that leaves a stream ends it; that is no error, and every other one still is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from settlement_node.api.edge import Edge
from settlement_node.api.hosts import ServedNames
from settlement_node.api.metrics import Metrics
from settlement_node.config.sections import ApiSettings
from settlement_node.store.database import Store
from tests.api.support import serving

HANG_UP = ExceptionGroup("a task group", [ExceptionGroup("", [anyio.BrokenResourceError()])])
WITH_ANOTHER = ExceptionGroup("a task group", [anyio.BrokenResourceError(), ValueError("x")])


def carry(store: Store, portal: BlockingPortal, failure: Exception, *, leaves: bool) -> None:
    """One request whose answer begins, whose caller leaves or stays, and which then fails."""

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        raise failure

    async def receive() -> Message:
        return {"type": "http.disconnect" if leaves else "http.request"}

    async def send(_message: Message) -> None:
        return

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/v1/events"}
    scope["headers"] = [(b"host", b"localhost")]
    names = ServedNames(ApiSettings())
    edge = Edge(application, body_bytes_max=100, metrics=Metrics(store), names=names)
    portal.call(edge, scope, receive, send)


def test_edge__a_stream_whose_caller_left__ends_without_an_error(
    store: Store, portal: BlockingPortal
) -> None:
    structlog.reset_defaults()
    with capture_logs() as logged:
        carry(store, portal, HANG_UP, leaves=True)
    assert [entry["event"] for entry in logged] == ["request"]


@pytest.mark.parametrize(
    ("failure", "leaves"), [(HANG_UP, False), (WITH_ANOTHER, True), (ValueError("x"), True)]
)
def test_edge__any_other_failure_of_a_stream__is_logged_and_raised(
    store: Store, portal: BlockingPortal, failure: Exception, leaves: bool
) -> None:
    structlog.reset_defaults()
    with capture_logs() as logged, pytest.raises(type(failure)):
        carry(store, portal, failure, leaves=leaves)
    assert [entry["event"] for entry in logged] == ["request_failed", "request"]


def test_stream__dropped_while_it_catches_up__leaves_no_traceback(
    app: FastAPI, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.reset_defaults()
    with store.transaction(actor="test") as tx:
        for number in range(2_000):
            tx.emit("thing.done", str(number), {"n": number})
    with capture_logs() as logged, serving(app, tmp_path / "api.sock") as client:
        for _ in range(20):
            with client.stream("GET", "/v1/events", params={"after": 0}) as answer:
                next(answer.iter_lines())
        time.sleep(0.2)
    assert {entry["event"] for entry in logged} == {"request"}
    assert caplog.records == []
