"""`status`: the node at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, load, open_store
from settlement_node.cli.output import JsonOption, emit, reports_errors, table

if TYPE_CHECKING:
    from settlement_node.reads.status import StatusOut

app = typer.Typer()


@app.command("status")
@reports_errors
def show_status(config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """Show counts, lanes, funds, alerts and workers, read from the database alone."""
    from settlement_node.reads.status import read_status

    status = read_status(open_store(load(config)), {})
    emit(
        status.model_dump(mode="json"),
        json_output=json_output,
        human=lambda console: _show(console, status),
    )


def _show(console: Console, status: StatusOut) -> None:
    counts = {k: n for k, n in status.redemptions_by_status.items() if n}
    console.print(
        "redemptions  " + ("  ".join(f"{k} {n}" for k, n in counts.items()) or "none yet")
    )
    console.print(
        f"settlements  live {status.settlements_by_status['live']}"
        f"  settled {status.settlements_by_status['settled']}"
        f"  void {status.settlements_by_status['void']}"
    )
    console.print(
        f"in flight    {status.transactions_unfinal} transactions"
        f" · open breaks {status.breaks_open_count} · open alerts {len(status.alerts)}"
    )
    lanes = table("\nLanes", "lane", "state", "unfinal>", "head>", "age s>", "final>", "held by")
    for lane in status.lanes:
        lanes.add_row(
            lane.lane,
            f"paused: {escape(lane.pause_reason or '')}" if lane.paused else "open",
            str(lane.transactions_unfinal),
            _or_dash(lane.head_number),
            _or_dash(lane.head_age_seconds),
            _or_dash(lane.final_number),
            escape(lane.held_by or "nobody"),
        )
    funds = table("\nFunds", "fund", "name", "lane", "NAV>", "state", "breaks>")
    for fund in status.funds:
        funds.add_row(
            escape(fund.fund_id),
            escape(fund.name),
            fund.lane,
            _nav(fund.nav_per_share, fund.nav_decimals),
            f"paused: {escape(fund.pause_reason or '')}" if fund.paused else "open",
            str(fund.breaks_open_count),
        )
    alerts = table("\nAlerts", "kind", "subject", "detail")
    for alert in status.alerts:
        alerts.add_row(alert.kind, escape(alert.subject), escape(alert.detail))
    workers = table("\nWorkers", "node", "worker", "runs>", "failures>", "last error")
    for worker in status.workers:
        workers.add_row(
            escape(worker.node_id),
            escape(worker.worker),
            str(worker.runs_count),
            str(worker.failures_count),
            escape(worker.last_error or ""),
        )
    for part in (lanes, funds, alerts, workers):
        if part.row_count:
            console.print(part)


def _or_dash(value: float | None) -> str:
    return "–" if value is None else str(value)


def _nav(nav_per_share: int | None, decimals: int) -> str:
    from settlement_node.units import format_units

    return "none" if nav_per_share is None else format_units(nav_per_share, decimals)
