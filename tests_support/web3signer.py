"""A small stand-in for Web3Signer in eth1 mode: a real HTTP server that signs with coincurve."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from coincurve import PrivateKey
from eth_utils.crypto import keccak

KEY = (0xA11CE).to_bytes(32, "big")
OTHER_KEY = (0xB0B).to_bytes(32, "big")


def public_key_hex(key: bytes) -> str:
    """As Web3Signer lists it: the point without its prefix byte."""
    return "0x" + PrivateKey(key).public_key.format(compressed=False)[1:].hex()


def signature_hex(key: bytes, data: bytes, *, v_from: int = 27) -> str:
    """Over keccak256 of the data, without a prefix; v last."""
    compact = PrivateKey(key).sign_recoverable(keccak(data), hasher=None)
    return "0x" + compact[:64].hex() + bytes([compact[64] + v_from]).hex()


class Handler(BaseHTTPRequestHandler):
    """Answers the two paths, or as the stand-in is told."""

    protocol_version = "HTTP/1.1"
    server: Web3SignerServer

    def do_GET(self) -> None:
        play = self.server.play
        play.requests.append(("GET", self.path, dict(self.headers), b""))
        if play.keys_answer is not None:
            play.keys_answer(self)
        elif self.path == "/api/v1/eth1/publicKeys":
            listed = [public_key_hex(key) for key in play.keys]
            self.reply(200, json.dumps(listed), "application/json")
        else:
            self.reply(404, "Resource not found")

    def do_POST(self) -> None:
        play = self.server.play
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        play.requests.append(("POST", self.path, dict(self.headers), body))
        if play.sign_answer is not None:
            play.sign_answer(self)
            return
        key = next((k for k in play.keys if self.path.endswith(public_key_hex(k))), None)
        if key is None:
            self.reply(404, "Resource not found")
            return
        data = bytes.fromhex(json.loads(body)["data"][2:])
        self.reply(200, signature_hex(play.signs_with or key, data, v_from=play.v_from))

    def reply(
        self, status: int, text: str, kind: str = "text/plain; charset=utf-8", **headers: str
    ) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Web3SignerServer(ThreadingHTTPServer):
    daemon_threads = True
    play: Web3SignerStandIn

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is not news."""


class Web3SignerStandIn:
    """Runs on a free port of this machine; its fields say how it behaves."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.keys: list[bytes] = [OTHER_KEY, KEY]
        self.signs_with: bytes | None = None
        self.v_from = 27
        self.keys_answer: Callable[[Handler], None] | None = None
        self.sign_answer: Callable[[Handler], None] | None = None
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._tls = tls
        self._server = Web3SignerServer(("127.0.0.1", 0), Handler)
        self._server.play = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def asked(self) -> list[str]:
        """The methods of the requests so far."""
        return [method for method, *_ in self.requests]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def status(code: int, text: str = "") -> Callable[[Handler], None]:
    """Always this."""
    return lambda handler: handler.reply(code, text)


def redirect(target: str) -> Callable[[Handler], None]:
    """Elsewhere, with the method kept."""
    return lambda handler: handler.reply(307, "", Location=target)


def hang(seconds: float) -> Callable[[Handler], None]:
    """Says nothing for a while, then hangs up."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        time.sleep(seconds)

    return answer


def trickle(pieces: int, *, pause_seconds: float) -> Callable[[Handler], None]:
    """A byte now and then, so that no single wait is long."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Length", str(pieces))
        handler.end_headers()
        for _ in range(pieces):
            handler.wfile.write(b"0")
            handler.wfile.flush()
            time.sleep(pause_seconds)

    return answer


def endless(handler: Handler) -> None:
    """More and more."""
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100_000):
        handler.wfile.write(b"0" * 65_536)


def cut_off(handler: Handler) -> None:
    """Promises more than it sends."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "132")
    handler.end_headers()
    handler.wfile.write(b"0x1234")
