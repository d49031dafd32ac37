"""Contracts put on a chain one at a time, as tests want them."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.methods.deploy import (
    Deployer,
    SettlerSettings,
    granting_role,
    settler_creation,
    trial_tokens,
)
from settlement_node.units import Address


@dataclass(frozen=True, slots=True)
class Tokens:
    """A fund token and a stablecoin whose administrator is the deployer."""

    share_token_address: Address
    payout_token_address: Address


def deploy_settler(deployer: Deployer, settings: SettlerSettings, **roles: Address) -> Address:
    """Owner, operator and guardian by their names in `settler_creation`."""
    return deployer.deploy(*settler_creation(settings, **roles))


def deploy_test_tokens(deployer: Deployer) -> Tokens:
    """The reference fund token and the test stablecoin."""
    return Tokens(*deployer.deploy_all(trial_tokens(deployer.address)))


def grant_fund_role(deployer: Deployer, share_token: Address, role: str, account: Address) -> None:
    """Give an account a role of the fund token."""
    deployer.send_all([granting_role(share_token, role, account)])
