"""Answers over a real connection: in pieces, zipped, too large, without an end."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from settlement_node.chain.transport import HttpTransport, RpcOk, RpcRequest, TransportFailed

ASKED = RpcRequest("eth_blockNumber")


class Drip:
    """An HTTP server on this machine whose answer is `pieces`, a moment apart."""

    def __init__(self, pieces: Sequence[bytes], *, headers: str = "", pause_seconds: float = 0.0):
        self.pieces, self.headers, self.pause_seconds = pieces, headers, pause_seconds
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{self.headers}\r\n"
                    connection.sendall(head.encode())
                    for piece in self.pieces:
                        connection.sendall(piece)
                        time.sleep(self.pause_seconds)


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
