"""`/healthz`, `/readyz` and `/metrics`: without a key, and without anything worth hiding."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from settlement_node.api.context import Context
from settlement_node.api.operations.readiness import readiness
from settlement_node.api.operations.schemas import HealthOut, ReadyOut

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Alive?")
def get_health() -> HealthOut:
    """The process answers; says nothing about what it depends on."""
    return HealthOut(status="alive")


@router.get(
    "/readyz",
    response_model=ReadyOut,
    responses={503: {"model": ReadyOut, "description": "Not ready; the checks say why."}},
    summary="Ready?",
)
def get_readiness(context: Context) -> JSONResponse:
    """200 when the database answers and is migrated and no lane's head is stale; 503 otherwise."""
    ready = readiness(context)
    return JSONResponse(ready.model_dump(), status_code=200 if ready.ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
    summary="Figures for Prometheus",
)
def get_metrics(context: Context) -> Response:
    """Redemptions and settlements by status, transactions in flight, breaks, alerts, heads and
    their age, stages, and HTTP requests."""
    return Response(context.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
