"""`reconcile`: compare book and chain now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

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
    from settlement_node.reads.reconciliation import BreakOut, ReconciledOut

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
    from settlement_node.node.asked import reconcile_asked
    from settlement_node.reads.reconciliation import read_reconciliation

    settings = load(config)
    context = build_context(settings, open_store(settings))
    done = reconcile_asked(context, fund)
    breaks = read_reconciliation(context.store, fund).breaks
    emit(
        done.model_dump(mode="json") | {"breaks": [b.model_dump(mode="json") for b in breaks]},
        json_output=json_output,
        human=lambda console: _show(console, done, breaks),
    )
    if not done.agrees:
        finish(EXIT_WRONG)


def _show(console: Console, done: ReconciledOut, open_breaks: Sequence[BreakOut]) -> None:
    for run in done.runs:
        span = (
            "nothing new is final"
            if run.from_block == run.to_block
            else f"blocks {run.from_block + 1} to {run.to_block}: {run.settled_count} settled"
        )
        console.print(f"{escape(run.fund_id)}  {span}, {run.breaks_open_count} open breaks")
    if done.agrees:
        console.print("book and chain agree")
        return
    rows = [(b.break_id, b.kind, b.subject, b.expected, b.actual, b.owner) for b in open_breaks]
    columns = ("no>", "kind", "subject", "expected", "actual", "owner")
    console.print(table("\nOpen breaks", *columns, rows=rows))
