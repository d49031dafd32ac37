"""`/healthz`, `/readyz` and `/metrics`: without a key, and without anything worth hiding."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from settlement_node.api.context import ApiContext, Context
from settlement_node.api.problems import public_words
from settlement_node.errors import SettlementError
from settlement_node.reads.shapes import Answer
from settlement_node.reads.status import read_status
from settlement_node.store.migrate import pending
from settlement_node.store.telling.records import forget_workers

router = APIRouter(tags=["operations"])


class HealthOut(Answer):
    """The process answers."""

    status: str


class CheckOut(Answer):
    """One condition of readiness."""

    name: str
    ok: bool
    detail: str


class ReadyOut(Answer):
    """Whether work can be given to this process, and why not."""

    ready: bool
    checks: list[CheckOut]


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
    ready = _ready(context)
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


def _ready(context: ApiContext) -> ReadyOut:
    """Database reachable, schema of this version, writes taken, heads fresh. Stops at the first
    that makes the later ones meaningless."""
    checks = [_schema(context)]
    if checks[0].ok:
        checks += _heads(context)
    return ReadyOut(ready=all(check.ok for check in checks), checks=checks)


def _schema(context: ApiContext) -> CheckOut:
    try:
        due = pending(context.store.engine)
    except SettlementError as error:
        return CheckOut(name="database", ok=False, detail=public_words(error))
    if due:
        return CheckOut(
            name="database",
            ok=False,
            detail=f"{len(due)} migrations are due; run settlement-node db upgrade",
        )
    try:
        with context.store.transaction(actor="readiness") as tx:
            forget_workers(tx)
    except SettlementError as error:
        words = f"answers, but refuses writes: {public_words(error)}"
        return CheckOut(name="database", ok=False, detail=words)
    detail = "answers, takes writes and has this version's schema"
    return CheckOut(name="database", ok=True, detail=detail)


def _heads(context: ApiContext) -> list[CheckOut]:
    """One check for each lane that has a fund and a chain with a bound on the head's age."""
    try:
        status = read_status(context.store, {})
    except SettlementError as error:
        return [CheckOut(name="heads", ok=False, detail=public_words(error))]
    ages = {lane.lane: lane.head_age_seconds for lane in status.lanes}
    checks = []
    for lane, chain_id in sorted({(fund.lane, fund.chain_id) for fund in status.funds}):
        bound = context.head_stale_seconds.get(chain_id, 0)
        if not bound:
            continue
        age = ages.get(lane)
        ok = age is not None and age <= bound
        detail = (
            "no head has been seen yet"
            if age is None
            else f"the head is {age:.0f} s old; the bound is {bound:.0f} s"
        )
        checks.append(CheckOut(name=f"head of {lane}", ok=ok, detail=detail))
    return checks
