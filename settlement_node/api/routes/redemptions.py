"""`/v1/redemptions`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import Context
from settlement_node.api.documents import ASKED, WRITTEN
from settlement_node.api.fields import (
    PAGE_DEFAULT,
    AddressIn,
    BaseUnitsIn,
    CursorIn,
    ExternalIdIn,
    FundIdIn,
    HashIn,
    InputSchema,
    Limit,
    SearchIn,
    TimeIn,
)
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out
from settlement_node.api.security import Reader, Writer
from settlement_node.desk.door import refuse_never_payable
from settlement_node.desk.intake import ORDERS_MAX, take_in
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.domain.waiting import WaitingFor
from settlement_node.reads.redemptions import (
    RedemptionFilter,
    RedemptionOut,
    RedemptionPage,
    page_of_redemptions,
)
from settlement_node.reads.shapes import EXAMPLE_ADDRESS, Answer, examples
from settlement_node.reads.story import RedemptionDetailOut, read_story
from settlement_node.store.database import Tx
from settlement_node.units import Shares

router = APIRouter(prefix="/v1/redemptions", tags=["redemptions"], route_class=PlainJsonRoute)
RedemptionId = Annotated[HashIn, Path(alias="redemption_id")]
_EXAMPLE_ORDER = {
    "external_id": "ORDER-2026-000017",
    "investor_address": EXAMPLE_ADDRESS,
    "payee_address": EXAMPLE_ADDRESS,
    "shares_base_units": "2500000000000000000",
}


class RedemptionIn(InputSchema):
    """One approved order."""

    external_id: ExternalIdIn
    investor_address: AddressIn
    payee_address: AddressIn
    shares_base_units: BaseUnitsIn
    settle_after_utc: TimeIn | None = None

    def order(self) -> RedemptionOrder:
        """As the node takes it."""
        return RedemptionOrder(
            external_id=self.external_id,
            investor_address=self.investor_address,
            payee_address=self.payee_address,
            shares_base_units=Shares(self.shares_base_units),
            settle_after_utc=self.settle_after_utc,
        )


class RedemptionsIn(InputSchema):
    """Approved orders of one fund; a single order is a list of one. All are taken or none."""

    model_config = examples(
        {"fund_id": "growth-fund", "redemptions": [_EXAMPLE_ORDER]},
        {
            "fund_id": "growth-fund",
            "redemptions": [
                _EXAMPLE_ORDER | {"settle_after_utc": "2026-01-31T12:00:00Z"},
                _EXAMPLE_ORDER | {"external_id": "ORDER-2026-000018"},
            ],
        },
    )

    fund_id: FundIdIn
    redemptions: Annotated[list[RedemptionIn], Field(min_length=1, max_length=ORDERS_MAX)]


class TakenIn(Answer):
    """Every order of the request, in its order: `approved`, or `settled` when the chain already
    shows its id as paid."""

    fund_id: str
    redemptions: list[RedemptionOut]


@router.post(
    "",
    status_code=201,
    response_model=TakenIn,
    responses=WRITTEN,
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
        return TakenIn(fund_id=body.fund_id, redemptions=list(map(RedemptionOut.of, rows)))

    write = Write(client, "POST /v1/redemptions", body, idempotency_key)
    return carry_out(context, write, status=201, work=work)


@router.get("", dependencies=[Reader], responses=ASKED, summary="List redemptions")
def list_redemptions(
    context: Context,
    fund_id: Annotated[FundIdIn | None, Query()] = None,
    status: Annotated[RedemptionStatus | None, Query()] = None,
    waiting_for: Annotated[
        WaitingFor | None, Query(description="One of the things that its story says it waits for.")
    ] = None,
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
    wanted = RedemptionFilter(
        fund_id=fund_id,
        status=status,
        waiting_for=waiting_for,
        investor_address=investor_address,
        requested_from_utc=requested_from_utc,
        requested_before_utc=requested_before_utc,
        search=search,
    )
    return page_of_redemptions(context.store, wanted, limit=limit, cursor=cursor)


@router.get(
    "/{redemption_id}",
    dependencies=[Reader],
    responses=ASKED,
    summary="One redemption's whole story",
)
def get_redemption(context: Context, redemption_id: RedemptionId) -> RedemptionDetailOut:
    """What it waits for, what happened to it, the settlements it was in with their transactions
    and attempts, its block, and its ledger postings."""
    return read_story(context.store, context.node.chains, redemption_id)
