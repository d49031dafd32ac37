"""The actions of `desk/actions.py` as commands: `redemption`, `lane`, `transaction`, `break`, and
the changes of a fund. Each is one commit in the book, audited under the name of who ran it."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from settlement_node.cli.common import ConfigOption, actor, load, open_store
from settlement_node.cli.fund import app as fund_app
from settlement_node.cli.output import JsonOption, emit, reports_errors
from settlement_node.desk.actions import (
    ACTIONS,
    REASON_LENGTH_MAX,
    REASON_LENGTH_MIN,
    REQUIRED,
    Action,
    Argument,
)
from settlement_node.units import Address, Hex32, parse_address, parse_hex32

GROUPS = {
    name: typer.Typer(help=words, no_args_is_help=True)
    for name, words in (
        ("redemption", "Hold, release or cancel a redemption."),
        ("lane", "Pause or resume a lane."),
        ("transaction", "Cancel or speed up an unmined transaction."),
        ("break", "Close a break of the reconciliation."),
    )
}
PARSED: dict[Any, Callable[..., Any]] = {Hex32: parse_hex32, Address: parse_address}
"""How what is typed becomes an argument, where that is more than text or a number."""
FundId = Annotated[str, typer.Argument(help="The fund.")]
Reason = Annotated[
    str,
    typer.Option(
        "--reason",
        help=f"Why, for the audit trail: {REASON_LENGTH_MIN} to {REASON_LENGTH_MAX} characters.",
    ),
]


def _typed(argument: Argument) -> Any:
    """The type of an argument as the command line reads it."""
    least, most = argument.bounds or (None, None)
    kind = str if argument.type in PARSED else argument.type
    read = (
        typer.Argument(min=least, max=most, help=argument.help)
        if argument.option is None
        else typer.Option(argument.option, min=least, max=most, help=argument.help)
    )
    return Annotated[kind if argument.default is not None else kind | None, read]


def _parameters(action: Action) -> list[Parameter]:
    """Those of a command: what must be given, the reason, what may be given, what all have."""
    made = [(argument.name, _typed(argument), argument.default) for argument in action.arguments]
    made += [("reason", Reason, REQUIRED), ("config", ConfigOption, None)]
    made += [("json_output", JsonOption, False)]
    made.sort(key=lambda one: one[2] is not REQUIRED)
    return [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=Parameter.empty if default is REQUIRED else default,
        )
        for name, annotation, default in made
    ]


def _add(group: typer.Typer, verb: str, action: Action) -> None:
    def command(*, reason: str, config: Any, json_output: bool, **typed: Any) -> None:
        given = {
            one.name: PARSED[one.type](typed[one.name], field=one.name)
            if one.type in PARSED
            else typed[one.name]
            for one in action.arguments
        }
        with open_store(load(config)).transaction(actor=actor()) as tx:
            answer = action.carry_out(tx, given, reason=reason)
        shown = {name: getattr(answer, name) for name in action.shows}
        plain = json.loads(json.dumps(shown))
        told = ", ".join(f"{name} {value}" for name, value in plain.items())
        emit(
            {"done": action.says, **plain},
            json_output=json_output,
            human=lambda console: console.print(f"{action.says}: {told}"),
        )

    parameters = _parameters(action)
    command.__doc__ = action.does
    # What Typer reads of a command, drawn from the table.
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    group.command(verb)(reports_errors(command))


for _action in ACTIONS:
    if _action.command is not None:
        _group, _verb = _action.command.split()
        _add(GROUPS.get(_group, fund_app), _verb, _action)
