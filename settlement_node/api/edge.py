"""The outermost layer of every request: correlation id, bounds, security headers, log, metrics."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import anyio
import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from settlement_node.api.hosts import ServedNames, shown_host
from settlement_node.api.metrics import Metrics
from settlement_node.api.problems import internal_problem, problem_response

log = structlog.get_logger(__name__)

_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE = (b"cache-control", b"no-store")
QUIET_PATHS = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds by machines; logged only when they fail, and answered however many
requests are at work."""
HEAD_BYTES_MAX = 32 * 1024
"""Most of a request's head: its path, query and headers."""
SINGLE_HEADERS = frozenset(
    (
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"last-event-id",
        b"x-api-key",
        b"x-request-id",
    )
)
"""All that are read here and further in: of two, each reader on the way may take another."""
REQUESTS_MAX = 1_900
"""Most requests at work at once, streams among them: fewer than connections there may be, so that
there is always one left to ask after the node's health."""
DRAIN_BYTES_MAX = 64 * 1024 * 1024
DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request is refused by its head alone."""

    status: int
    code: str
    detail: str
    field: str | None = None

    def answer(self, correlation_id: str) -> Response:
        """The problem; the connection ends with it, since the body is not looked at."""
        later = {"Retry-After": "1"} if self.status == 503 else {}
        return problem_response(
            correlation_id,
            status=self.status,
            code=self.code,
            detail=self.detail,
            field=self.field,
            headers={"Connection": "close"} | later,
        )


class Edge:
    """ASGI middleware; nothing passes it without a correlation id and an end in the log."""

    def __init__(
        self, app: ASGIApp, *, body_bytes_max: int, metrics: Metrics, names: ServedNames
    ) -> None:
        self._app = app
        self._at_work = 0
        self._names = names
        self._body_bytes_max = body_bytes_max
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        correlation_id = _correlation_id(headers)
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        status: int | None = None
        is_gone = False
        # Until a body's end was read, the caller may still be sending.
        is_read = not _has_body(headers)
        began = time.perf_counter()

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *_with_defaults(message.get("headers", ())),
                    (b"x-request-id", correlation_id.encode()),
                ]
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and not (is_read or is_gone):
                # Closed on unread bytes, the connection would take the answer with it.
                await send({**message, "more_body": True})
                await drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        async def receive_on() -> Message:
            nonlocal is_gone, is_read
            message = await receive()
            is_gone = is_gone or message["type"] == "http.disconnect"
            is_read = is_read or not message.get("more_body")
            return message

        async def drain() -> None:
            drained = 0
            with anyio.move_on_after(DRAIN_SECONDS):
                while not is_read and drained < DRAIN_BYTES_MAX:
                    drained += len((await receive_on()).get("body", b""))

        fault = self._fault(scope, headers)
        self._at_work += 1
        try:
            if fault is not None:
                await fault.answer(correlation_id)(scope, receive, send_on)
            else:
                await self._app(scope, self._bounded(receive_on), send_on)
        except Exception as error:
            if is_gone and status is not None and _is_hang_up(error):
                return  # the caller of a stream left: that is its end, and no fault
            # The one place where an error nobody foresaw ends; FastAPI's own is further in.
            log.exception("request_failed", path=scope["path"], method=scope["method"])
            if status is not None:
                raise
            await internal_problem(correlation_id)(scope, receive, send_on)
        finally:
            self._at_work -= 1
            self._note(scope, status or 499, time.perf_counter() - began)

    def _fault(self, scope: Scope, headers: dict[bytes, bytes]) -> Fault | None:
        if self._at_work >= REQUESTS_MAX and scope["path"] not in QUIET_PATHS:
            words = "as many requests as may be are at work; come back shortly"
            return Fault(503, "transient", words)
        if _head_bytes(scope) > HEAD_BYTES_MAX:
            words = f"path, query and headers are larger than {HEAD_BYTES_MAX} bytes; send less"
            return Fault(431, "request_head_too_large", words)
        names = [name for name, _ in scope["headers"]]
        if len(names) != len(headers) and (
            twice := sorted(name for name in SINGLE_HEADERS if names.count(name) > 1)
        ):
            name = twice[0].decode().title()
            return Fault(
                400, "bad_request", f"the header {name} is there twice; send it once", name
            )
        if not self._names.serve(headers.get(b"host")):
            return Fault(
                421,
                "misdirected_request",
                f"the Host header names {shown_host(headers.get(b'host'))}, under which this"
                " API is not served; call it by its own name or address, or add the name to"
                " api.host_names",
            )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._body_bytes_max:
            return Fault(413, "content_too_large", self._too_large)
        if scope["method"] in ("POST", "PUT", "PATCH") and _has_body(headers):
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
            if kind != b"application/json":
                words = "the body must be JSON, with Content-Type: application/json"
                return Fault(415, "unsupported_media_type", words)
        return None

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self._body_bytes_max} bytes; send fewer at once"

    def _bounded(self, receive: Receive) -> Receive:
        """Count what arrives, since a chunked body announces no length."""
        received = 0

        async def receive_on() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes_max:
                raise HTTPException(413, self._too_large, headers={"Connection": "close"})
            return message

        return receive_on

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        self._metrics.note_request(
            method=scope["method"], route=route, status=status, seconds=seconds
        )
        if status < 400 and scope["path"] in QUIET_PATHS:
            return
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:500],
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


def _is_hang_up(error: BaseException) -> bool:
    """Whether all there is to an error is that nobody took what a stream wrote. The framework's
    task group says so when its caller leaves between two events."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_hang_up(part) for part in error.exceptions)
    return isinstance(error, anyio.BrokenResourceError)


def _head_bytes(scope: Scope) -> int:
    line = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    return line + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _has_body(headers: dict[bytes, bytes]) -> bool:
    length = headers.get(b"content-length", b"0")
    return length not in (b"0", b"") or b"transfer-encoding" in headers


def _correlation_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _CORRELATION_ID.fullmatch(given) else uuid.uuid4().hex


def _with_defaults(
    headers: Iterable[tuple[bytes, bytes]],
) -> list[tuple[bytes, bytes]]:
    kept = list(headers)
    names = {name.lower() for name, _ in kept}
    return kept + [h for h in (*SECURITY_HEADERS, NO_STORE) if h[0] not in names]
