"""What `deploy` does on the chain, step by step, once all it was asked for is checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.tokens import encode_approve
from settlement_node.chain.deploy import (
    Deployer,
    deploy_settler,
    deploy_test_tokens,
    grant_fund_role,
    permit_payee,
)
from settlement_node.chain.signers import Signer
from settlement_node.cli.deploy_request import TEST_SHARE_DECIMALS, Checked, Plan
from settlement_node.cli.fund_file import FundFile, write_fund_file
from settlement_node.cli.output import LeftUndone, notes
from settlement_node.errors import SettlementError
from settlement_node.units import Payout, Shares, Wei

TEST_TREASURY_WHOLE = 10_000_000
TEST_SHARES_WHOLE = 1_000
LANE_COINS_WEI = 10 * 10**18
POLL_SECONDS = 0.5

Step = tuple[str, Callable[[], None]]


def carry_out(client: ChainClient, plan: Plan, checked: Checked, fund_file: Path) -> FundFile:
    """Send everything and write the fund's file; returns what is in it.

    Once the settler is on the chain every failure is LeftUndone, with its address and what is left
    to do: the command cannot simply be given again.
    """
    deployer = _deployer(client, plan.deployer)
    if checked.tokens.treasury_signer is not None:
        checked = _with_test_tokens(deployer, checked)
    _progress("deploying the settler")
    settler = deploy_settler(
        deployer,
        checked.settings,
        owner_address=checked.owner_address,
        operator_address=plan.lane_address,
        guardian_address=checked.guardian_address,
    )
    fund = checked.fund.model_copy(update={"settler_address": settler})
    notes().print(f"the settler is at {settler}")
    steps: list[Step] = [(f"writing {fund_file}", lambda: _write(fund_file, fund))]
    if checked.tokens.treasury_signer is not None:
        steps += _making_ready(client, deployer, plan, checked, fund)
    for place, (what, act) in enumerate(steps):
        _progress(what)
        try:
            act()
        except (SettlementError, OSError) as error:
            raise _left_off(fund, error, [what for what, _ in steps[place:]]) from error
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


def _with_test_tokens(deployer: Deployer, checked: Checked) -> Checked:
    """A test share token and a test stablecoin, administered by the deployer."""
    _progress("deploying a test share token and a test stablecoin")
    made = deploy_test_tokens(deployer, share_decimals=TEST_SHARE_DECIMALS)
    return replace(
        checked,
        settings=replace(
            checked.settings,
            share_token_address=made.share_token_address,
            payout_token_address=made.payout_token_address,
        ),
        fund=checked.fund.model_copy(
            update={
                "share_token_address": made.share_token_address,
                "payout_token_address": made.payout_token_address,
            }
        ),
    )


def _making_ready(
    client: ChainClient, deployer: Deployer, plan: Plan, checked: Checked, fund: FundFile
) -> list[Step]:
    """Burn right, treasury with money and approval, coins for the lane, shares for investors,
    permission for their payees."""
    treasury = checked.tokens.treasury_signer
    assert treasury is not None
    share, payout = fund.share_token_address, fund.payout_token_address
    money = Payout(TEST_TREASURY_WHOLE * 10**checked.tokens.payout_decimals)

    def fund_treasury() -> None:
        deployer.transact(payout, "TestStablecoin", "mint", [fund.treasury_address, money])
        approval = encode_approve(fund.settler_address, money)
        _deployer(client, treasury).send(payout, approval)

    def fund_lane() -> None:
        if client.native_balance(plan.lane_address) < LANE_COINS_WEI // 2:
            deployer.send(plan.lane_address, b"", value_wei=Wei(LANE_COINS_WEI))

    def give_shares() -> None:
        for investor, shares in checked.shares_of_investors().items():
            _progress(f"giving {investor} its shares")
            deployer.transact(share, "FundToken", "setPermitted", [investor, True])
            deployer.transact(share, "FundToken", "mint", [investor, shares])
        # Somebody who redeems nothing: a fund is more than its open orders.
        staying = Shares(TEST_SHARES_WHOLE * 10**TEST_SHARE_DECIMALS)
        deployer.transact(share, "FundToken", "setPermitted", [deployer.address, True])
        deployer.transact(share, "FundToken", "mint", [deployer.address, staying])

    return [
        (
            "giving the settler the right to burn",
            lambda: grant_fund_role(deployer, share, "BURNER_ROLE", fund.settler_address),
        ),
        ("funding the treasury and approving the settler", fund_treasury),
        (f"giving {plan.lane_address} coins for gas", fund_lane),
        *(
            [
                ("giving the investors their shares", give_shares),
                (
                    "permitting payees that are not their investor",
                    lambda: _permit_payees(deployer, checked, fund),
                ),
            ]
            if checked.orders
            else []
        ),
    ]


def _permit_payees(deployer: Deployer, checked: Checked, fund: FundFile) -> None:
    """Permit every payee that is not its investor, where the settler asks for it."""
    pairs = {
        (order.investor_address, order.payee_address): None
        for order in checked.orders
        if order.payee_address != order.investor_address
    }
    if not pairs or not checked.settings.restrict_payees:
        return
    if checked.owner_address != deployer.address:
        notes().print(
            f"note: {len(pairs)} payees are not their investor; the owner"
            f" {checked.owner_address} or the investors must permit them"
        )
        return
    for investor, payee in pairs:
        _progress(f"permitting {payee} as payee of {investor}")
        permit_payee(deployer, fund.settler_address, investor, payee)


def _write(path: Path, fund: FundFile) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(write_fund_file(fund))


def _deployer(client: ChainClient, signer: Signer) -> Deployer:
    return Deployer(client, signer, advance=lambda: time.sleep(POLL_SECONDS))


def _progress(what: str) -> None:
    notes().print(f"{escape(what)} …")
