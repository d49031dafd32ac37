"""`GET /v1/status`."""

from __future__ import annotations

from fastapi import APIRouter

from settlement_node.api.context import Context
from settlement_node.api.documents import problems
from settlement_node.api.security import Reader
from settlement_node.reads.status import StatusOut, read_status

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
    subscribers = context.hub.subscribers_count
    return read_status(context.store, context.watched, event_subscribers=subscribers)
