"""`/v1/reconciliation`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import ApiContext, Context
from settlement_node.api.documents import ASKED, WRITTEN
from settlement_node.api.fields import FundIdIn, InputSchema
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out_apart
from settlement_node.api.security import Reader, Writer
from settlement_node.node.asked import reconcile_asked
from settlement_node.reads.reconciliation import (
    ReconciledOut,
    ReconciliationOut,
    read_reconciliation,
)
from settlement_node.reads.shapes import examples

router = APIRouter(prefix="/v1/reconciliation", tags=["reconciliation"], route_class=PlainJsonRoute)


class ReconcileIn(InputSchema):
    """Which fund to reconcile now; all of them without one."""

    model_config = examples({"fund_id": "growth-fund"}, {})

    fund_id: FundIdIn | None = None


@router.get("", dependencies=[Reader], responses=ASKED, summary="Where book and chain differ")
def get_reconciliation(
    context: Context, fund_id: Annotated[FundIdIn | None, Query()] = None
) -> ReconciliationOut:
    """The latest run of each fund and every open break."""
    return read_reconciliation(context.store, fund_id)


@router.post("", response_model=ReconciledOut, responses=WRITTEN, summary="Reconcile now")
def run_reconciliation(
    context: Context, client: Writer, body: ReconcileIn, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Compare book and chain over the blocks that have become final since the last run. It changes
    nothing but the breaks; a run that finds another at work answers 503."""
    write = Write(client, "POST /v1/reconciliation", body, idempotency_key)
    return carry_out_apart(context, write, status=200, work=lambda: _reconcile(context, body))


def _reconcile(context: ApiContext, body: ReconcileIn) -> ReconciledOut:
    with context.chain_turn:
        return reconcile_asked(context.node, body.fund_id, leaves_others_out=True)
