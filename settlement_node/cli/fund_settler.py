"""`fund settler`: the settlers a fund had and has, and changing to another; `fund export`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, actor, load, open_store
from settlement_node.cli.fund import app as fund_app
from settlement_node.cli.operate import FundId, Reason
from settlement_node.cli.output import JsonOption, emit, notes, reports_errors, table
from settlement_node.units import parse_address

app = typer.Typer(
    no_args_is_help=True,
    help="The settlers of a fund: what all of them paid is known, and one of them settles.",
)
fund_app.add_typer(app, name="settler")

SettlerAddress = Annotated[str, typer.Argument(help="The settler's address.")]


@app.command("add")
@reports_errors
def add(
    fund_id: FundId,
    settler: SettlerAddress,
    from_block: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**62,
            help="The block it was deployed in; found on the chain when it is not given, slowly"
            " where the endpoints have no old states.",
        ),
    ] = None,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Have a settler's events read, of one that paid before or is to pay from now on.

    It must be a settler of the fund's two tokens. Its predecessors are added with it. Nothing is
    settled with it before `switch`.
    """
    from settlement_node.assembly import build_client
    from settlement_node.desk.succession import add_settlers, find_settlers
    from settlement_node.store.book.funds import get_fund

    address = parse_address(settler, field="settler")
    settings = load(config)
    store = open_store(settings)
    with store.read() as tx:
        fund = get_fund(tx, fund_id)
    client = build_client(settings.chain(fund.chain_id), settings)
    found = find_settlers(client, fund, address, from_block=from_block)
    with store.transaction(actor=actor()) as tx:
        new = add_settlers(tx, fund_id, found)
    emit(
        {"fund_id": fund_id, "added": new},
        json_output=json_output,
        human=lambda console: console.print(
            f"added to fund {escape(fund_id)}: {', '.join(new)}; the node reads what they paid at"
            " its next pass"
        ),
    )


@app.command("switch")
@reports_errors
def switch(
    fund_id: FundId,
    settler: SettlerAddress,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Settle with another settler of the fund, which was added before.

    Refused while a batch of the present one is not final, while the present one can still pay, and
    unless the other has the fund's tokens, treasury, burn style and lane.
    """
    from dataclasses import replace

    from settlement_node.assembly import build_client
    from settlement_node.cli.findings import Verdict
    from settlement_node.cli.token_trials import holders_to_try, try_fund
    from settlement_node.desk.succession import check_successor, predecessors, switch_settler
    from settlement_node.store.book.funds import get_fund

    address = parse_address(settler, field="settler")
    settings = load(config)
    store = open_store(settings)
    with store.read() as tx:
        fund = get_fund(tx, fund_id)
        holders = holders_to_try(tx, fund_id)
    client = build_client(settings.chain(fund.chain_id), settings)
    check_successor(client, fund, address)
    named = predecessors(client.settler_view, fund, address, named="the settler to switch to")
    told = [
        f"{found.verdict.value}: {found.words}"
        for found in try_fund(client, replace(fund, settler_address=address), holders)
        if found.verdict is not Verdict.RIGHT
    ]
    if fund.settler_address not in named:
        told.append(
            f"note: settler {address} does not name {fund.settler_address} as its predecessor; keep"
            " the file that `fund export` writes, or a lost book cannot find what that one paid"
        )
    with store.transaction(actor=actor()) as tx:
        row = switch_settler(tx, fund_id, address, reason=reason)
    for line in told:
        notes().print(escape(line))
    emit(
        {
            "fund_id": fund_id,
            "settler_address": row.settler_address,
            "former_settler_address": fund.settler_address,
            "notes": told,
        },
        json_output=json_output,
        human=lambda console: console.print(
            f"fund {escape(fund_id)} settles with {row.settler_address} from now on; its file is"
            f" written anew by: settlement-node fund export {escape(fund_id)}"
        ),
    )


@app.command("list")
@reports_errors
def show(fund_id: FundId, config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """List the settlers a fund had and has, and how far each was read."""
    from settlement_node.store.book.funds import get_fund
    from settlement_node.store.book.settlers import settlers_of

    with open_store(load(config)).read() as tx:
        fund = get_fund(tx, fund_id)
        rows = settlers_of(tx, fund_id)
    settlers: list[dict[str, Any]] = [
        {
            "settler_address": row["settler_address"],
            "is_present": row["settler_address"] == fund.settler_address,
            "from_block": row["from_block"],
            "scanned_to_block": row["scanned_to_block"],
        }
        for row in rows
    ]

    def human(console: Console) -> None:
        shown = table(f"fund {escape(fund_id)}", "settler", "", "from block>", "read to block>")
        for one in settlers:
            shown.add_row(
                one["settler_address"],
                "settles" if one["is_present"] else "",
                str(one["from_block"]),
                str(one["scanned_to_block"]) if one["scanned_to_block"] >= 0 else "",
            )
        console.print(shown)

    emit({"fund_id": fund_id, "settlers": settlers}, json_output=json_output, human=human)


@fund_app.command("export")
@reports_errors
def export(fund_id: FundId, config: ConfigOption = None, json_output: JsonOption = False) -> None:
    """Print the fund's file as the book has it, former settlers included, for `fund add`."""
    from settlement_node.cli.fund_file import fund_file_of, write_fund_file
    from settlement_node.store.book.funds import get_fund
    from settlement_node.store.book.settlers import settlers_of

    with open_store(load(config)).read() as tx:
        file = fund_file_of(get_fund(tx, fund_id), settlers_of(tx, fund_id))
    emit(
        file.model_dump(mode="json", exclude_none=True),
        json_output=json_output,
        human=lambda console: console.out(write_fund_file(file), end="", highlight=False),
    )
