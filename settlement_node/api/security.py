"""The guard of the endpoints that change something."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from settlement_node.api.context import Context
from settlement_node.api.keys import Client

_bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="An API key of the configuration."
)
_header = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    scheme_name="api_key",
    description="The same key in a header of its own.",
)

Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
HeaderKey = Annotated[str | None, Security(_header)]


def require_writer(context: Context, bearer: Bearer, header_key: HeaderKey) -> Client:
    """The client whose key was presented; 401 otherwise."""
    presented = bearer.credentials if bearer is not None else header_key
    client = None if presented is None else context.keys.client_of(presented)
    if client is not None:
        return client
    if not context.keys:
        detail = "no API key is configured; add [[api.api_keys]]"
    elif presented is None:
        detail = "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
    else:
        detail = "the API key is not known"
    raise HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


def allow_reader(context: Context, bearer: Bearer, header_key: HeaderKey) -> None:
    """Reads need a key, unless the configuration opens them to this machine (`reads_need_key`)."""
    if context.settings.reads_need_key:
        require_writer(context, bearer, header_key)


Writer = Annotated[Client, Depends(require_writer)]
Reader = Depends(allow_reader)
"""Put into a route's `dependencies`."""
