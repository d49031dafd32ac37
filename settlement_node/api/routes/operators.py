"""The actions of `desk/actions.py` as routes: each a POST with a reason."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import Field

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import ApiContext, Context
from settlement_node.api.documents import WRITTEN
from settlement_node.api.fields import ID_MAX, AddressIn, FundIdIn, HashIn, InputSchema, ReasonIn
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out
from settlement_node.api.keys import Client
from settlement_node.api.security import Writer
from settlement_node.desk.actions import ACTIONS, Action, Argument
from settlement_node.desk.breaks import RESOLVE_MAX, BreakResolvedOut, BreaksResolvedOut
from settlement_node.desk.operators import LaneSetOut, RescanOut, TransactionAskedOut
from settlement_node.reads.redemptions import RedemptionOut
from settlement_node.reads.shapes import Answer, examples
from settlement_node.store.database import Tx
from settlement_node.units import Address, Hex32

router = APIRouter(prefix="/v1", route_class=PlainJsonRoute)


class WhyIn(InputSchema):
    """Why: it goes into the audit trail under the caller's name."""

    model_config = examples({"reason": "payee's bank confirmed the address"})

    reason: ReasonIn


class RescanIn(InputSchema):
    """From which block the settlers' events are read again, and why."""

    model_config = examples({"from_block": 19_000_000, "reason": "endpoint had lost logs"})

    from_block: Annotated[int, Field(ge=0, le=ID_MAX)]
    reason: ReasonIn


class ResolveIn(InputSchema):
    """Which breaks are closed, by number or by kind and fund, and why."""

    model_config = examples(
        {"break_ids": [3, 4, 5], "reason": "entered again; compared with the register"},
        {"kind": "amounts_differ", "fund_id": "growth-fund", "reason": "settled outside the node"},
    )

    break_ids: Annotated[
        list[Annotated[int, Field(ge=1, le=ID_MAX)]] | None,
        Field(min_length=1, max_length=RESOLVE_MAX),
    ] = None
    kind: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    fund_id: FundIdIn | None = None
    reason: ReasonIn


class Form(NamedTuple):
    """How an action is asked for and answered in JSON."""

    answer: type[Answer]
    body: type[InputSchema] = WhyIn
    tag: str = "operators"


FORMS: dict[str, Form] = {
    "hold": Form(RedemptionOut),
    "release": Form(RedemptionOut),
    "cancel_redemption": Form(RedemptionOut, tag="redemptions"),
    "pause": Form(LaneSetOut),
    "resume": Form(LaneSetOut),
    "cancel_transaction": Form(TransactionAskedOut),
    "speed_up_transaction": Form(TransactionAskedOut),
    "resolve_many": Form(BreaksResolvedOut, ResolveIn),
    "resolve": Form(BreakResolvedOut),
    "rescan": Form(RescanOut, RescanIn),
}


def _in_path(argument: Argument) -> Any:
    """The type of an argument that the path names."""
    if argument.bounds is not None:
        least, most = argument.bounds
        return Annotated[int, Path(ge=least, le=most)]
    kinds: dict[Any, Any] = {Hex32: HashIn, Address: AddressIn, str: FundIdIn}
    return Annotated[kinds[argument.type], Path()]


def _add(action: Action, path: str) -> None:
    form = FORMS[action.name]
    named = [one for one in action.arguments if f"{{{one.name}}}" in path]

    def endpoint(
        context: ApiContext,
        client: Client,
        body: Any,
        idempotency_key: str | None,
        **arguments: Any,
    ) -> JSONResponse:
        given = arguments | body.model_dump(exclude={"reason"})

        def work(tx: Tx) -> Answer:
            return form.answer.of(action.carry_out(tx, given, reason=body.reason))

        write = Write(client, f"POST {path.format(**arguments)}", body, idempotency_key)
        return carry_out(context, write, status=200, work=work)

    parameters: dict[str, Any] = {
        "context": Context,
        "client": Writer,
        **{one.name: _in_path(one) for one in named},
        "body": form.body,
        "idempotency_key": IdempotencyKey,
    }
    # What FastAPI reads of an endpoint: whose arguments it has, drawn from the table.
    endpoint.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                annotation=annotation,
                default=None if name == "idempotency_key" else Parameter.empty,
            )
            for name, annotation in parameters.items()
        ]
    )
    router.add_api_route(
        path.removeprefix(router.prefix),
        endpoint,
        methods=["POST"],
        name=action.name,
        tags=[form.tag],
        response_model=form.answer,
        responses=WRITTEN,
        summary=action.title,
        description=action.does,
    )


for _action in ACTIONS:
    if _action.path is not None:
        _add(_action, _action.path)
