"""`/v1/reconciliation`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import ApiContext, Context
from settlement_node.api.documents import problems
from settlement_node.api.fields import FundIdIn
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out_apart
from settlement_node.api.reconciliation.schemas import (
    BreakOut,
    FundReconciliationOut,
    FundRunOut,
    ReconciledOut,
    ReconcileIn,
    ReconciliationOut,
    RunOut,
)
from settlement_node.api.security import Reader, Writer
from settlement_node.errors import Conflict
from settlement_node.node.stages.reconcile import reconcile_now
from settlement_node.store.book.funds import get_fund, list_funds
from settlement_node.store.telling import overview
from settlement_node.store.telling.attention import breaks_concerning

router = APIRouter(prefix="/v1/reconciliation", tags=["reconciliation"], route_class=PlainJsonRoute)


@router.get(
    "",
    dependencies=[Reader],
    responses=problems(401, 404, 422, 503),
    summary="Where book and chain differ",
)
def get_reconciliation(
    context: Context, fund_id: Annotated[FundIdIn | None, Query()] = None
) -> ReconciliationOut:
    """The latest run of each fund and every open break."""
    with context.store.read() as tx:
        funds = list_funds(tx) if fund_id is None else [get_fund(tx, fund_id)]
        runs = {r["fund_id"]: r for r in overview.latest_reconciliations(tx, fund_id=fund_id)}
        counts = overview.open_breaks_by_fund(tx)
        breaks = breaks_concerning(tx, None if fund_id is None else funds[0])
    return ReconciliationOut(
        agrees=not breaks,
        funds=[
            FundReconciliationOut(
                fund_id=fund.fund_id,
                breaks_open_count=counts.get(fund.fund_id, 0),
                last_run=RunOut.of(runs[fund.fund_id]) if fund.fund_id in runs else None,
            )
            for fund in funds
        ],
        breaks=[BreakOut.of(row) for row in breaks],
    )


@router.post(
    "",
    response_model=ReconciledOut,
    responses=problems(400, 401, 404, 409, 413, 415, 422, 503),
    summary="Reconcile now",
)
def run_reconciliation(
    context: Context, client: Writer, body: ReconcileIn, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Compare book and chain over the blocks that have become final since the last run. It changes
    nothing but the breaks; a run that finds another at work answers 503."""
    write = Write(client, "POST /v1/reconciliation", body, idempotency_key)
    return carry_out_apart(context, write, status=200, work=lambda: _reconcile(context, body))


def _reconcile(context: ApiContext, body: ReconcileIn) -> ReconciledOut:
    with context.store.read() as tx:
        funds = list_funds(tx) if body.fund_id is None else [get_fund(tx, body.fund_id)]
    served = [fund for fund in funds if fund.chain_id in context.node.chains]
    if body.fund_id is not None and not served:
        raise Conflict(
            f"this process has no endpoints for chain {funds[0].chain_id}", field="fund_id"
        )
    with context.chain_turn:
        results = [reconcile_now(context.node, fund) for fund in served]
    with context.store.read() as tx:
        breaks = breaks_concerning(tx, None if body.fund_id is None else funds[0], limit=1)
    return ReconciledOut(
        agrees=not breaks,
        runs=[FundRunOut.of(result) for result in results],
    )
