"""Reading JSON bodies without trusting them.

The standard library's parser recurses as deep as the interpreter allows, and libraries of the
chain layer raise that limit to a depth at which the C stack ends first: a body of brackets would
take the process down. The parser used here stops at about 200 levels by itself, and refuses
anything but UTF-8 and plain JSON.

A key that an object holds twice is refused: whoever approved the body on its way here may have read
the other one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pydantic_core
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

KEY_SHOWN_MAX = 60


class PlainJsonRequest(Request):
    """A request whose body is parsed with bounds."""

    async def json(self) -> Any:
        """The body; json.JSONDecodeError, as the framework expects, when it is not JSON, and
        HTTPException when a key is repeated."""
        content = await self.body()
        try:
            body = pydantic_core.from_json(content, allow_inf_nan=False)
        except ValueError:
            raise json.JSONDecodeError("not JSON that can be read", "", 0) from None
        _refuse_repeats(content)
        return body


def _refuse_repeats(content: bytes) -> None:
    """Only for bodies that the bounded parser has read: it is blind to repeats, and this one to
    depth. Numbers stay text, since only the keys are looked at."""
    json.loads(content.decode(), object_pairs_hook=_check_keys, parse_int=str, parse_float=str)


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            shown = json.dumps(key[:KEY_SHOWN_MAX])
            raise HTTPException(400, f"the key {shown} is there twice in one object of the body")
        seen.add(key)


class PlainJsonRoute(APIRoute):
    """A route that reads its body so; every router that takes bodies uses it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler over the bounded request."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            return await handle(PlainJsonRequest(request.scope, request.receive))

        return handle_bounded
