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
    from settlement_node.assembly import build_client
    from settlement_node.cli.findings import Verdict
    from settlement_node.cli.fund_file import check_on_chain, read_fund_file
    from settlement_node.cli.token_trials import try_fund
    from settlement_node.store.book.funds import add_fund

    fund = read_fund_file(file)
    settings = load(config)
    store = open_store(settings)
    client = build_client(settings.chain(fund.chain_id), settings)
    new = check_on_chain(fund, client)
    findings = [found for found in try_fund(client, new) if found.verdict is not Verdict.RIGHT]
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
        "checks": row.checks.document(),
        "findings": [found.data() for found in findings],
    }
    for found in findings:
        notes().print(f"{found.verdict.value}: {escape(found.words)}")

    def human(console: Console) -> None:
        console.print(
            f"fund {escape(row.fund_id)} is in the book: shares with {row.share_decimals}"
            f" decimals, payouts with {row.payout_decimals}, settled by lane {row.lane_address}"
        )

    emit(data, json_output=json_output, human=human)


@app.command("checks")
@reports_errors
def set_checks(
    file: Annotated[Path, typer.Argument(help="The fund's TOML file, with its [checks].")],
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Take over the [checks] of a fund's file, what its tokens are asked before paying, and the
    tokens' own errors (errors, errors_abi), in whose words a hold is told."""
    from dataclasses import replace

    from settlement_node.assembly import build_client
    from settlement_node.cli.fund_file import read_fund_file
    from settlement_node.node.stages.eligibility import try_checks
    from settlement_node.store.book.funds import get_fund
    from settlement_node.store.book.funds import set_checks as store_checks

    fund = read_fund_file(file)
    checks = fund.checks.fund_checks()
    settings = load(config)
    store = open_store(settings)
    with store.read() as tx:
        row = get_fund(tx, fund.fund_id)
    client = build_client(settings.chain(row.chain_id), settings)
    client.check_chain_id()
    client.refresh()
    try_checks(client.calls, replace(row, checks=checks))
    with store.transaction(actor=actor()) as tx:
        store_checks(tx, row.fund_id, checks, fund.errors)
    emit(
        {"fund_id": row.fund_id, "checks": checks.document(), "errors": list(fund.errors)},
        json_output=json_output,
        human=lambda console: console.print(
            f"before paying, the tokens of fund {escape(row.fund_id)} are asked:"
            f" {escape(checks.words())}; {len(fund.errors)} of their own errors are told in words"
        ),
    )


@app.command("list")
@reports_errors
def show(config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """List the funds."""
    from settlement_node.store.book.funds import list_funds
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
                "checks": row.checks.document(),
            }
            for row in rows
        ]
    }

    def human(console: Console) -> None:
        if not rows:
            console.print("no fund yet; add one with: settlement-node fund add FILE")
            return
        shown = table(
            "", "fund", "name", "chain>", "settler", "lane", "NAV>", "redemptions>", "checks"
        )
        for row, fund in zip(rows, data["funds"], strict=True):
            shown.add_row(
                escape(str(fund["fund_id"])),
                escape(str(fund["name"])),
                str(fund["chain_id"]),
                str(fund["settler_address"]),
                str(fund["lane_address"]),
                str(fund["nav"] or "none"),
                str(fund["redemptions_recorded"]),
                row.checks.words(),
            )
        console.print(shown)

    emit(data, json_output=json_output, human=human)
