"""Answers over a real connection: in pieces, zipped, too large, without an end."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from settlement_node.chain.transport import HttpTransport, RpcOk, RpcRequest, TransportFailed

ASKED = RpcRequest("eth_blockNumber")
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Drip:
    """An HTTP server on this machine whose answer is `pieces`, a moment apart."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        *,
        headers: str = "",
        pause_seconds: float = 0.0,
        resets: bool = False,
    ) -> None:
        self.pieces, self.headers, self.pause_seconds = pieces, headers, pause_seconds
        self.resets = resets
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection, suppress(OSError):
                    _read_whole_request(connection)
                    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{self.headers}\r\n"
                    connection.sendall(head.encode())
                    for piece in self.pieces:
                        connection.sendall(piece)
                        time.sleep(self.pause_seconds)
                    if self.resets:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)


def _read_whole_request(connection: socket.socket) -> None:
    """Bytes left unread when a socket is closed make the system reset the connection."""
    with connection.makefile("rb") as stream:
        length = 0
        while (line := stream.readline().strip().lower()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name == b"content-length" else length
        stream.read(length)


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


def test_request__answer_that_never_ends__transport_failed_in_time(
    drip: Callable[..., Drip],
) -> None:
    server = drip(*[b" "] * 200, pause_seconds=0.05)
    transport = HttpTransport(server.address, timeout_seconds=0.3)

    with pytest.raises(TransportFailed, match="AnswerTooSlow"):
        transport.request([ASKED])


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
        pytest.param([b'{"jsonrpc"', b"}"], {"pause_seconds": 2.0}, id="silent"),
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
    transport = HttpTransport(drip(*pieces, **words).address, timeout_seconds=0.5)

    with pytest.raises(TransportFailed, match="AnswerCutShort"):
        transport.request(asked)
