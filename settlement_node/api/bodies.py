"""Reading JSON bodies without trusting them.

The standard library's parser recurses as deep as the interpreter allows, and libraries of the
chain layer raise that limit to a depth at which the C stack ends first: a body of brackets would
take the process down. The parser used here stops at about 200 levels by itself, and refuses
anything but UTF-8 and plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pydantic_core
from fastapi import Request, Response
from fastapi.routing import APIRoute


class PlainJsonRequest(Request):
    """A request whose body is parsed with bounds."""

    async def json(self) -> Any:
        """The body; json.JSONDecodeError, as the framework expects, when it is not JSON."""
        content = await self.body()
        try:
            return pydantic_core.from_json(content, allow_inf_nan=False)
        except ValueError:
            raise json.JSONDecodeError("not JSON that can be read", "", 0) from None


class PlainJsonRoute(APIRoute):
    """A route that reads its body so; every router that takes bodies uses it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler over the bounded request."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            return await handle(PlainJsonRequest(request.scope, request.receive))

        return handle_bounded
