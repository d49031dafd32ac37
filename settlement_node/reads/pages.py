"""Cursor pages. A cursor is opaque to callers and checked on its way back in: it belongs to one
listing with one set of filters, and a changed or foreign one is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field

from settlement_node.errors import InvalidInput

R = TypeVar("R")
_CHECK_BYTES = 9

CursorOut = Annotated[
    str | None,
    Field(description="Give it as `cursor` for the next page; null when this is the last."),
]


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing under its filters. A position in it is a list of values of these kinds."""

    name: str
    filters: Sequence[object]
    kinds: Sequence[type]

    def position(self, cursor: str | None) -> list[Any] | None:
        """What a cursor holds; None without one.

        Raises InvalidInput for a cursor that this listing with these filters did not give out.
        """
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
            position = json.loads(body) if check == self._check(body) else None
        except (ValueError, RecursionError):
            position = None
        if (
            not isinstance(position, list)
            or [type(value) for value in position] != list(self.kinds)
            or any(isinstance(value, int) and not 0 <= value < 2**63 for value in position)
            or any(isinstance(value, str) and not value.isprintable() for value in position)
        ):
            raise InvalidInput(
                "cursor is not one this listing gave out for these filters; leave it out to start"
                " over",
                field="cursor",
            )
        return position

    def cut(
        self, rows: Sequence[R], *, limit: int, place: Callable[[R], Sequence[int | str]]
    ) -> tuple[Sequence[R], str | None]:
        """The rows of a page, of one more than `limit` that were asked for, and the cursor behind
        the last of them."""
        shown = rows[:limit]
        if len(rows) <= limit:
            return shown, None
        body = json.dumps(list(place(shown[-1])), separators=(",", ":")).encode()
        return shown, base64.urlsafe_b64encode(self._check(body) + body).decode().rstrip("=")

    def _check(self, body: bytes) -> bytes:
        """Guards against mixing listings up, not against forgery: a cursor opens nothing that the
        same caller could not read anyway."""
        text = "\x1f".join([self.name, *(repr(value) for value in self.filters)])
        return hashlib.sha256(text.encode() + b"\x1e" + body).digest()[:_CHECK_BYTES]
