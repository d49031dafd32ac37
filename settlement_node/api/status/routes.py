"""`GET /v1/status`."""

from __future__ import annotations

from fastapi import APIRouter

from settlement_node.api.context import Context
from settlement_node.api.documents import problems
from settlement_node.api.security import Reader
from settlement_node.api.status.report import report
from settlement_node.api.status.schemas import StatusOut

router = APIRouter(tags=["status"])


@router.get(
    "/v1/status",
    dependencies=[Reader],
    responses=problems(401, 503),
    summary="The node at a glance",
)
def get_status(context: Context) -> StatusOut:
    """Counts by status, what is in flight, breaks and alerts, chains and their endpoints, lanes,
    funds and workers."""
    with context.store.read() as tx:
        return report(tx, context.watched, event_subscribers=context.hub.subscribers_count)
