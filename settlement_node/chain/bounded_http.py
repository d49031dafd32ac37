"""Answers over HTTP that are bounded in size and in time, as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

_PIECE_BYTES = 65_536


class AnswerTooLarge(requests.RequestException):
    """The answer has more bytes than are read."""


class AnswerTooSlow(requests.RequestException):
    """The answer did not come to its end in time."""


class AnswerCutShort(requests.RequestException):
    """The connection failed, or what came could not be unzipped, before the answer's end."""


def read_bounded(
    raw: Any,
    *,
    bytes_max: int,
    deadline_seconds: float,
    now: Callable[[], float] = time.monotonic,
    decode: bool,
) -> bytes:
    """A response's body, read piece by piece: a socket's time limit is one for each piece only.

    `raw` is urllib3's response; `deadline_seconds` is a moment of `now`. `decode` undoes gzip, and
    the bound is then on the larger side of it. Raises AnswerTooLarge, AnswerTooSlow, and
    AnswerCutShort for whatever urllib3 raises while it reads.
    """
    body = bytearray()
    while piece := _read_piece(raw, decode=decode):
        body += piece
        if len(body) > bytes_max:
            raise AnswerTooLarge(f"more than {bytes_max} bytes")
        if now() > deadline_seconds:
            raise AnswerTooSlow("the answer was not whole in time")
    return bytes(body)


def _read_piece(raw: Any, *, decode: bool) -> bytes:
    try:
        piece: bytes = raw.read1(_PIECE_BYTES, decode_content=decode)
    except HTTPError as error:
        # requests gives its own names to these only where it reads the body itself.
        raise AnswerCutShort(f"{type(error).__name__} before the answer's end") from error
    return piece


class BoundedAdapter(HTTPAdapter):
    """Reads each answer whole before it is handed on, within `bytes_max` and within the request's
    own time limit, and never asks twice."""

    def __init__(self, *, bytes_max: int, seconds_max: float) -> None:
        super().__init__(max_retries=0)
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """As the adapter it extends; raises what `read_bounded` does besides."""
        deadline_seconds = time.monotonic() + self._seconds_max
        response = super().send(request, *args, **{**options, "stream": True})
        try:
            content = read_bounded(
                response.raw,
                bytes_max=self._bytes_max,
                deadline_seconds=deadline_seconds,
                decode=True,
            )
        except BaseException:
            response.close()
            raise
        response._content = content
        response._content_consumed = True
        response.raw.release_conn()
        return response
