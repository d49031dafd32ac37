"""`fund`: the funds of the book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, actor, load, open_store
from settlement_node.cli.output import JsonOption, emit, notes, reports_errors, table

app = typer.Typer(no_args_is_help=True, help="The funds of the book.")


@app.command("add")
@reports_errors
def add(
    file: Annotated[Path, typer.Argument(help="The fund's TOML file; see examples/fund.toml.")],
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Record a fund, after comparing every key with its settler and tokens on the chain."""
    from settlement_node.cli.fund_file import check_on_chain, read_fund_file
    from settlement_node.node.assembly import build_client
    from settlement_node.store.funds import add_fund

    fund = read_fund_file(file)
    settings = load(config)
    store = open_store(settings)
    new = check_on_chain(fund, build_client(settings.chain(fund.chain_id), settings))
    with store.transaction(actor=actor()) as tx:
        row = add_fund(tx, new)
    if not any(s.chain_id == row.chain_id for s in settings.signers):
        notes().print(f"note: no signer is configured for chain {row.chain_id}, so none will sign")
    data = {
        "fund_id": row.fund_id,
        "chain_id": row.chain_id,
        "settler_address": row.settler_address,
        "lane_address": row.lane_address,
        "share_decimals": row.share_decimals,
        "payout_decimals": row.payout_decimals,
    }

    def human(console: Console) -> None:
        console.print(
            f"fund {escape(row.fund_id)} is in the book: shares with {row.share_decimals}"
            f" decimals, payouts with {row.payout_decimals}, settled by lane {row.lane_address}"
        )

    emit(data, json_output=json_output, human=human)


@app.command("list")
@reports_errors
def show(config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """List the funds."""
    from settlement_node.store.funds import list_funds
    from settlement_node.units import format_units

    with open_store(load(config)).read() as tx:
        rows = list_funds(tx)
    data = {
        "funds": [
            {
                "fund_id": row.fund_id,
                "name": row.name,
                "chain_id": row.chain_id,
                "settler_address": row.settler_address,
                "treasury_address": row.treasury_address,
                "lane_address": row.lane_address,
                "nav": None
                if row.nav_per_share is None
                else format_units(row.nav_per_share, row.nav_decimals),
                "paused": row.paused,
                "redemptions_recorded": row.next_redemption_index,
            }
            for row in rows
        ]
    }

    def human(console: Console) -> None:
        if not rows:
            console.print("no fund yet; add one with: settlement-node fund add FILE")
            return
        shown = table("", "fund", "name", "chain>", "settler", "lane", "NAV>", "redemptions>")
        for fund in data["funds"]:
            shown.add_row(
                escape(str(fund["fund_id"])),
                escape(str(fund["name"])),
                str(fund["chain_id"]),
                str(fund["settler_address"]),
                str(fund["lane_address"]),
                str(fund["nav"] or "none"),
                str(fund["redemptions_recorded"]),
            )
        console.print(shown)

    emit(data, json_output=json_output, human=human)
