"""Errors as RFC 9457 problem documents: what is wrong, which field, and the correlation id under
which the log has the rest. Nothing internal leaves: no stack, no SQL, no address of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from settlement_node.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidInput,
    InvariantBroken,
    NotFound,
    OutcomeUnknown,
    Refused,
    SettlementError,
    Transient,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:settlement-node:problem:"
ERRORS_MAX = 20
SHOWN_DETAILS = ("external_id", "redemption_id", "status", "reason", "chain_id", "fund_id")
"""Typed details of an error that go out; the others are for the log."""

STATUS_BY_FAMILY: tuple[tuple[type[SettlementError], int], ...] = (
    (NotFound, 404),
    (IdempotencyMismatch, 422),
    (Conflict, 409),
    (InvalidInput, 422),
    (Refused, 409),
    (Transient, 503),
    (OutcomeUnknown, 503),
    (InvariantBroken, 500),
)
"""First match wins, so the narrower families stand first."""

TITLES = {
    "invalid_input": "The request holds something wrong",
    "not_found": "There is no such thing",
    "conflict": "The request does not fit the present state",
    "idempotency_key_reused": "The Idempotency-Key belongs to another request",
    "refused": "The chain or a rule refuses this",
    "transient": "Not possible right now",
    "transport_failed": "A chain endpoint does not answer",
    "outcome_unknown": "Not known yet",
    "internal": "Something went wrong here",
}


UNFIT = "is not what this takes; see /openapi.json"
WHOLE_NUMBER = "must be a whole number"
OBJECT = "must be a JSON object"
WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "is too short: it takes {min_length} or more characters",
    "string_too_long": "is too long: it takes {max_length} characters at most",
    "list_type": "must be a list",
    "too_short": "has too few entries: it takes {min_length} or more",
    "too_long": "has too many entries: it takes {max_length} at most",
    "dict_type": OBJECT,
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "int_type": WHOLE_NUMBER,
    "int_parsing": WHOLE_NUMBER,
    "int_parsing_size": WHOLE_NUMBER,
    "int_from_float": WHOLE_NUMBER,
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
"""What we say of each kind of fault that the schemas' own library finds."""


class FieldProblem(BaseModel):
    """One field that is wrong."""

    field: str = Field(examples=["redemptions[0].shares_base_units"])
    message: str = Field(examples=["must be greater than zero"])


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(examples=[TYPE_PREFIX + "invalid_input"])
    title: str = Field(examples=[TITLES["invalid_input"]])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["redemptions[0].shares_base_units must be greater than zero"])
    code: str = Field(examples=["invalid_input"])
    correlation_id: str = Field(examples=["9f1c0a5b7d3e4f62"])
    field: str | None = Field(default=None, examples=["redemptions[0].shares_base_units"])
    errors: list[FieldProblem] | None = None
    details: dict[str, Any] | None = None


def problem_response(
    correlation_id: str,
    *,
    status: int,
    code: str,
    detail: str,
    title: str | None = None,
    field: str | None = None,
    errors: list[FieldProblem] | None = None,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem as a response."""
    problem = Problem(
        type=TYPE_PREFIX + code,
        title=title or TITLES.get(code) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        correlation_id=correlation_id,
        field=field,
        errors=errors,
        details=dict(details) if details else None,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def correlation_id_of(request: Request) -> str:
    """The id the edge gave this request."""
    return str(getattr(request.state, "correlation_id", "unknown"))


def internal_problem(correlation_id: str) -> JSONResponse:
    """The answer to an error nobody foresaw; the log has the rest under the same id."""
    return problem_response(
        correlation_id,
        status=500,
        code="internal",
        detail="the request could not be carried out; quote the correlation_id to the operator",
    )


def public_words(error: SettlementError) -> str:
    """The message as it may leave. What a database says of itself names hosts, folders and
    tables; that is for the log and the commands."""
    if "cause" in error.details and error.details["cause"] in error.message:
        return "the database could not do this now"
    return error.message


def settlement_problem(correlation_id: str, error: SettlementError) -> JSONResponse:
    """A deliberate error by its family."""
    status = next((s for family, s in STATUS_BY_FAMILY if isinstance(error, family)), 500)
    if status == 500:
        log.error("request_broke_an_invariant", code=error.code, detail=error.message)
        return internal_problem(correlation_id)
    if status == 503:
        log.warning("request_not_possible_now", code=error.code, detail=error.message)
    waiting = status == 503 or (error.details.get("field") == "Idempotency-Key" and status == 409)
    detail = public_words(error)
    field = error.details.get("field") if detail == error.message else None
    return problem_response(
        correlation_id,
        status=status,
        code=error.code,
        title=TITLES.get(error.code),
        detail=detail,
        field=None if field is None else str(field),
        errors=[
            FieldProblem(field=f"redemptions[{place}].{field}", message=words)
            for place, words in error.details.get("faults", ())
        ]
        or None,
        details={
            name: error.details[name]
            for name in SHOWN_DETAILS
            if isinstance(error.details.get(name), str | int)
        },
        headers={"Retry-After": "1"} if waiting else None,
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error as a problem document."""

    @app.exception_handler(SettlementError)
    def _settlement(request: Request, error: SettlementError) -> JSONResponse:
        return settlement_problem(correlation_id_of(request), error)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return _validation_problem(correlation_id_of(request), error)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        words = {
            400: "the body is not JSON that can be read",
            404: f"there is nothing at {request.url.path[:200]}",
            405: f"{request.method} is not possible here",
        }
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        if error.status_code == 413:  # named as where its length was announced; see api/edge.py
            code = "content_too_large"
        # A detail that starts with a lower-case letter is ours; the framework's are not shown.
        ours = isinstance(error.detail, str) and error.detail[:1].islower()
        fallback = words.get(error.status_code, HTTPStatus(error.status_code).phrase)
        return problem_response(
            correlation_id_of(request),
            status=error.status_code,
            code=code,
            detail=error.detail if ours else fallback,
            headers=error.headers,
        )


def _validation_problem(correlation_id: str, error: RequestValidationError) -> JSONResponse:
    raw = error.errors()
    if any(item.get("type") == "json_invalid" for item in raw):
        return problem_response(
            correlation_id,
            status=400,
            code="bad_request",
            detail="the body is not JSON that can be read",
        )
    errors = [
        FieldProblem(field=field_path(item["loc"]), message=_words(item))
        for item in raw[:ERRORS_MAX]
    ]
    first = errors[0]
    more = f" (and {len(raw) - 1} more)" if len(raw) > 1 else ""
    return problem_response(
        correlation_id,
        status=422,
        code="invalid_input",
        detail=f"{first.field} {first.message}{more}",
        field=first.field,
        errors=errors,
    )


def field_path(location: tuple[int | str, ...]) -> str:
    """`("body", "redemptions", 0, "external_id")` is `redemptions[0].external_id`."""
    text = ""
    for step in location[1:] if len(location) > 1 else location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else str(step)
    return text[:200]


def _words(item: Mapping[str, Any]) -> str:
    if item["type"] == "value_error":  # a validator of ours, in its own words
        return str(item["msg"]).removeprefix("Value error, ")
    return WORDS.get(item["type"], UNFIT).format(**item.get("ctx", {}))
