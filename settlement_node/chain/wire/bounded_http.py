"""Answers over HTTP that are bounded in size and in time, as a whole."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

_PIECE_BYTES = 65_536

# Its one warning is about odd headers, and shows the whole address, which may carry a key.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class AnswerTooLarge(requests.RequestException):
    """The answer has more bytes than are read."""


class AnswerTooSlow(requests.RequestException):
    """The answer did not come to its end in time."""


class AnswerCutShort(requests.RequestException):
    """The connection failed, or what came could not be unzipped, before the answer's end."""


def read_bounded(raw: Any, *, bytes_max: int, decode: bool) -> bytes:
    """A response's body, read piece by piece. `raw` is urllib3's response.

    `decode` undoes gzip, and the bound is then on the larger side of it. Raises AnswerTooLarge,
    AnswerTooSlow, and AnswerCutShort for whatever else urllib3 raises while it reads.
    """
    body = bytearray()
    while piece := _read_piece(raw, decode=decode):
        body += piece
        if len(body) > bytes_max:
            raise AnswerTooLarge(f"more than {bytes_max} bytes")
    return bytes(body)


def _read_piece(raw: Any, *, decode: bool) -> bytes:
    try:
        piece: bytes = raw.read1(_PIECE_BYTES, decode_content=decode)
    except ReadTimeoutError as error:
        raise AnswerTooSlow("the answer was not whole in time") from error
    except HTTPError as error:
        # requests gives its own names to these only where it reads the body itself.
        raise AnswerCutShort(f"{type(error).__name__} before the answer's end") from error
    return piece


class _InTime(io.RawIOBase):
    """A socket's bytes, until its time limit has passed since the first was waited for. The
    socket's own limit begins anew with every byte, and so may headers, and what frames a body,
    go on for ever."""

    def __init__(self, connected: socket.socket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._socket = connected
        self._raw = raw
        seconds = connected.gettimeout()
        self._deadline_seconds = None if seconds is None else time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline_seconds is not None:
            left_seconds = self._deadline_seconds - time.monotonic()
            if left_seconds <= 0:
                raise TimeoutError("the answer was not whole in time")
            self._socket.settimeout(left_seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _ResponseInTime(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _ResponseInTime


class _TlsConnection(HTTPSConnection):
    response_class = _ResponseInTime


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class InTimeAdapter(HTTPAdapter):
    """The request's time limit bounds its whole answer, headers and all; it never asks twice."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As the adapter it extends, with connections of ours."""
        super().init_poolmanager(*args, **options)
        _bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """As the adapter it extends, with connections of ours."""
        manager = super().proxy_manager_for(*args, **options)
        _bound(manager)
        return manager


class BoundedAdapter(InTimeAdapter):
    """Reads each answer whole before it is handed on, within `bytes_max`."""

    def __init__(self, *, bytes_max: int) -> None:
        super().__init__()
        self._bytes_max = bytes_max

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """As the adapter it extends; raises what `read_bounded` does besides, and HTTPError for a
        redirect, which would repeat a POST at an address nobody configured."""
        response = super().send(request, *args, **{**options, "stream": True})
        try:
            if 300 <= response.status_code < 400:
                raise requests.HTTPError("a redirect", response=response)
            content = read_bounded(response.raw, bytes_max=self._bytes_max, decode=True)
        except BaseException:
            response.close()
            raise
        response._content = content
        response._content_consumed = True
        response.raw.release_conn()
        return response


class PlainSession(requests.Session):
    """One address and nothing else: a redirect is not even read, and no cookie is kept, since
    whoever answers could make either endless. Credentials are the address's own; a .netrc would
    take their place."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.auth = _auth_of_address
        self._environments: dict[Any, dict[str, Any]] = {}

    def merge_environment_settings(self, url: Any, *settings: Any) -> dict[str, Any]:
        """As the session it extends, and looked up once: it costs as much as sending."""
        if url not in self._environments:
            self._environments[url] = super().merge_environment_settings(url, *settings)
        return dict(self._environments[url])

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """There is none."""
        return None


def _auth_of_address(request: requests.PreparedRequest) -> requests.PreparedRequest:
    user, password = get_auth_from_url(request.url or "")
    return HTTPBasicAuth(user, password)(request) if user or password else request


def _bound(manager: PoolManager) -> None:
    # A manager for SOCKS brings connections of its own.
    if manager.pool_classes_by_scheme["http"] is HTTPConnectionPool:
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
