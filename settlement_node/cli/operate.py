"""The operators' hands: `redemption`, `lane`, `transaction`, `break`, and the changes of a fund.

Each command is one commit in the book, audited under the name of who ran it; the running node
carries it out at its next pass.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from settlement_node.cli.common import ConfigOption, actor, load, open_store
from settlement_node.cli.fund import app as fund_app
from settlement_node.cli.output import JsonOption, emit, reports_errors
from settlement_node.errors import InvalidInput, NotFound
from settlement_node.units import INT64_MAX, parse_address, parse_hex32

if TYPE_CHECKING:
    from settlement_node.store.database import Tx

redemption_app = typer.Typer(help="Hold, release or cancel a redemption.", no_args_is_help=True)
lane_app = typer.Typer(help="Pause or resume a lane.", no_args_is_help=True)
transaction_app = typer.Typer(
    help="Cancel or speed up an unmined transaction.", no_args_is_help=True
)
break_app = typer.Typer(help="Close a break of the reconciliation.", no_args_is_help=True)

CHAIN_ID_MAX = 2**53
"""As in the settings: what every reader of JSON holds exactly."""

RedemptionId = Annotated[str, typer.Argument(help="The redemption_id, 0x and 64 hex digits.")]
ChainId = Annotated[int, typer.Argument(min=1, max=CHAIN_ID_MAX, help="The chain's id.")]
SignerAddress = Annotated[str, typer.Argument(help="The lane's address.")]
FundId = Annotated[str, typer.Argument(help="The fund.")]
TransactionHash = Annotated[
    str, typer.Argument(help="The hash of any attempt, 0x and 64 hex digits.")
]
Reason = Annotated[
    str, typer.Option("--reason", help="Why, for the audit trail: 3 to 300 characters.")
]


def _operate(
    config: Path | None, *, json_output: bool, did: str, work: Callable[[Tx], dict[str, Any]]
) -> None:
    store = open_store(load(config))
    with store.transaction(actor=actor()) as tx:
        data = {"done": did, **work(tx)}
    told = ", ".join(f"{name} {value}" for name, value in data.items() if name != "done")
    emit(data, json_output=json_output, human=lambda console: console.print(f"{did}: {told}"))


@redemption_app.command("hold")
@reports_errors
def hold(
    redemption_id: RedemptionId,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Keep an approved redemption from being planned until it is released."""
    from settlement_node.desk import operators

    wanted = parse_hex32(redemption_id, field="redemption_id")

    def work(tx: Tx) -> dict[str, Any]:
        row = operators.hold_redemption(tx, wanted, reason=reason)
        return {"redemption_id": row.redemption_id, "status": row.status.value}

    _operate(config, json_output=json_output, did="held", work=work)


