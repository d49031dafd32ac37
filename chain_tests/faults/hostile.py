"""A JSON-RPC endpoint that answers as no endpoint should, over a real socket, before a real chain.

It spoils answers, in their values and in how they are sent; it does not make up likely ones.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

JUNK: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 10**30, 1.5, "", "0x", "0xzz", "0x-1", "junk", "\ud800\u0000"),
    *([], {}, [None], {"a": None}, "0x" + "f" * 200, "a" * 100_000, float("nan")),
)
OK = b"HTTP/1.1 200 OK\r\n"
LATER_BYTES = 200
"""More of them, slowly, than a test's time limit lets through."""


class HostileEndpoint:
    """A context manager around a server on a free port; `rate` is how often an answer is spoilt.

    Who spoils the head is asked for little else; with `good_heads` it is answered as it is.
    """

    def __init__(self, upstream: str, *, rate: float, seed: int, good_heads: bool) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self._upstream = (parts.hostname, parts.port or 80)
        self._random = random.Random(seed)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._good_heads = good_heads
        self.rate = rate
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError, http.client.HTTPException):
            while (asked := read_request(connection)) is not None:
                content = self._forward(asked)
                is_good = self._good_heads and b'"eth_chainId"' in asked
                if is_good or self._random.random() >= self.rate:
                    connection.sendall(_framed(content))
                elif self._random.random() < 0.6:
                    self.counts["content"] += 1
                    connection.sendall(_framed(self._spoil(json.loads(content))))
                else:
                    kind = self._random.choice(list(SENDING))
                    self.counts[kind] += 1
                    for piece in SENDING[kind](content):
                        connection.sendall(piece)
                        if len(piece) < 50 and self._over.wait(0.02):
                            return
                    return

    def _spoil(self, answer: Any) -> bytes:
        """Junk in some place of the answer, or something missing or twice."""
        place = answer
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = self._random.choice(keys)
            if isinstance(place[key], dict | list) and self._random.random() < 0.8:
                place = place[key]
                continue
            if self._random.random() < 0.3:
                del place[key]
            elif isinstance(place, list) and self._random.random() < 0.3:
                place.append(place[key])
            else:
                place[key] = self._random.choice(JUNK)
            break
        return json.dumps(answer).encode()

    def _forward(self, content: bytes) -> bytes:
        connection = http.client.HTTPConnection(*self._upstream, timeout=30)
        try:
            connection.request("POST", "/", content, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        finally:
            connection.close()


SENDING: dict[str, Callable[[bytes], list[bytes]]] = {
    "closed": lambda _content: [],
    "silent": lambda _content: [b""] * LATER_BYTES,
    "cut": lambda content: [_framed(content)[:-5]],
    "slow header": lambda _content: [OK + b"X: ", *[b"a"] * LATER_BYTES],
    "slow body": lambda _content: [OK + b"\r\n", *[b" "] * LATER_BYTES],
    "continue": lambda _content: [b"HTTP/1.1 100 Continue\r\n\r\n"] * LATER_BYTES,
    "trailers": lambda _content: [
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
        *[b"A: b\r\n"] * LATER_BYTES,
    ],
    "no HTTP": lambda content: [content],
    "not zipped": lambda content: [_framed(content, b"Content-Encoding: gzip\r\n")],
    "HTTP 500": lambda content: [_framed(content).replace(b"200 OK", b"500 No", 1)],
    "HTTP 204": lambda _content: [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "HTTP 302": lambda content: [
        _framed(content, b"Location: http://[\r\n").replace(b"200 OK", b"302 Found", 1)
    ],
    "HTTP 403 page": lambda _content: [_framed(b"<html>no").replace(b"200 OK", b"403 No", 1)],
    "HTTP 403 deep": lambda _content: [
        _framed(b"[" * 5_000 + b"]" * 5_000).replace(b"200 OK", b"403 No", 1)
    ],
    "deep": lambda _content: [_framed(b"[" * 5_000 + b"]" * 5_000)],
    "twice": lambda content: [_framed(content) * 2],
    "two lengths": lambda content: [_framed(content, b"Content-Length: 3\r\n")],
}
"""How an answer is sent, by a name for it; a request was carried out before."""


def _framed(content: bytes, headers: bytes = b"") -> bytes:
    return OK + headers + b"Content-Length: %d\r\n\r\n" % len(content) + content


def read_request(connection: socket.socket) -> bytes | None:
    """The body of the next request, `None` when there is none. It is read to its end: bytes left
    unread when a socket is closed make the system reset the connection."""
    with connection.makefile("rb") as stream:
        length = 0
        if not stream.readline():
            return None
        while (line := stream.readline().strip().lower()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name == b"content-length" else length
        return stream.read(length)
