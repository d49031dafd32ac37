"""`deploy`: a settler, and on a development chain everything it needs to be tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, load
from settlement_node.cli.output import JsonOption, emit, notes, reports_errors
from settlement_node.errors import InvalidInput

if TYPE_CHECKING:
    from settlement_node.cli.fund_file import FundFile

app = typer.Typer()

DEPLOYER_VARIABLE = "SETTLEMENT_DEPLOYER_KEY"
HELP_AMOUNT = "in whole payout tokens, for example 250000"


@app.command("deploy")
@reports_errors
def deploy(
    fund_file: Annotated[
        Path, typer.Option("--out", help="Where to write the fund file; never overwritten.")
    ] = Path("fund.toml"),
    chain_id: Annotated[
        int | None, typer.Option(help="The chain; not needed while one is configured.")
    ] = None,
    fund_id: Annotated[str, typer.Option(help="The fund's id in the file.")] = "example-fund",
    name: Annotated[str, typer.Option(help="The fund's name in the file.")] = "Example Fund",
    lane: Annotated[
        str | None,
        typer.Option(help="The operator's address; by default the chain's configured signer."),
    ] = None,
    share_token: Annotated[str | None, typer.Option(help="The fund token's address.")] = None,
    payout_token: Annotated[str | None, typer.Option(help="The stablecoin's address.")] = None,
    treasury: Annotated[str | None, typer.Option(help="Who pays; approves the settler.")] = None,
    owner: Annotated[
        str | None, typer.Option(help="The settler's owner; by default the deployer.")
    ] = None,
    guardian: Annotated[
        str | None, typer.Option(help="Who may pause the settler; by default the owner.")
    ] = None,
    burn_style: Annotated[str, typer.Option(help="How the fund token burns.")] = "burn",
    daily_limit: Annotated[
        str, typer.Option(help=f"Most that is paid in 24 hours, {HELP_AMOUNT}.")
    ] = "1000000",
    ceiling_price: Annotated[
        str, typer.Option(help=f"Most that is paid for one whole share, {HELP_AMOUNT}.")
    ] = "200",
    floor_price: Annotated[
        str,
        typer.Option(
            help=f"Least that is paid for one whole share after the fee, {HELP_AMOUNT}; 0 for none."
        ),
    ] = "0",
    predecessor: Annotated[
        str | None,
        typer.Option(
            help="The settler this one takes over from, for the same two tokens; what it paid is"
            " read before anything is planned."
        ),
    ] = None,
    any_payee: Annotated[
        bool,
        typer.Option(
            "--any-payee",
            help="Let the operator name any payee. By default the settler pays the investor, or an"
            " account that the investor or the owner has permitted for it.",
        ),
    ] = False,
    nav: Annotated[str, typer.Option(help="Price of one whole share in the file.")] = "104.25",
    fee_bps: Annotated[int, typer.Option(help="Fee in the file, in 1/100 %.")] = 25,
    deployer_key_env: Annotated[
        str,
        typer.Option(
            help="Environment variable that holds the deployer's key; a development chain's first"
            " account when it is not set there."
        ),
    ] = DEPLOYER_VARIABLE,
    test_tokens: Annotated[
        bool,
        typer.Option(
            "--test-tokens",
            help="Deploy a test share token and stablecoin, fund the treasury and approve the"
            " settler. The default on development chains when no token is given.",
        ),
    ] = False,
    shares_for: Annotated[
        Path | None,
        typer.Option(
            help="With test tokens: a redemptions CSV whose investors get their shares and whose"
            " payees are permitted."
        ),
    ] = None,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Deploy a settler and write the fund's file for `fund add`.

    On a development chain (31337, 1337) without tokens of your own, test tokens, a funded
    treasury, its approval and the burn right are made as well. Elsewhere the fund token's and the
    treasury's owners must give those; the command says how.
    """
    from settlement_node.assembly import build_client
    from settlement_node.cli.deploy_request import (
        Request,
        before_deploying,
        check,
        expected_test_tokens,
        given_tokens,
        make_plan,
    )
    from settlement_node.cli.deployment import carry_out

    settings = load(config)
    plan = make_plan(settings, chain_id, lane, deployer_key_env, fund_file)
    with_tokens = test_tokens or (
        plan.is_test_chain and share_token is None and payout_token is None
    )
    if with_tokens and any((share_token, payout_token, treasury)):
        raise InvalidInput(
            "--test-tokens makes its own tokens and treasury; leave the others out",
            field="test_tokens",
        )
    if not with_tokens and not (share_token and payout_token and treasury):
        raise InvalidInput(
            "give --share-token, --payout-token and --treasury, or --test-tokens",
            field="share_token",
        )
    if shares_for is not None and not with_tokens:
        raise InvalidInput("--shares-for needs test tokens", field="shares_for")
    request = Request(
        fund_id=fund_id,
        name=name,
        burn_style=burn_style,
        daily_limit=daily_limit,
        floor_price=floor_price,
        ceiling_price=ceiling_price,
        nav=nav,
        fee_bps=fee_bps,
        owner=owner,
        guardian=guardian,
        restrict_payees=not any_payee,
        predecessor=predecessor,
    )
    client = build_client(settings.chain(plan.chain_id), settings)
    client.check_chain_id()
    tokens = (
        given_tokens(client, share_token, payout_token, treasury)
        if share_token and payout_token and treasury
        else expected_test_tokens(client, plan)
    )
    checked = check(client, plan, tokens, request, shares_for)
    findings = [] if with_tokens else before_deploying(client, checked)
    for found in findings:
        notes().print(f"{found.verdict.value}: {escape(found.words)}")
    fund = carry_out(client, plan, checked, fund_file)
    data = {
        "file": str(fund_file),
        "findings": [found.data() for found in findings],
        **fund.model_dump(mode="json", exclude_none=True),
    }
    emit(
        data,
        json_output=json_output,
        human=lambda console: _show(console, fund, fund_file, with_tokens, any_payee),
    )


def _show(console: Console, fund: FundFile, path: Path, with_tokens: bool, any_payee: bool) -> None:
    console.print(f"settler       {fund.settler_address}")
    console.print(f"share token   {fund.share_token_address}")
    console.print(f"payout token  {fund.payout_token_address}")
    console.print(f"treasury      {fund.treasury_address}")
    console.print(f"lane          {fund.lane_address}")
    console.print(f"wrote {escape(str(path))}; next: settlement-node fund add {escape(str(path))}")
    if not with_tokens:
        console.print("Still to be done by others:")
        console.print(f"- the fund token's owner lets {fund.settler_address} burn")
        console.print(
            f"- the treasury approves {fund.settler_address} for the payout token, up to what"
            " may be paid"
        )
        console.print(f"- {fund.lane_address} needs coins for gas")
        if not any_payee:
            console.print(
                "- payees that are not their investor need permission: permitPayee by the"
                " investor, or setPayeePermitted by the settler's owner"
            )
