"""A connection of the API's server: closed when it brings no request in time, and never too many.

The server's own keep-alive time begins with the first answer and ends with the next byte: a
connection that sends nothing, or a request that never ends, would be kept for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE_SECONDS = 20.0
"""How long the head of a request may take in all."""
BODY_SECONDS = 60.0
"""How long its body may take in all: 2 MiB at 35 kB a second."""
CONNECTIONS_MAX = 2_000


class BoundedProtocol(H11Protocol):
    """The server's protocol with a bound on waiting and on the number of connections."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = self.loop.time()
        self._timed: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Another caller. Past the bound the one we wait for longest makes room, so that whoever
        holds connections keeps nobody out; the newest goes when all are at work."""
        super().connection_made(transport)
        self._wait(IDLE_SECONDS)
        if len(self.connections) > CONNECTIONS_MAX:
            idle = [one for one in self.connections if isinstance(one, BoundedProtocol)]
            idle = [one for one in idle if one is not self and one._idle_timer is not None]
            oldest = min(idle, key=lambda one: one._idle_since, default=self)
            oldest._close_idle()

    def data_received(self, data: bytes) -> None:
        """A piece of a request. What drips in does not begin its time anew."""
        super().data_received(data)
        self._watch_body()

    def on_response_complete(self) -> None:
        """Answered: the next request has its own time."""
        super().on_response_complete()
        if self._is_at_work:
            self._watch_body()
        elif not self.transport.is_closing():
            self._wait(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch_body(self) -> None:
        """A request whose body is there waits for us; before that it has one time for all of it."""
        if not self._is_at_work:
            return
        if not self.cycle.more_body:
            self._stop_waiting()
        elif self.cycle is not self._timed:
            self._timed = self.cycle
            self._wait(BODY_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._idle_since = self.loop.time()
        self._idle_timer = self.loop.call_later(seconds, self._close_idle)

    def _stop_waiting(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _close_idle(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()
