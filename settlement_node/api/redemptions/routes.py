"""`/v1/redemptions`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import Context
from settlement_node.api.documents import problems
from settlement_node.api.fields import AddressIn, FundIdIn, HashIn, SearchIn, TimeIn
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out
from settlement_node.api.pages import PAGE_DEFAULT, CursorIn, Limit, read_cursor, write_cursor
from settlement_node.api.redemptions.schemas import (
    RedemptionDetailOut,
    RedemptionOut,
    RedemptionPage,
    RedemptionsIn,
    TakenIn,
)
from settlement_node.api.redemptions.story import tell
from settlement_node.api.security import Reader, Writer
from settlement_node.desk.door import refuse_never_payable
from settlement_node.desk.intake import take_in
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.errors import InvalidInput
from settlement_node.store.book import redemptions
from settlement_node.store.database import Tx

router = APIRouter(prefix="/v1/redemptions", tags=["redemptions"], route_class=PlainJsonRoute)
LISTING = "redemptions"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
RedemptionId = Annotated[HashIn, Path(alias="redemption_id")]


@router.post(
    "",
    status_code=201,
    response_model=TakenIn,
    responses=problems(400, 401, 404, 409, 413, 415, 422, 503),
    summary="Take approved redemptions in",
)
def take_redemptions_in(
    context: Context, client: Writer, body: RedemptionsIn, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Record approved orders of one fund, all or none, and reserve their shares.

    A single order is a list of one. An `external_id` names one redemption of the fund for ever:
    giving it again is a 409 that names it, whatever became of the first. One of more shares than
    there are, or worth more than the settler pays in a whole day, is a 422 that names it.
    """

    orders = [item.order() for item in body.redemptions]
    refuse_never_payable(context.store, body.fund_id, orders, context.capacity_now)

    def work(tx: Tx) -> TakenIn:
        rows = take_in(tx, body.fund_id, orders, approved_by=client.actor)
        return TakenIn(fund_id=body.fund_id, redemptions=[RedemptionOut.of(row) for row in rows])

    write = Write(client, "POST /v1/redemptions", body, idempotency_key)
    return carry_out(context, write, status=201, work=work)


@router.get(
    "", dependencies=[Reader], responses=problems(401, 404, 422, 503), summary="List redemptions"
)
def list_redemptions(
    context: Context,
    fund_id: Annotated[FundIdIn | None, Query()] = None,
    status: Annotated[RedemptionStatus | None, Query()] = None,
    investor_address: Annotated[AddressIn | None, Query()] = None,
    requested_from_utc: Annotated[TimeIn | None, Query()] = None,
    requested_before_utc: Annotated[TimeIn | None, Query()] = None,
    search: Annotated[
        SearchIn | None,
        Query(description="Part of an external_id, or a whole address or redemption_id."),
    ] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: CursorIn = None,
) -> RedemptionPage:
    """Newest first, a page at a time."""
    wanted = redemptions.RedemptionFilter(
        fund_id=fund_id,
        status=status,
        investor_address=investor_address,
        requested_from_utc=requested_from_utc,
        requested_before_utc=requested_before_utc,
        search=search,
    )
    position = read_cursor(LISTING, [wanted], cursor, [int, str])
    after = None if position is None else (_time_at(position[0]), position[1])
    with context.store.read() as tx:
        rows = redemptions.page(tx, wanted, limit=limit + 1, after=after)
    shown = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        last = shown[-1]
        place = (last.requested_at_utc - _EPOCH) // _MICROSECOND
        next_cursor = write_cursor(LISTING, [wanted], [place, last.redemption_id])
    return RedemptionPage(items=[RedemptionOut.of(row) for row in shown], next_cursor=next_cursor)


@router.get(
    "/{redemption_id}",
    dependencies=[Reader],
    responses=problems(401, 404, 422, 503),
    summary="One redemption's whole story",
)
def get_redemption(context: Context, redemption_id: RedemptionId) -> RedemptionDetailOut:
    """What it waits for, what happened to it, the settlements it was in with their transactions
    and attempts, its block, and its ledger postings."""
    with context.store.read() as tx:
        return tell(context, tx, redemption_id)


def _time_at(microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise InvalidInput("cursor holds no time; leave it out", field="cursor") from None
