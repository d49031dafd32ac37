"""One reader of the outbox for all subscribers of this process.

A thread waits for a commit of this process (`wake`) or 50 ms, reads what is new once, and hands it
to every subscriber's bounded queue. A subscriber that does not keep up is disconnected after what
its queue holds, and resumes by the id of the last event it got. Nothing is read while nobody
listens.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from settlement_node.errors import Transient
from settlement_node.reads.shapes import Answer
from settlement_node.store.database import Store
from settlement_node.store.telling import outbox

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
"""How long a commit of another process can go unseen."""
PAGE_EVENTS = 500


class StreamEvent(Answer):
    """One event of the outbox."""

    event_id: int
    topic: str
    subject_id: str
    payload: Any
    created_at_utc: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """The asked-for position is not kept: events between are missing, or were never there."""

    requested_after: int
    oldest_kept_id: int
    newest_id: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is live from here on."""

    position: int


StreamItem = StreamEvent | Gap | Opened
_CLOSED = None


class Subscription:
    """One subscriber's queue. `offer` is called by the reader's thread, the rest by the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, position: int, queue_max: int) -> None:
        self.position = position
        self._loop = loop
        self._queue_max = queue_max
        self._queue: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        self._open = True

    def offer(self, events: Sequence[StreamEvent]) -> None:
        """Hand events over; they wait in the queue."""
        self._in_loop(lambda: self._put(events))

    def close(self) -> None:
        """End the stream after what is queued."""
        self._in_loop(self._end)

    async def next(self) -> StreamEvent | None:
        """The next event, or None at the end of the stream."""
        return await self._queue.get()

    def _in_loop(self, action: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:
            self._open = False  # the loop is closed, and the subscriber gone with it

    def _put(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            if not self._open:
                return
            if self._queue.qsize() >= self._queue_max:
                log.info("subscriber_too_slow", queued=self._queue.qsize())
                self._end()
                return
            self._queue.put_nowait(event)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._queue.put_nowait(_CLOSED)


class EventHub:
    """The shared reader and its subscribers."""

    def __init__(
        self,
        store: Store,
        *,
        queue_max: int,
        subscribers_max: int,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._queue_max = queue_max
        self._subscribers_max = subscribers_max
        self._poll_seconds = poll_seconds
        self._wakeup = threading.Event()
        self._closing = threading.Event()
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._places = 0
        self._position = 0
        self._subscriptions: set[Subscription] = set()
        self._thread: threading.Thread | None = None

    @property
    def subscribers_count(self) -> int:
        """How many streams are open, whether they read the past or are live."""
        return self._places

    def wake(self) -> None:
        """Look now; for `Store.on_commit`. Safe from any thread."""
        self._wakeup.set()

    def start(self) -> None:
        """Start the reading thread."""
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="event-hub", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop reading and end every stream. Call it before the server waits for them."""
        self._closing.set()
        self._wakeup.set()
        with self._turn:
            # A copy: subscribers leave in their own time, without this lock.
            for subscription in tuple(self._subscriptions):
                subscription.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        self._thread = None

    @contextmanager
    def place(self) -> Iterator[None]:
        """A subscriber's place, from its first question on: reading the past costs more than being
        live. Raises Transient when no further subscriber is taken."""
        with self._counting:
            if self._closing.is_set():
                raise Transient("the event stream is closing; come back shortly")
            if self._places >= self._subscribers_max:
                raise Transient("every place at the event stream is taken; come back shortly")
            self._places += 1
        try:
            yield
        finally:
            with self._counting:
                self._places -= 1

    async def stream(self, *, after: int | None) -> AsyncGenerator[StreamItem, None]:
        """Everything behind `after` in order and without holes, then live; None is live only."""
        position = after
        if after is not None:
            gap = await run_in_threadpool(self._gap_before, after)
            if gap is not None:
                yield gap
                position = min(after, gap.newest_id)
            # Caught up page by page first, so that a long past does not fill the queue.
            async with aclosing(self._past(position or 0, until=None)) as past:
                async for event in past:
                    position = event.event_id
                    yield event
        subscription = await run_in_threadpool(self._register, asyncio.get_running_loop())
        try:
            if position is None:
                position = subscription.position
            yield Opened(position)
            async with aclosing(self._past(position, until=subscription.position)) as past:
                async for event in past:
                    position = event.event_id
                    yield event
            while (live := await subscription.next()) is not None:
                if live.event_id > position:
                    position = live.event_id
                    yield live
        finally:
            self._subscriptions.discard(subscription)

    async def _past(self, position: int, *, until: int | None) -> AsyncGenerator[StreamEvent, None]:
        while until is None or position < until:
            page = await run_in_threadpool(self._read, position)
            for event in page:
                if until is not None and event.event_id > until:
                    return
                yield event
            if len(page) < PAGE_EVENTS:
                return
            position = page[-1].event_id

    def _gap_before(self, after: int) -> Gap | None:
        with self._store.read() as tx:
            oldest, newest = outbox.oldest_id(tx), outbox.last_id(tx)
        if newest and (after < oldest - 1 or after > newest):
            return Gap(requested_after=after, oldest_kept_id=oldest, newest_id=newest)
        return None

    def _register(self, loop: asyncio.AbstractEventLoop) -> Subscription:
        with self._turn:
            if not self._subscriptions:
                with self._store.read() as tx:
                    self._position = outbox.last_id(tx)
            subscription = Subscription(loop, position=self._position, queue_max=self._queue_max)
            self._subscriptions.add(subscription)
        if self._closing.is_set():
            subscription.close()
        self._wakeup.set()
        return subscription

    def _read(self, position: int) -> list[StreamEvent]:
        with self._store.read() as tx:
            rows = outbox.after(tx, position, limit=PAGE_EVENTS)
        return list(map(StreamEvent.of, rows))

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wakeup.wait(self._poll_seconds if self._subscriptions else None)
            self._wakeup.clear()
            try:
                while not self._closing.is_set() and self._hand_out() == PAGE_EVENTS:
                    pass
            except Transient as error:
                log.warning("event_stream_waits", reason=error.message)
                self._closing.wait(1.0)
            except Exception:
                # The thread's top: subscribers must not fall silent over one bad read.
                log.exception("event_stream_failed")
                self._closing.wait(1.0)

    def _hand_out(self) -> int:
        with self._turn:
            if not self._subscriptions:
                return 0
            events = self._read(self._position)
            if events:
                self._position = events[-1].event_id
                for subscription in tuple(self._subscriptions):
                    subscription.offer(events)
            return len(events)
