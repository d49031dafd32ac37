"""`status`: the node at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from settlement_node.cli.common import ConfigOption, load, open_store
from settlement_node.cli.output import JsonOption, emit, reports_errors, table

if TYPE_CHECKING:
    from settlement_node.reads.status import FundOut, LaneOut, StatusOut

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
    lanes = [
        (
            lane.lane,
            _state(lane),
            lane.transactions_unfinal,
            lane.head_number,
            lane.head_age_seconds,
            lane.final_number,
            lane.held_by or "nobody",
        )
        for lane in status.lanes
    ]
    funds = [
        (fund.fund_id, fund.name, fund.lane, _nav(fund), _state(fund), fund.breaks_open_count)
        for fund in status.funds
    ]
    alerts = [(alert.kind, alert.subject, alert.detail) for alert in status.alerts]
    workers = [
        (one.node_id, one.worker, one.runs_count, one.failures_count, one.last_error or "")
        for one in status.workers
    ]
    lane_columns = ("lane", "state", "unfinal>", "head>", "age s>", "final>", "held by")
    for part in (
        table("\nLanes", *lane_columns, rows=lanes),
        table("\nFunds", "fund", "name", "lane", "NAV>", "state", "breaks>", rows=funds),
        table("\nAlerts", "kind", "subject", "detail", rows=alerts),
        table("\nWorkers", "node", "worker", "runs>", "failures>", "last error", rows=workers),
    ):
        if part.row_count:
            console.print(part)


def _state(one: LaneOut | FundOut) -> str:
    return f"paused: {one.pause_reason or ''}" if one.paused else "open"


def _nav(fund: FundOut) -> str:
    from settlement_node.units import format_units

    nav = fund.nav_per_share
    return "none" if nav is None else format_units(nav, fund.nav_decimals)
