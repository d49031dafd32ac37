"""`/v1/settlements`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import Context
from settlement_node.api.documents import ASKED, WRITTEN
from settlement_node.api.fields import (
    ID_MAX,
    PAGE_DEFAULT,
    CursorIn,
    FundIdIn,
    HashIn,
    InputSchema,
    Limit,
)
from settlement_node.api.security import Reader, require_writer
from settlement_node.reads.estimate import ITEMS_MAX, EstimateOut, estimate
from settlement_node.reads.settlements import (
    SettlementDetailOut,
    SettlementPage,
    SettlementStatus,
    page_of_settlements,
    read_settlement,
)
from settlement_node.reads.shapes import EXAMPLE_HASH, examples

router = APIRouter(prefix="/v1/settlements", tags=["settlements"], route_class=PlainJsonRoute)


class EstimateIn(InputSchema):
    """Which redemptions, of one fund, to price as if they were one batch."""

    model_config = examples({"redemption_ids": [EXAMPLE_HASH]})

    redemption_ids: Annotated[list[HashIn], Field(min_length=1, max_length=ITEMS_MAX)]


@router.get("", dependencies=[Reader], responses=ASKED, summary="List settlements")
def list_settlements(
    context: Context,
    fund_id: Annotated[FundIdIn | None, Query()] = None,
    status: Annotated[SettlementStatus | None, Query()] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: CursorIn = None,
) -> SettlementPage:
    """Newest first, a page at a time."""
    return page_of_settlements(
        context.store, fund_id=fund_id, status=status, limit=limit, cursor=cursor
    )


@router.post(
    "/estimate",
    dependencies=[Depends(require_writer)],
    responses=WRITTEN,
    summary="Estimate a settlement",
)
def estimate_settlement(context: Context, body: EstimateIn) -> EstimateOut:
    """Price the redemptions, run them through the settler's preview at the present head, and add
    gas and fees. Nothing is changed; the chain is asked."""
    node = context.node
    with context.chain_turn:
        return estimate(node.store, node.chains, node.policy, body.redemption_ids)


@router.get("/{settlement_id}", dependencies=[Reader], responses=ASKED, summary="One settlement")
def get_settlement(
    context: Context, settlement_id: Annotated[int, Path(ge=1, le=ID_MAX)]
) -> SettlementDetailOut:
    """A batch with its items in the order of the chain, and its transaction."""
    return read_settlement(context.store, context.node.chains, settlement_id)
