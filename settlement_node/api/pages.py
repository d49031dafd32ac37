"""The parameters of what is read in pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

PAGE_MAX = 200
PAGE_DEFAULT = 50
CURSOR_LENGTH_MAX = 512

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description=f"Entries in a page, 1 to {PAGE_MAX}.")]
CursorIn = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=CURSOR_LENGTH_MAX,
        description="`next_cursor` of the page before; leave it out for the first page.",
    ),
]
