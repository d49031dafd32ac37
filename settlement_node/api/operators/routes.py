"""The actions of `desk/actions.py` as routes: each a POST with a reason."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from settlement_node.api.bodies import PlainJsonRoute
from settlement_node.api.context import ApiContext, Context
from settlement_node.api.documents import WRITTEN
from settlement_node.api.fields import AddressIn, FundIdIn, HashIn, InputSchema
from settlement_node.api.idempotency import IdempotencyKey, Write, carry_out
from settlement_node.api.keys import Client
from settlement_node.api.operators.schemas import (
    BreakResolvedOut,
    BreaksResolvedOut,
    LaneOut,
    RescanIn,
    RescanOut,
    ResolveIn,
    TransactionAskedOut,
    WhyIn,
    each_resolved,
    only_resolved,
)
from settlement_node.api.security import Writer
from settlement_node.desk.actions import ACTIONS, Action, Argument
from settlement_node.reads.redemptions import RedemptionOut
from settlement_node.reads.shapes import Answer
from settlement_node.store.database import Tx
from settlement_node.units import Address, Hex32

router = APIRouter(prefix="/v1", route_class=PlainJsonRoute)


class Form(NamedTuple):
    """How an action is asked for and answered in JSON."""

    body: type[InputSchema]
    answer: type[Answer]
    tag: str = "operators"
    told: Callable[[Any], Answer] | None = None
    """How the desk's answer becomes this one, where it has other fields."""


FORMS: dict[str, Form] = {
    "hold": Form(WhyIn, RedemptionOut),
    "release": Form(WhyIn, RedemptionOut),
    "cancel_redemption": Form(WhyIn, RedemptionOut, tag="redemptions"),
    "pause": Form(WhyIn, LaneOut),
    "resume": Form(WhyIn, LaneOut),
    "cancel_transaction": Form(WhyIn, TransactionAskedOut),
    "speed_up_transaction": Form(WhyIn, TransactionAskedOut),
    "resolve_many": Form(ResolveIn, BreaksResolvedOut, told=each_resolved),
    "resolve": Form(WhyIn, BreakResolvedOut, told=only_resolved),
    "rescan": Form(RescanIn, RescanOut),
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

        def work(tx: Tx) -> BaseModel:
            answer = action.carry_out(tx, given, reason=body.reason)
            return (form.told or form.answer.of)(answer)

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
