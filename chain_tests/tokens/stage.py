"""A stage with tokens of the test's choice: every burn style, and odd payout tokens."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain_tests.world import Chain
from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.artifacts import Artifact
from settlement_node.chain.signers.local import KeySigner
from settlement_node.demo.stage import Stage
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.token_checks import NO_CHECKS, FundChecks
from settlement_node.methods.deploy import Deployer, SettlerSettings
from settlement_node.store.book.funds import NewFund
from settlement_node.units import Address, Payout, Shares
from tests_support.deploying import deploy_settler, grant_fund_role

TREASURY = Payout(10**30)


@dataclass(frozen=True, slots=True)
class OddStage(Stage):
    """A stage whose tokens anybody mints; holders who must approve the settler have keys."""

    share_artifact: Artifact | str
    payout_artifact: Artifact | str

    def give_shares(self, shares_of_holders: Mapping[Address, Shares]) -> None:
        if self.share_artifact == "FundToken":
            Stage.give_shares(self, shares_of_holders)
            return
        for holder, shares_base_units in shares_of_holders.items():
            self.shares("mint", holder, shares_base_units)

    def give_money(self, holders: Sequence[Address], payout_base_units: Payout) -> None:
        for holder in holders:
            self.money("mint", holder, payout_base_units)

    def shares(self, function: str, *arguments: object) -> None:
        """Call the share token as its people."""
        token = self.fund.share_token_address
        self.deployer.transact(token, self.share_artifact, function, arguments)

    def money(self, function: str, *arguments: object) -> None:
        """Call the payout token as its people."""
        token = self.fund.payout_token_address
        self.deployer.transact(token, self.payout_artifact, function, arguments)

    def allow_shares(self, key: bytes, shares_base_units: Shares) -> Address:
        """Have a holder with a key allow the settler to take this many shares."""
        holder = Deployer(self.client, KeySigner(key), advance=self.chain.mine)
        holder.transact(
            self.fund.share_token_address,
            self.share_artifact,
            "approve",
            [self.fund.settler_address, shares_base_units],
        )
        return holder.address


_CONSTRUCTORS: dict[str, Sequence[Any]] = {
    "TestStablecoin": ("Test Dollar", "TUSD"),
    "FundToken": ("Example Fund", "EXF", 18),
}


@dataclass(frozen=True, slots=True)
class Hands:
    """Who acts on a stage: everybody's keys, before there is a settler."""

    chain: Chain
    client: ChainClient
    deployer: Deployer
    operator: KeySigner
    treasury: Deployer


def hands(chain: Chain) -> Hands:
    """The chain's first three funded keys in their parts."""
    client = ChainClient(chain.chain_id, [chain.transport("setup")], now=time.monotonic)
    keys = [KeySigner(key) for key in chain.funded_keys]
    client.refresh()
    return Hands(
        chain,
        client,
        Deployer(client, keys[0], advance=chain.mine),
        keys[1],
        Deployer(client, keys[2], advance=chain.mine),
    )


def fund_of(
    on: Hands,
    *,
    share_address: Address,
    payout_address: Address,
    burn_style: BurnStyle = BurnStyle.BURN,
    fee_bps: int = 25,
    nav_per_share: int = 104_250_000,
    checks: FundChecks = NO_CHECKS,
) -> NewFund:
    """Deploy a settler for two tokens; the fund that it settles."""
    from_block = on.client.refresh().head.number
    settler = deploy_settler(
        on.deployer,
        SettlerSettings(
            share_token_address=share_address,
            payout_token_address=payout_address,
            treasury_address=on.treasury.address,
            burn_style=burn_style,
            daily_payout_limit_base_units=TREASURY,
            ceiling_price=10**24,
        ),
        owner_address=on.deployer.address,
        operator_address=on.operator.address,
        guardian_address=on.deployer.address,
    )
    return NewFund(
        fund_id="odd-fund",
        name="Odd Fund",
        chain_id=on.chain.chain_id,
        share_token_address=share_address,
        share_decimals=18,
        payout_token_address=payout_address,
        payout_decimals=on.client.token_decimals(payout_address),
        settler_address=settler,
        settler_from_block=from_block,
        treasury_address=on.treasury.address,
        lane_address=on.operator.address,
        burn_style=burn_style,
        fee_bps=fee_bps,
        nav_per_share=nav_per_share,
        nav_decimals=6,
        checks=checks,
    )


def set_odd_stage(
    chain: Chain,
    *,
    share: str = "FundToken",
    payout: str = "TestStablecoin",
    burn_style: BurnStyle = BurnStyle.BURN,
    fee_bps: int = 25,
    nav_per_share: int = 104_250_000,
    checks: FundChecks = NO_CHECKS,
) -> OddStage:
    """Deploy tokens of these artifacts, a settler of this style, and fund the treasury."""
    on = hands(chain)

    def deploy(artifact: str) -> Address:
        arguments = _CONSTRUCTORS.get(artifact)
        return on.deployer.deploy(
            artifact, [] if arguments is None else [*arguments, on.deployer.address]
        )

    share_address, payout_address = deploy(share), deploy(payout)
    fund = fund_of(
        on,
        share_address=share_address,
        payout_address=payout_address,
        burn_style=burn_style,
        fee_bps=fee_bps,
        nav_per_share=nav_per_share,
        checks=checks,
    )
    if share == "FundToken":
        grant_fund_role(on.deployer, share_address, "BURNER_ROLE", fund.settler_address)
    stage = OddStage(chain, on.client, on.deployer, on.operator, on.treasury, fund, share, payout)
    stage.give_money([on.treasury.address], TREASURY)
    stage.approve(TREASURY)
    return stage
