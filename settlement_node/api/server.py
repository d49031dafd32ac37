"""Serving the API from a thread of a process that does other work, and stopping it cleanly."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from settlement_node.api.context import ApiContext
from settlement_node.api.edge import HEAD_BYTES_MAX
from settlement_node.api.protocol import BoundedProtocol
from settlement_node.errors import InvalidInput, Transient

START_SECONDS = 15.0
STOP_SECONDS = 10.0
UNREAD_HEAD_BYTES_MAX = 4 * HEAD_BYTES_MAX
"""Where the server itself gives up on a head. More than a head may have, so that one that is a
little too large is read to its end and told so."""


class ApiServer:
    """A context manager around one uvicorn server in a thread of its own."""

    def __init__(
        self, app: FastAPI, *, host: str, port: int, listener: socket.socket | None = None
    ) -> None:
        """Takes the address at once, or serves at one that `listen` took before other work.

        Raises InvalidInput naming `api.port` when the address cannot be bound.
        """
        self._app = app
        self._socket = listener or listen(host, port)
        bound_host, bound_port = self._socket.getsockname()[:2]
        shown = f"[{bound_host}]" if ":" in bound_host else bound_host
        self.url = f"http://{shown}:{bound_port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                # Over the one of its two parsers that bounds the head of a request.
                http=BoundedProtocol,
                ws="none",
                h11_max_incomplete_event_size=UNREAD_HEAD_BYTES_MAX,
                timeout_graceful_shutdown=int(STOP_SECONDS / 2),
            )
        )
        self._thread = threading.Thread(target=self._serve, name="api", daemon=True)

    def start(self) -> None:
        """Serve; returns once requests are answered. Raises Transient when that takes too long."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise Transient(f"the API did not start at {self.url}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the event streams, finish the requests at hand, and close."""
        context: ApiContext = self._app.state.context
        context.hub.close()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_SECONDS)
        if not self._thread.is_alive():
            self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def listen(host: str, port: int) -> socket.socket:
    """Take the address at once, so that a taken port is known before anything is done.

    Raises InvalidInput naming `api.port` when it cannot be had; nobody is answered before the
    server starts.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InvalidInput(
            f"the API cannot listen at {host}:{port}: {error.strerror or error}; change api.host"
            " or api.port",
            field="api.port",
        ) from None
    return listener
