"""The OpenAPI document: problem responses under their media type, and what every route shares."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from settlement_node import __version__
from settlement_node.api.problems import MEDIA_TYPE, FieldProblem, Problem

WORDS = {
    400: "The body is not JSON, or an object in it has a key twice.",
    401: "No API key, or one that is not known.",
    404: "What is named does not exist.",
    409: "The request does not fit the present state.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field is wrong; the problem names it.",
    503: "Not possible right now; ask again after Retry-After.",
}
TAGS = [
    {"name": "redemptions", "description": "Orders to redeem, from approval to final payment."},
    {"name": "settlements", "description": "Batches of redemptions settled by one transaction."},
    {"name": "transactions", "description": "What was signed, sent and mined."},
    {"name": "reconciliation", "description": "Book against chain."},
    {"name": "status", "description": "The node at a glance."},
    {"name": "events", "description": "What happens, as it happens."},
    {"name": "operations", "description": "For machines that watch the node."},
]
DESCRIPTION = """Settles approved redemptions of tokenized funds: burned once, paid once.

Amounts are strings of base units in plain digits. Addresses carry their EIP-55 checksum. Times are
UTC. Errors are RFC 9457 problem documents. Every POST needs an API key."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can fail in these ways."""
    return {
        status: {
            "description": WORDS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


ASKED = problems(401, 404, 422, 503)
"""Of a question about something named."""
WRITTEN = problems(400, 401, 404, 409, 413, 415, 422, 503)
"""Of a request that carries a body."""


def add_openapi(app: FastAPI) -> None:
    """Make the document once, at the first request for it, and serve it."""

    def make() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title="Settlement Node",
                version=__version__,
                description=DESCRIPTION,
                routes=app.routes,
                tags=TAGS,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (FieldProblem, Problem):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schema.pop("$defs", None)
                schemas[model.__name__] = schema
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = make  # type: ignore[method-assign]  # FastAPI's documented way to do this

    # A route like the others: the framework's own would pass by what all of them depend on.
    @app.get("/openapi.json", include_in_schema=False)
    def document() -> JSONResponse:
        return JSONResponse(make())
