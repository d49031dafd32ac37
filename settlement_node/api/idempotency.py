"""Writes that may be repeated: `Idempotency-Key`, and a few tries when the database is busy.

A key is claimed in a commit of its own, so that a repeat that arrives meanwhile sees it in flight
(409). The answer is kept in the commit of the work itself: either both are there or neither, and
a key without an answer means that nothing was done. Such a key is freed when the request fails,
and may be claimed again after a bounded time when the process died with it. A slow attempt that has
lost its key that way can commit nothing any more, nor free it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import structlog
from fastapi import Header
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, WithJsonSchema
from sqlalchemy.exc import IntegrityError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from settlement_node.api.context import ApiContext
from settlement_node.api.keys import Client
from settlement_node.errors import Conflict, InvariantBroken, LeaseLost, Transient
from settlement_node.store.database import Tx
from settlement_node.store.people.requests import (
    Claim,
    StoredAnswer,
    abandon_request,
    begin_request,
    finish_request,
)
from settlement_node.units import Hex32, to_hex32

log = structlog.get_logger(__name__)

TRIES_MAX = 4
KEY_PATTERN = "^[!-~]{1,200}$"


def _fit(key: str) -> str:
    if not re.fullmatch(KEY_PATTERN, key):
        raise ValueError("must be 1 to 200 visible ASCII characters without blanks: a UUID will do")
    return key


Key = Annotated[
    str, AfterValidator(_fit), WithJsonSchema({"type": "string", "pattern": KEY_PATTERN})
]
IdempotencyKey = Annotated[
    Key | None,
    Header(
        alias="Idempotency-Key",
        description=(
            "Your own key of this request, 1 to 200 visible ASCII characters. The same key with"
            " the same body gives the first answer again; with another body 422; 409 while the"
            " first request is still in flight."
        ),
        examples=["b5b4a4b2-0f4b-4d07-9d3f-0c1e5f5f1f0a"],
    ),
]


@dataclass(frozen=True, slots=True)
class Write:
    """One write as the client sent it."""

    client: Client
    operation: str
    body: BaseModel
    idempotency_key: str | None

    @property
    def body_hash(self) -> Hex32:
        """Over what was understood, so that blanks and the order of keys make no difference."""
        text = f"{self.operation}\n{self.body.model_dump_json()}"
        return to_hex32(hashlib.sha256(text.encode()).digest())


def carry_out(
    context: ApiContext, write: Write, *, status: int, work: Callable[[Tx], BaseModel]
) -> JSONResponse:
    """Do the work in one commit, once per key, and answer with what it returns."""

    def once(claim: Claim | None) -> Any:
        return _commit(context, write, claim, status, work)

    return _once_per_key(context, write, status, once)


def carry_out_apart(
    context: ApiContext, write: Write, *, status: int, work: Callable[[], BaseModel]
) -> JSONResponse:
    """As `carry_out`, for work that asks the chain, makes its own commits, and may be done twice:
    the answer is kept in a commit behind it."""

    def once(claim: Claim | None) -> Any:
        body = work().model_dump(mode="json")
        if claim is not None:
            _keep_answer(context, write, claim, status, body)
        return body

    return _once_per_key(context, write, status, once)


def _once_per_key(
    context: ApiContext, write: Write, status: int, once: Callable[[Claim | None], Any]
) -> JSONResponse:
    key = write.idempotency_key
    if key is None:
        return JSONResponse(once(None), status_code=status)
    claim = Claim(write.client.name, key, token=uuid.uuid4().hex)
    stored = _begin(context, write, claim)
    if stored is not None:
        return JSONResponse(
            stored.body, status_code=stored.status, headers={"Idempotent-Replayed": "true"}
        )
    try:
        body = once(claim)
    except BaseException:
        _free(context, write, claim)
        raise
    return JSONResponse(body, status_code=status)


def _begin(context: ApiContext, write: Write, claim: Claim) -> StoredAnswer | None:
    patience = timedelta(seconds=context.settings.idempotency_in_flight_seconds)

    def begin() -> StoredAnswer | None:
        with context.store.transaction(actor=write.client.actor) as tx:
            now = context.store.database_now(tx.connection)
            return begin_request(
                tx, claim, body_hash=write.body_hash, at_utc=now, stale_before_utc=now - patience
            )

    return _tries()(begin)


def _commit(
    context: ApiContext,
    write: Write,
    claim: Claim | None,
    status: int,
    work: Callable[[Tx], BaseModel],
) -> Any:
    def attempt() -> Any:
        with context.store.transaction(actor=write.client.actor) as tx:
            body = work(tx).model_dump(mode="json")
            if claim is not None:
                finish_request(tx, claim, status=status, body=body)
        return body

    try:
        return _tries()(attempt)
    except IntegrityError as error:
        log.warning("write_lost_a_race", constraint=type(error.orig).__name__)
        raise Conflict("another request wrote the same thing at the same moment") from None


def _keep_answer(context: ApiContext, write: Write, claim: Claim, status: int, body: Any) -> None:
    """The work is done whatever becomes of this: a repeat that finds no answer does it again."""
    try:
        with context.store.transaction(actor=write.client.actor) as tx:
            finish_request(tx, claim, status=status, body=body)
    except (Conflict, Transient) as error:
        log.warning("answer_not_kept", reason=error.message)


def _free(context: ApiContext, write: Write, claim: Claim) -> None:
    try:
        with context.store.transaction(actor=write.client.actor) as tx:
            abandon_request(tx, claim)
    except Transient as error:
        log.warning("idempotency_key_left_in_flight", reason=error.message)


def _tries() -> Retrying:
    return Retrying(
        retry=retry_if_exception(_worth_another_try),
        stop=stop_after_attempt(TRIES_MAX),
        wait=wait_random(0.005, 0.05),
        reraise=True,
    )


def _worth_another_try(error: BaseException) -> bool:
    """Whether the same work may succeed at once: nothing was written, and the row or the
    connection it met may be free now. An unanswered commit may have been written."""
    if isinstance(error, Transient):
        return error.details.get("reason") not in ("commit_unanswered", "pool")
    if isinstance(error, InvariantBroken):
        # A redemption that moved between read and write; the second look decides.
        return "redemption_id" in error.details and not isinstance(error, LeaseLost)
    return isinstance(error, IntegrityError)
