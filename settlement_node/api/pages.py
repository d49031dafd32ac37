"""Cursor pages. A cursor is opaque to callers and checked on its way back in: it belongs to one
listing with one set of filters, and a changed or foreign one is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, Field

from settlement_node.errors import InvalidInput

PAGE_MAX = 200
PAGE_DEFAULT = 50
CURSOR_LENGTH_MAX = 512
_CHECK_BYTES = 9

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description=f"Entries in a page, 1 to {PAGE_MAX}.")]
CursorIn = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=CURSOR_LENGTH_MAX,
        description="`next_cursor` of the page before; leave it out for the first page.",
    ),
]
CursorOut = Annotated[
    str | None,
    Field(description="Give it as `cursor` for the next page; null when this is the last."),
    AfterValidator(lambda text: text),
]


def write_cursor(listing: str, filters: Sequence[object], position: Sequence[int | str]) -> str:
    """The cursor behind `position` of a listing under these filters."""
    body = json.dumps(list(position), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(listing, filters, body) + body).decode().rstrip("=")


def read_cursor(
    listing: str, filters: Sequence[object], cursor: str | None, kinds: Sequence[type]
) -> list[Any] | None:
    """The position a cursor holds, of the given types; None without a cursor.

    Raises InvalidInput for a cursor that this listing with these filters did not give out.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        position = json.loads(body) if check == _check(listing, filters, body) else None
    except (ValueError, RecursionError):
        position = None
    if (
        not isinstance(position, list)
        or [type(value) for value in position] != list(kinds)
        or any(isinstance(value, int) and not 0 <= value < 2**63 for value in position)
    ):
        raise InvalidInput(
            "cursor is not one this listing gave out for these filters; leave it out to start over",
            field="cursor",
        )
    return position


def _check(listing: str, filters: Sequence[object], body: bytes) -> bytes:
    """Guards against mixing listings up, not against forgery: a cursor opens nothing that the
    same caller could not read anyway."""
    text = "\x1f".join([listing, *(repr(value) for value in filters)])
    return hashlib.sha256(text.encode() + b"\x1e" + body).digest()[:_CHECK_BYTES]
