"""`reconcile`: compare book and chain now."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, load, open_store
from settlement_node.cli.output import (
    EXIT_WRONG,
    JsonOption,
    emit,
    finish,
    reports_errors,
    table,
)

if TYPE_CHECKING:
    from settlement_node.node.context import NodeContext
    from settlement_node.store.rows import FundRow

app = typer.Typer()


@app.command("reconcile")
@reports_errors
def reconcile_now(
    fund: Annotated[
        str | None, typer.Option("--fund", help="Only this fund; all of them by default.")
    ] = None,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Compare book and chain over what has become final since the last run.

    The running node does the same by itself. Exit status 1 when a break is open.
    """
    from settlement_node.assembly import build_context
    from settlement_node.store.book.funds import get_fund, list_funds
    from settlement_node.store.telling.attention import breaks_concerning

    settings = load(config)
    store = open_store(settings)
    with store.read() as tx:
        funds = list_funds(tx) if fund is None else [get_fund(tx, fund)]
    for row in funds:
        settings.chain(row.chain_id)
    context = build_context(settings, store)
    runs = [_reconcile(context, row) for row in funds]
    with store.read() as tx:
        breaks = [dict(b) for b in breaks_concerning(tx, None if fund is None else funds[0])]
    data = {"agrees": not breaks, "runs": runs, "breaks": breaks}
    emit(data, json_output=json_output, human=lambda console: _show(console, data))
    if breaks:
        finish(EXIT_WRONG)


def _reconcile(context: NodeContext, fund: FundRow) -> dict[str, Any]:
    from settlement_node.node.stages.reconcile import reconcile_now

    result = asdict(reconcile_now(context, fund))
    del result["differences"]
    return result


def _show(console: Console, data: dict[str, Any]) -> None:
    for run in data["runs"]:
        span = (
            "nothing new is final"
            if run["from_block"] == run["to_block"]
            else f"blocks {run['from_block'] + 1} to {run['to_block']}:"
            f" {run['settled_count']} settled"
        )
        console.print(f"{escape(run['fund_id'])}  {span}, {run['breaks_open_count']} open breaks")
    if data["agrees"]:
        console.print("book and chain agree")
        return
    breaks = table("\nOpen breaks", "no>", "kind", "subject", "expected", "actual", "owner")
    for row in data["breaks"]:
        breaks.add_row(
            str(row["break_id"]),
            row["kind"],
            escape(row["subject"]),
            escape(row["expected"]),
            escape(row["actual"]),
            escape(row["owner"]),
        )
    console.print(breaks)
