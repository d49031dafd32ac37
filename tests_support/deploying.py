"""Contracts put on a chain one at a time, as tests want them."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.domain.observations import Receipt
from settlement_node.methods.deploy import (
    CALL_GAS_LIMIT,
    Deployer,
    SettlerSettings,
    Wanted,
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


def send(
    deployer: Deployer, to_address: Address, data: bytes, *, gas_limit: int = CALL_GAS_LIMIT
) -> Receipt:
    """Send one transaction of the deployer's and wait for its receipt."""
    what = Wanted(f"a transaction to {to_address}", to_address, data, gas_limit)
    (receipt,) = deployer.send_all([what])
    return receipt
