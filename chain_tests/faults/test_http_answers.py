"""Answers over a real connection: in pieces, zipped, too large, too deep, without an end."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from chain_tests.faults.hostile import read_request
from settlement_node.chain.signers.remote_http import RemoteHttp
from settlement_node.chain.wire.bounded_http import BoundedAdapter, PlainSession
from settlement_node.chain.wire.transport import HttpTransport, RpcOk, RpcRequest, TransportFailed
from settlement_node.errors import Refused, Transient

ASKED = RpcRequest("eth_blockNumber")
OK = "HTTP/1.1 200 OK\r\n"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Drip:
    """An HTTP server on this machine whose answer is `pieces`, a moment apart."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        *,
        headers: str = "",
        head: str | None = None,
        pause_seconds: float = 0.0,
        resets: bool = False,
    ) -> None:
        """`head` replaces the status line and all headers."""
        self.pieces, self.pause_seconds, self.resets = pieces, pause_seconds, resets
        self.head = f"{OK}Connection: close\r\n{headers}\r\n" if head is None else head
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection, suppress(OSError):
                    read_request(connection)
                    connection.sendall(self.head.encode())
                    for piece in self.pieces:
                        connection.sendall(piece)
                        time.sleep(self.pause_seconds)
                    if self.resets:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)


@pytest.fixture
def drip() -> Iterator[Callable[..., Drip]]:
    with ExitStack() as stack:

        def make(*pieces: bytes, **words: Any) -> Drip:
            server = Drip(pieces, **words)
            stack.callback(server.socket.close)
            return server

        yield make


def test_request__answer_in_pieces_and_zipped__read_whole(drip: Callable[..., Drip]) -> None:
    content = gzip.compress(json.dumps({"jsonrpc": "2.0", "id": 0, "result": "0x2a"}).encode())
    server = drip(*(bytes([byte]) for byte in content), headers="Content-Encoding: gzip\r\n")

    assert HttpTransport(server.address).request([ASKED]) == [RpcOk("0x2a")]


@pytest.mark.parametrize("headers", ["", "Content-Encoding: gzip\r\n"])
def test_request__answer_larger_than_the_bound__transport_failed(
    drip: Callable[..., Drip], headers: str
) -> None:
    body = b'{"jsonrpc": "2.0", "id": 0, "result": "' + b"0" * 10**6 + b'"}'
    server = drip(gzip.compress(body) if headers else body, headers=headers)
    transport = HttpTransport(server.address, answer_bytes_max=10_000)

    with pytest.raises(TransportFailed, match="AnswerTooLarge"):
        transport.request([ASKED])


EMPTY_ZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
EMPTY_ZIP_BLOCK = b"\x00\x00\x00\xff\xff"
NEVER_ENDS = [
    pytest.param([b" "] * 1000, {}, id="body"),
    pytest.param([b"a"] * 1000, {"head": f"{OK}X: "}, id="header"),
    pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000, {"head": ""}, id="continue"),
    pytest.param(
        [b"0\r\n", *[b"A: b\r\n"] * 1000],
        {"headers": "Transfer-Encoding: chunked\r\n"},
        id="trailers",
    ),
    pytest.param(
        [EMPTY_ZIP, *[EMPTY_ZIP_BLOCK] * 1000],
        {"headers": "Content-Encoding: gzip\r\n"},
        id="zip of nothing",
    ),
]


@pytest.mark.parametrize(("pieces", "words"), NEVER_ENDS)
def test_request__answer_that_never_ends__transport_failed_in_time(
    drip: Callable[..., Drip], pieces: Sequence[bytes], words: dict[str, Any]
) -> None:
    server = drip(*pieces, pause_seconds=0.05, **words)
    transport = HttpTransport(server.address, timeout_seconds=0.3)
    started = time.monotonic()

    with pytest.raises(TransportFailed, match=r"AnswerTooSlow|ReadTimeout"):
        transport.request([ASKED])

    assert time.monotonic() - started < 25, "the answer was read for as long as it came"


@pytest.mark.parametrize(("pieces", "words"), NEVER_ENDS)
def test_remote_http__answer_that_never_ends__transient_in_time(
    drip: Callable[..., Drip], pieces: Sequence[bytes], words: dict[str, Any]
) -> None:
    server = drip(*pieces, pause_seconds=0.05, **words)
    started = time.monotonic()

    with pytest.raises((Transient, Refused)):
        RemoteHttp(server.address, timeout_seconds=0.3).get("/", bytes_max=1_000)

    assert time.monotonic() - started < 25, "the answer was read for as long as it came"


@pytest.mark.parametrize("location", ["/elsewhere", "http://[", "/\xff"])
def test_redirect__wherever_to__not_read_and_named(
    drip: Callable[..., Drip], location: str
) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n"
    server = drip(*[b"x" * 1000] * 1000, head=head, pause_seconds=0.05)

    with pytest.raises(TransportFailed, match="HTTP 302"):
        HttpTransport(server.address).request([ASKED])
    with pytest.raises(Refused, match="more than"):
        RemoteHttp(server.address).get("/", bytes_max=1_000)


def test_request__cookies__none_is_kept(drip: Callable[..., Drip]) -> None:
    server = drip(b'{"id": 0, "result": "0x2a"}', headers="Set-Cookie: a=b\r\n")
    session = PlainSession(BoundedAdapter(bytes_max=1_000))

    session.get(server.address)

    assert len(session.cookies) == 0


@pytest.mark.parametrize(
    ("user", "sent"), [("", None), ("node:k3y@", "Basic " + base64.b64encode(b"node:k3y").decode())]
)
def test_session__netrc_of_the_host__the_address_decides_alone(
    user: str, sent: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    session = PlainSession(BoundedAdapter(bytes_max=1_000))

    request = session.prepare_request(requests.Request("POST", f"http://{user}127.0.0.1/"))

    assert request.headers.get("Authorization") == sent


def test_request__headers_cannot_be_read__the_address_is_not_logged(
    drip: Callable[..., Drip], caplog: pytest.LogCaptureFixture
) -> None:
    server = drip(b'{"id": 0, "result": "0x2a"}', headers="no colon\r\nA: b\r\n")

    HttpTransport(f"{server.address}/k3y").request([ASKED])

    assert "k3y" not in caplog.text


@pytest.mark.parametrize("asked", [[ASKED], [ASKED, ASKED]], ids=["single", "batch"])
@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        pytest.param([b'{"jsonrpc"'], {"headers": "Content-Length: 38\r\n"}, id="cut"),
        pytest.param(
            [b'{"jsonrpc"'],
            {"headers": "Content-Length: 38\r\n", "pause_seconds": 0.1, "resets": True},
            id="reset",
        ),
        pytest.param([b'{"jsonrpc"', b"}"], {"pause_seconds": 20.0}, id="silent"),
        pytest.param([b"not zipped"], {"headers": "Content-Encoding: gzip\r\n"}, id="not zipped"),
        pytest.param([b"5\r\n{"], {"headers": "Transfer-Encoding: chunked\r\n"}, id="cut chunk"),
    ],
)
def test_request__answer_cut_short__transport_failed(
    drip: Callable[..., Drip],
    pieces: Sequence[bytes],
    words: dict[str, Any],
    asked: Sequence[RpcRequest],
) -> None:
    # Long enough for a busy machine to begin its answer: without a head it is no answer at all.
    transport = HttpTransport(drip(*pieces, **words).address, timeout_seconds=2.0)

    with pytest.raises(TransportFailed, match=r"AnswerCutShort|AnswerTooSlow"):
        transport.request(asked)
