"""Hold, release, pause, resume, cancel, speed up, re-scan, resolve: each a POST with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import ApiContext, Context
from settlement_node.api.documents import problems
from settlement_node.api.fields import AddressIn, FundIdIn, HashIn, InputSchema
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out
from settlement_node.api.keys import Client
from settlement_node.api.operators.schemas import (
    BreakResolvedOut,
    BreaksResolvedOut,
    LaneOut,
    RescanIn,
    RescanOut,
    ResolveIn,
    TransactionAskedOut,
    WhyIn,
)
from settlement_node.api.redemptions.schemas import RedemptionOut
from settlement_node.api.security import Writer
from settlement_node.desk import operators
from settlement_node.errors import NotFound
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.rows import TransactionRow
from settlement_node.units import Hex32

router = APIRouter(prefix="/v1", tags=["operators"], route_class=PlainJsonRoute)
ANSWERS = problems(400, 401, 404, 409, 413, 415, 422, 503)
RedemptionId = Annotated[HashIn, Path(alias="redemption_id")]
TransactionHash = Annotated[HashIn, Path(alias="transaction_hash")]
ChainId = Annotated[int, Path(ge=1, le=2**53 - 1)]
SignerAddress = Annotated[AddressIn, Path(alias="signer_address")]
FundId = Annotated[FundIdIn, Path(alias="fund_id")]
BreakId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post(
    "/redemptions/{redemption_id}/hold",
    response_model=RedemptionOut,
    responses=ANSWERS,
    summary="Hold an approved redemption",
)
def hold(
    context: Context,
    client: Writer,
    redemption_id: RedemptionId,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """It is not planned until it is released; 409 when it is not approved."""

    def work(tx: Tx) -> RedemptionOut:
        return RedemptionOut.of(operators.hold_redemption(tx, redemption_id, reason=body.reason))

    operation = f"POST /v1/redemptions/{redemption_id}/hold"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/redemptions/{redemption_id}/release",
    response_model=RedemptionOut,
    responses=ANSWERS,
    summary="Release a held redemption",
)
def release(
    context: Context,
    client: Writer,
    redemption_id: RedemptionId,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """It may be planned again; 409 when it is not held, or when the chain shows it as paid."""

    def work(tx: Tx) -> RedemptionOut:
        return RedemptionOut.of(operators.release_redemption(tx, redemption_id, reason=body.reason))

    operation = f"POST /v1/redemptions/{redemption_id}/release"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/lanes/{chain_id}/{signer_address}/pause",
    response_model=LaneOut,
    responses=ANSWERS,
    summary="Pause a lane",
)
def pause(
    context: Context,
    client: Writer,
    chain_id: ChainId,
    signer_address: SignerAddress,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Nothing is planned, signed or sent on it; what is in flight is tracked on."""

    def work(tx: Tx) -> LaneOut:
        operators.pause_lane(
            tx, chain_id=chain_id, signer_address=signer_address, reason=body.reason
        )
        return LaneOut(
            chain_id=chain_id, signer_address=signer_address, paused=True, reason=body.reason
        )

    operation = f"POST /v1/lanes/{chain_id}/{signer_address}/pause"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/lanes/{chain_id}/{signer_address}/resume",
    response_model=LaneOut,
    responses=ANSWERS,
    summary="Resume a lane",
)
def resume(
    context: Context,
    client: Writer,
    chain_id: ChainId,
    signer_address: SignerAddress,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """The lane goes on; 409 while a break that stopped it is open."""

    def work(tx: Tx) -> LaneOut:
        operators.resume_lane(
            tx, chain_id=chain_id, signer_address=signer_address, reason=body.reason
        )
        return LaneOut(
            chain_id=chain_id, signer_address=signer_address, paused=False, reason=body.reason
        )

    operation = f"POST /v1/lanes/{chain_id}/{signer_address}/resume"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/transactions/{transaction_hash}/cancel",
    response_model=TransactionAskedOut,
    responses=ANSWERS,
    summary="Cancel an unmined transaction",
)
def cancel_transaction(
    context: Context,
    client: Writer,
    transaction_hash: TransactionHash,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """A no-op replaces it at its nonce; 409 once it is mined or final."""

    def work(tx: Tx) -> TransactionAskedOut:
        row = _transaction(tx, transaction_hash)
        operators.cancel_transaction(tx, row.transaction_id, reason=body.reason)
        return _asked(row, transaction_hash, "cancel")

    operation = f"POST /v1/transactions/{transaction_hash}/cancel"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/transactions/{transaction_hash}/speed-up",
    response_model=TransactionAskedOut,
    responses=ANSWERS,
    summary="Speed an unmined transaction up",
)
def speed_up_transaction(
    context: Context,
    client: Writer,
    transaction_hash: TransactionHash,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """It is replaced with higher fees at its nonce; 409 once it is mined or final."""

    def work(tx: Tx) -> TransactionAskedOut:
        row = _transaction(tx, transaction_hash)
        operators.speed_up_transaction(tx, row.transaction_id, reason=body.reason)
        return _asked(row, transaction_hash, "speed-up")

    operation = f"POST /v1/transactions/{transaction_hash}/speed-up"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/funds/{fund_id}/rescan",
    response_model=RescanOut,
    responses=ANSWERS,
    summary="Read a fund's settler events again",
)
def rescan(
    context: Context,
    client: Writer,
    fund_id: FundId,
    body: RescanIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """What is known from a block on is forgotten and read anew, and compared again; nothing is
    planned for the fund meanwhile. 422 for a block in the future."""

    def work(tx: Tx) -> RescanOut:
        operators.rescan(tx, fund_id, from_block=body.from_block, reason=body.reason)
        return RescanOut(fund_id=fund_id, from_block=body.from_block)

    operation = f"POST /v1/funds/{fund_id}/rescan"
    return _done(context, client, operation, body, idempotency_key, work)


@router.post(
    "/breaks/resolve",
    response_model=BreaksResolvedOut,
    responses=ANSWERS,
    summary="Resolve several breaks",
)
def resolve_many(
    context: Context,
    client: Writer,
    body: ResolveIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Close these breaks, or every open one of a kind of a fund, in one commit; the answer says
    what came of each. 404 when none of them is open."""

    def work(tx: Tx) -> BreaksResolvedOut:
        outcomes = (
            operators.resolve_breaks(tx, body.break_ids, reason=body.reason)
            if body.break_ids is not None
            else operators.resolve_breaks_of_kind(
                tx, fund_id=body.fund_id or "", kind=body.kind or "", reason=body.reason
            )
        )
        return BreaksResolvedOut(
            breaks=[BreakResolvedOut(break_id=n, status=o.value) for n, o in outcomes.items()]
        )

    return _done(context, client, "POST /v1/breaks/resolve", body, idempotency_key, work)


@router.post(
    "/breaks/{break_id}/resolve",
    response_model=BreakResolvedOut,
    responses=ANSWERS,
    summary="Resolve a break",
)
def resolve(
    context: Context,
    client: Writer,
    break_id: BreakId,
    body: WhyIn,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Close an open break with the reason why book and chain are right as they are."""

    def work(tx: Tx) -> BreakResolvedOut:
        operators.resolve_break(tx, break_id, reason=body.reason)
        return BreakResolvedOut(break_id=break_id, status="resolved")

    operation = f"POST /v1/breaks/{break_id}/resolve"
    return _done(context, client, operation, body, idempotency_key, work)


def _done(
    context: ApiContext,
    client: Client,
    operation: str,
    body: InputSchema,
    idempotency_key: str | None,
    work: Callable[[Tx], BaseModel],
) -> JSONResponse:
    return carry_out(
        context, Write(client, operation, body, idempotency_key), status=200, work=work
    )


def _transaction(tx: Tx, transaction_hash: Hex32) -> TransactionRow:
    row = transactions.by_attempt_hash(tx, transaction_hash)
    if row is None:
        raise NotFound(
            f"no transaction of this book has an attempt {transaction_hash}",
            field="transaction_hash",
        )
    return row


def _asked(row: TransactionRow, transaction_hash: Hex32, asked: str) -> TransactionAskedOut:
    return TransactionAskedOut(
        transaction_id=row.transaction_id,
        transaction_hash=transaction_hash,
        nonce=row.nonce,
        status=row.status,
        asked=asked,
    )
