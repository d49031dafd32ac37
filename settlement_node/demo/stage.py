"""Setting a stage: tokens, settler, treasury and holders on a development chain.

Used by the demonstration and by the chain tests; both then run the real node against it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from settlement_node.chain.client import ChainClient
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.transport import Transport
from settlement_node.domain.observations import BurnStyle
from settlement_node.methods.deploy import (
    Deployer,
    SettlerSettings,
    calling,
    giving_shares,
    granting_role,
    settler_creation,
    trial_tokens,
)
from settlement_node.store.book.funds import NewFund
from settlement_node.units import Address, Payout, Shares

SHARE_DECIMALS = 18
PAYOUT_DECIMALS = 6
NAV_DECIMALS = 6
NAV_PER_SHARE = 104_250_000
"""104.25 of the stablecoin per whole share."""
FEE_BPS = 25
DAILY_LIMIT_BASE_UNITS = Payout(10**15)


class DevelopmentChain(Protocol):
    """What the embedded chain and anvil have in common."""

    chain_id: int
    funded_keys: tuple[bytes, ...]

    def transport(self, name: str = ...) -> Transport:
        """A connection."""

    def mine(self, blocks: int = 1) -> None:
        """Mine at once."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a fund needs on a chain. The deployer administers tokens and settler, the
    treasury has approved the settler, the operator is the lane."""

    chain: DevelopmentChain
    client: ChainClient
    deployer: Deployer
    operator: KeySigner
    treasury: Deployer
    fund: NewFund

    def give_shares(self, shares_of_holders: Mapping[Address, Shares]) -> None:
        """Permit holders and give them shares, all at once."""
        self.deployer.send_all(
            [
                one
                for holder, shares in shares_of_holders.items()
                for one in giving_shares(self.fund.share_token_address, holder, shares)
            ]
        )

    def give_money(self, holders: Sequence[Address], payout_base_units: Payout) -> None:
        """Give each account that much stablecoin, all at once."""
        token = self.fund.payout_token_address
        self.deployer.send_all(
            [
                calling(token, "TestStablecoin", "mint", [holder, payout_base_units])
                for holder in holders
            ]
        )

    def set_blocked(self, account: Address, *, blocked: bool) -> None:
        """Put an account on the stablecoin's blocklist, or take it off."""
        self.deployer.transact(
            self.fund.payout_token_address, "TestStablecoin", "setBlocked", [account, blocked]
        )

    def approve(self, payout_base_units: Payout) -> None:
        """Set the treasury's allowance for the settler."""
        self.treasury.transact(
            self.fund.payout_token_address,
            "TestStablecoin",
            "approve",
            [self.fund.settler_address, payout_base_units],
        )


def set_stage(
    chain: DevelopmentChain,
    *,
    treasury_base_units: Payout,
    fund_id: str = "demo-fund",
    daily_payout_limit_base_units: Payout = DAILY_LIMIT_BASE_UNITS,
    ceiling_price: int = 200 * 10**PAYOUT_DECIMALS,
    restrict_payees: bool = False,
    confirmed: Callable[[str], None] = lambda what: None,
) -> Stage:
    """Deploy and fund; `confirmed` is told of each step for a progress display."""
    client = ChainClient(chain.chain_id, [chain.transport("setup")], now=time.monotonic)
    keys = [KeySigner(key) for key in chain.funded_keys]
    deployer = Deployer(client, keys[0], advance=chain.mine)
    operator, treasury = keys[1], Deployer(client, keys[2], advance=chain.mine)
    client.refresh()
    share, payout = deployer.deploy_all(
        trial_tokens(deployer.address, share_decimals=SHARE_DECIMALS)
    )
    confirmed("fund token and stablecoin deployed")
    from_block = client.refresh().head.number
    wanted = settler_creation(
        SettlerSettings(
            share_token_address=share,
            payout_token_address=payout,
            treasury_address=treasury.address,
            burn_style=BurnStyle.BURN,
            daily_payout_limit_base_units=daily_payout_limit_base_units,
            ceiling_price=ceiling_price,
            restrict_payees=restrict_payees,
        ),
        owner_address=deployer.address,
        operator_address=operator.address,
        guardian_address=deployer.address,
    )
    settler = deployer.deploy(*wanted)
    deployer.send_all([granting_role(share, "BURNER_ROLE", settler)])
    confirmed("settler deployed and allowed to burn")
    stage = Stage(
        chain=chain,
        client=client,
        deployer=deployer,
        operator=operator,
        treasury=treasury,
        fund=NewFund(
            fund_id=fund_id,
            name="Example Fund",
            chain_id=chain.chain_id,
            share_token_address=share,
            share_decimals=SHARE_DECIMALS,
            payout_token_address=payout,
            payout_decimals=PAYOUT_DECIMALS,
            settler_address=settler,
            settler_from_block=from_block,
            treasury_address=treasury.address,
            lane_address=operator.address,
            burn_style=BurnStyle.BURN,
            fee_bps=FEE_BPS,
            nav_per_share=NAV_PER_SHARE,
            nav_decimals=NAV_DECIMALS,
        ),
    )
    stage.give_money([treasury.address], treasury_base_units)
    stage.approve(treasury_base_units)
    confirmed("treasury funded, allowance given")
    return stage
