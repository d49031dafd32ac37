"""Query parameters: what the OpenAPI document names for a request is what it takes.

A parameter that is misspelt, unknown or given twice is refused: ignored, it would turn a question
about one thing into an answer about all.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import Request

from settlement_node.errors import InvalidInput

SHOWN_MAX = 60


def check_query(request: Request) -> None:
    """Raises InvalidInput that names the parameter at fault and those the request takes."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    if not given:
        return
    taken = _taken(request)
    for name, count in given.items():
        if name not in taken:
            raise InvalidInput(
                f"{_shown(name)} is not a query parameter of this request; it takes"
                f" {', '.join(taken) or 'none'}",
                field=_shown(name),
            )
        if count > 1 and not taken[name]:
            raise InvalidInput(f"{name} is there {count} times; give it once", field=name)


def _taken(request: Request) -> dict[str, bool]:
    """The parameters of the request's route, and whether each may be given several times."""
    path = getattr(request.scope.get("route"), "path_format", "")
    operation = request.app.openapi()["paths"].get(path, {}).get(request.method.lower(), {})
    return {
        parameter["name"]: _is_list(parameter["schema"])
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


def _is_list(schema: dict[str, Any]) -> bool:
    kinds = [schema, *schema.get("anyOf", ())]
    return any(kind.get("type") == "array" for kind in kinds)


def _shown(name: str) -> str:
    text = name[:SHOWN_MAX]
    return text if text.isprintable() and text else repr(text)