@redemption_app.command("release")
@reports_errors
def release(
    redemption_id: RedemptionId,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let a held redemption be planned again."""
    from settlement_node.desk import operators

    wanted = parse_hex32(redemption_id, field="redemption_id")

    def work(tx: Tx) -> dict[str, Any]:
        row = operators.release_redemption(tx, wanted, reason=reason)
        return {"redemption_id": row.redemption_id, "status": row.status.value}

    _operate(config, json_output=json_output, did="released", work=work)


@redemption_app.command("cancel")
@reports_errors
def cancel(
    redemption_id: RedemptionId,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """End a redemption nothing of which can be on the chain, and release its shares."""
    from settlement_node.desk import intake, operators

    wanted = parse_hex32(redemption_id, field="redemption_id")

    def work(tx: Tx) -> dict[str, Any]:
        row = intake.cancel(tx, wanted, reason=operators.check_reason(reason))
        return {"redemption_id": row.redemption_id, "status": row.status.value}

    _operate(config, json_output=json_output, did="cancelled", work=work)


@lane_app.command("pause")
@reports_errors
def pause(
    chain_id: ChainId,
    signer_address: SignerAddress,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Plan, sign and send nothing on a lane; what is in flight is tracked on."""
    from settlement_node.desk import operators

    signer = parse_address(signer_address, field="signer_address")

    def work(tx: Tx) -> dict[str, Any]:
        operators.pause_lane(tx, chain_id=chain_id, signer_address=signer, reason=reason)
        return {"chain_id": chain_id, "signer_address": signer}

    _operate(config, json_output=json_output, did="paused", work=work)


@lane_app.command("resume")
@reports_errors
def resume(
    chain_id: ChainId,
    signer_address: SignerAddress,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let a lane go on; the break that stopped it must be resolved first."""
    from settlement_node.desk import operators

    signer = parse_address(signer_address, field="signer_address")

    def work(tx: Tx) -> dict[str, Any]:
        operators.resume_lane(tx, chain_id=chain_id, signer_address=signer, reason=reason)
        return {"chain_id": chain_id, "signer_address": signer}

    _operate(config, json_output=json_output, did="resumed", work=work)


@transaction_app.command("cancel")
@reports_errors
def cancel_transaction(
    transaction_hash: TransactionHash,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Have a no-op replace an unmined transaction at its nonce."""
    from settlement_node.desk import operators

    def work(tx: Tx) -> dict[str, Any]:
        row = operators.cancel_transaction(tx, _row_of(tx, transaction_hash), reason=reason)
        return {"transaction_id": row.transaction_id, "nonce": row.nonce}

    _operate(config, json_output=json_output, did="cancel asked for", work=work)


@transaction_app.command("speed-up")
@reports_errors
def speed_up(
    transaction_hash: TransactionHash,
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Have an unmined transaction replaced with higher fees at its nonce."""
    from settlement_node.desk import operators

    def work(tx: Tx) -> dict[str, Any]:
        row = operators.speed_up_transaction(tx, _row_of(tx, transaction_hash), reason=reason)
        return {"transaction_id": row.transaction_id, "nonce": row.nonce}

    _operate(config, json_output=json_output, did="speed-up asked for", work=work)


@break_app.command("resolve")
@reports_errors
def resolve(
    reason: Reason,
    break_ids: Annotated[
        list[int] | None, typer.Argument(min=1, max=INT64_MAX, help="The breaks' numbers.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Instead of numbers: every open one of this kind.")
    ] = None,
    fund_id: Annotated[str | None, typer.Option("--fund", help="The fund of --kind.")] = None,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Close breaks, with the reason why book and chain are right as they are."""
    from settlement_node.desk import operators

    if bool(break_ids) == (kind is not None) or (kind is None) != (fund_id is None):
        raise InvalidInput(
            "give the breaks' numbers, or --kind and --fund together", field="break_ids"
        )

    def work(tx: Tx) -> dict[str, Any]:
        outcomes = (
            operators.resolve_breaks(tx, break_ids, reason=reason)
            if break_ids
            else operators.resolve_breaks_of_kind(
                tx, fund_id=fund_id or "", kind=kind or "", reason=reason
            )
        )
        return {"breaks": {str(number): outcome.value for number, outcome in outcomes.items()}}

    _operate(config, json_output=json_output, did="resolved", work=work)


@fund_app.command("rescan")
@reports_errors
def rescan(
    fund_id: FundId,
    from_block: Annotated[
        int,
        typer.Option("--from-block", min=0, max=INT64_MAX, help="The first block to read again."),
    ],
    reason: Reason,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Have a fund's settler events read again from a block on."""
    from settlement_node.desk import operators

    def work(tx: Tx) -> dict[str, Any]:
        operators.rescan(tx, fund_id, from_block=from_block, reason=reason)
        return {"fund_id": fund_id, "from_block": from_block}

    _operate(config, json_output=json_output, did="re-scan asked for", work=work)


@fund_app.command("nav")
@reports_errors
def nav(
    fund_id: FundId,
    price: Annotated[str, typer.Argument(help="Payout token for one whole share, such as 104.25.")],
    reason: Reason,
    nav_decimals: Annotated[int, typer.Option("--decimals", help="Decimals kept of it.")] = 6,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="A time in the past since which it held, such as 2026-01-31T12:00:00Z: for a"
            " restored book that has lost this price.",
        ),
    ] = None,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Set the price of one whole share for what is planned from now on."""
    from settlement_node.desk import operators

    def work(tx: Tx) -> dict[str, Any]:
        value = operators.set_nav(
            tx, fund_id, nav=price, nav_decimals=nav_decimals, reason=reason, since=since
        )
        return {"fund_id": fund_id, "nav_per_share": str(value), "nav_decimals": nav_decimals}

    _operate(config, json_output=json_output, did="NAV set", work=work)


@fund_app.command("pause")
@reports_errors
def pause_fund(
    fund_id: FundId, reason: Reason, config: ConfigOption = None, json_output: JsonOption = False
) -> None:
    """Plan nothing for a fund until it is resumed."""
    from settlement_node.desk import operators

    def work(tx: Tx) -> dict[str, Any]:
        operators.pause_fund(tx, fund_id, reason=reason)
        return {"fund_id": fund_id}

    _operate(config, json_output=json_output, did="paused", work=work)


@fund_app.command("resume")
@reports_errors
def resume_fund(
    fund_id: FundId, reason: Reason, config: ConfigOption = None, json_output: JsonOption = False
) -> None:
    """Let a fund be planned again."""
    from settlement_node.desk import operators

    def work(tx: Tx) -> dict[str, Any]:
        operators.resume_fund(tx, fund_id, reason=reason)
        return {"fund_id": fund_id}

    _operate(config, json_output=json_output, did="resumed", work=work)


def _row_of(tx: Tx, transaction_hash: str) -> int:
    from settlement_node.store.engine import transactions

    wanted = parse_hex32(transaction_hash, field="transaction_hash")
    row = transactions.by_attempt_hash(tx, wanted)
    if row is None:
        raise NotFound(
            f"no transaction of this book has an attempt {wanted}", field="transaction_hash"
        )
    return row.transaction_id
