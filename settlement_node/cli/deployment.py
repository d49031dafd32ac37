"""What `deploy` does on the chain, once all it was asked for is checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from settlement_node.chain.client import ChainClient
from settlement_node.chain.signers.base import Signer
from settlement_node.cli.deploy_request import TEST_SHARE_DECIMALS, Checked, Plan
from settlement_node.cli.fund_file import FundFile, write_fund_file
from settlement_node.cli.output import LeftUndone, notes
from settlement_node.errors import SettlementError
from settlement_node.methods.deploy import (
    Creation,
    Deployer,
    Wanted,
    calling,
    giving_shares,
    granting_role,
    permitting_payee,
    settler_creation,
    trial_tokens,
)
from settlement_node.units import Payout, Wei

TEST_TREASURY_WHOLE = 10_000_000
TEST_SHARES_WHOLE = 1_000
LANE_COINS_WEI = Wei(10 * 10**18)
POLL_SECONDS = 0.5
APPROVING = "approving the settler from the treasury"

Step = tuple[str, Sequence[Wanted]]
"""What it is for people, and what is to be sent for it."""


def carry_out(client: ChainClient, plan: Plan, checked: Checked, fund_file: Path) -> FundFile:
    """Send everything and write the fund's file; returns what is in it.

    Once the settler is on the chain every failure is LeftUndone, with its address and what is left
    to do: the command cannot simply be given again.
    """
    deployer, treasury = _deployer(client, plan.deployer), checked.tokens.treasury_signer
    lacks_coins = client.native_balance(plan.lane_address) < LANE_COINS_WEI // 2
    settler_wanted = settler_creation(
        checked.settings,
        owner_address=checked.owner_address,
        operator_address=plan.lane_address,
        guardian_address=checked.guardian_address,
    )
    tokens: list[Creation] = []
    if treasury is not None:
        _progress("deploying a test share token, a test stablecoin and the settler")
        tokens = trial_tokens(deployer.address, share_decimals=TEST_SHARE_DECIMALS)
    else:
        _progress("deploying the settler")
    # A settler for tokens that came to be elsewhere reverts: there is no contract at theirs.
    *_, settler = deployer.deploy_all([*tokens, settler_wanted])
    fund = checked.fund.model_copy(update={"settler_address": settler})
    notes().print(f"the settler is at {settler}")
    steps = _making_ready(checked, fund, lacks_coins=lacks_coins) if treasury else []
    done: set[Wanted] = set()
    is_written = False
    try:
        _progress(f"writing {fund_file}")
        _write(fund_file, fund)
        is_written = True
        for what, _ in steps:
            _progress(what)
        if treasury is not None:
            deployer.send_all([one for _, wanted in steps for one in wanted], mined=done.add)
            _progress(APPROVING)
            allowed = [settler, _treasury_money(checked)]
            approval = calling(fund.payout_token_address, "TestStablecoin", "approve", allowed)
            _deployer(client, treasury).send_all([approval])
    except (SettlementError, OSError) as error:
        left = [] if is_written else [f"writing {fund_file}"]
        left += [what for what, wanted in steps if not done.issuperset(wanted)]
        raise _left_off(fund, error, [*left, APPROVING] if treasury else left) from error
    return fund


def _left_off(fund: FundFile, error: Exception, left: list[str]) -> LeftUndone:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    lines = "".join(f"\n- {what}" for what in left)
    return LeftUndone(
        f"the settler is on the chain at {fund.settler_address}, and the rest is not done:"
        f" {reason}. Do not deploy again; left to do:{lines}\n"
        f"The fund's file is:\n{write_fund_file(fund)}",
        settler_address=fund.settler_address,
        left_to_do=left,
        fund=fund.model_dump(mode="json", exclude_none=True),
    )


def _treasury_money(checked: Checked) -> Payout:
    return Payout(TEST_TREASURY_WHOLE * 10**checked.tokens.payout_decimals)


def _making_ready(checked: Checked, fund: FundFile, *, lacks_coins: bool) -> list[Step]:
    """Burn right, money for the treasury, coins for the lane, shares for investors, permission for
    their payees: what the deployer sends."""
    share, payout = fund.share_token_address, fund.payout_token_address
    minted = [fund.treasury_address, _treasury_money(checked)]
    coins = Wanted(
        f"the coins for {fund.lane_address}", fund.lane_address, b"", value_wei=LANE_COINS_WEI
    )
    steps: list[Step] = [
        (
            "giving the settler the right to burn",
            [granting_role(share, "BURNER_ROLE", fund.settler_address)],
        ),
        ("funding the treasury", [calling(payout, "TestStablecoin", "mint", minted)]),
        (f"giving {fund.lane_address} coins for gas", [coins] if lacks_coins else []),
    ]
    if checked.orders:
        # Somebody who redeems nothing: a fund is more than its open orders.
        staying = {checked.deployer_address: TEST_SHARES_WHOLE * 10**TEST_SHARE_DECIMALS}
        holders = [*checked.shares_of_investors().items(), *staying.items()]
        steps.append(
            (
                "giving the investors their shares",
                [one for holder, shares in holders for one in giving_shares(share, holder, shares)],
            )
        )
        steps.append(("permitting payees that are not their investor", _permitting(checked, fund)))
    return steps


def _permitting(checked: Checked, fund: FundFile) -> list[Wanted]:
    """Permit every payee that is not its investor, where the settler asks for it."""
    pairs = {
        (order.investor_address, order.payee_address): None
        for order in checked.orders
        if order.payee_address != order.investor_address
    }
    if not pairs or not checked.settings.restrict_payees:
        return []
    if checked.owner_address != checked.deployer_address:
        notes().print(
            f"note: {len(pairs)} payees are not their investor; the owner"
            f" {checked.owner_address} or the investors must permit them"
        )
        return []
    return [permitting_payee(fund.settler_address, *pair) for pair in pairs]


def _write(path: Path, fund: FundFile) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(write_fund_file(fund))


def _deployer(client: ChainClient, signer: Signer) -> Deployer:
    return Deployer(client, signer, advance=lambda: time.sleep(POLL_SECONDS))


def _progress(what: str) -> None:
    notes().print(f"{escape(what)} …")
