"""What `deploy` does on the chain, step by step."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from settlement_node.chain.deploy import (
    Deployer,
    SettlerSettings,
    deploy_settler,
    deploy_test_tokens,
    grant_fund_role,
    permit_payee,
)
from settlement_node.chain.development_keys import development_keys
from settlement_node.chain.pool import ChainClient
from settlement_node.chain.signers import KeySigner, Signer
from settlement_node.chain.tokens import encode_approve
from settlement_node.cli.fund_file import FundFile
from settlement_node.cli.orders_csv import BadLine, read_orders
from settlement_node.cli.output import notes
from settlement_node.config import Settings
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import InvalidInput
from settlement_node.node.assembly import build_signers
from settlement_node.store.rows import FundRow
from settlement_node.units import (
    Address,
    Payout,
    Wei,
    parse_address,
    parse_decimal_units,
)

TEST_CHAIN_IDS = (31_337, 1_337)
TREASURY_KEY_NUMBER = 2
TEST_SHARE_DECIMALS = 18
TEST_TREASURY_WHOLE = 10_000_000
LANE_COINS_WEI = 10 * 10**18
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Who deploys, where, and for which lane."""

    chain_id: int
    lane_address: Address
    deployer: Signer

    @property
    def is_test_chain(self) -> bool:
        """Whether this is a development chain with public keys."""
        return self.chain_id in TEST_CHAIN_IDS


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is settled: shares, payouts, and who pays. The signer is there for test tokens."""

    share_address: Address
    payout_address: Address
    payout_decimals: int
    treasury_address: Address
    treasury_signer: Signer | None


@dataclass(frozen=True, slots=True)
class Request:
    """The wishes of the command line, in its words."""

    fund_id: str
    name: str
    burn_style: str
    daily_limit: str
    ceiling_price: str
    nav: str
    fee_bps: int
    owner: str | None
    guardian: str | None
    restrict_payees: bool


def make_plan(
    settings: Settings,
    chain_id: int | None,
    lane: str | None,
    deployer_key_env: str,
    fund_file: Path,
) -> Plan:
    """Which chain, lane and deployer; raises InvalidInput naming the option that is missing."""
    if fund_file.exists():
        raise InvalidInput(f"{fund_file} is there already; name another with --out", field="out")
    if chain_id is None:
        if len(settings.chains) != 1:
            raise InvalidInput("name the chain with --chain-id", field="chain_id")
        chain_id = settings.chains[0].chain_id
    settings.chain(chain_id)
    if lane is not None:
        lane_address = parse_address(lane, field="lane")
    else:
        lanes = [address for chain, address in build_signers(settings) if chain == chain_id]
        if len(lanes) != 1:
            raise InvalidInput(
                f"chain {chain_id} has {len(lanes)} configured signers; name the operator's"
                " address with --lane",
                field="lane",
            )
        lane_address = lanes[0]
    if os.environ.get(deployer_key_env):
        deployer = KeySigner.from_environment(deployer_key_env)
    elif chain_id in TEST_CHAIN_IDS:
        deployer = KeySigner(development_keys()[0])
    else:
        raise InvalidInput(
            f"put the deployer's key into the environment variable {deployer_key_env}",
            field="deployer_key_env",
        )
    return Plan(chain_id, lane_address, deployer)


def given_tokens(
    client: ChainClient, share_token: str | None, payout_token: str | None, treasury: str | None
) -> Tokens:
    """Tokens that are there already; Refused when one is not an ERC-20."""
    assert share_token is not None
    assert payout_token is not None
    assert treasury is not None
    share = parse_address(share_token, field="share_token")
    payout = parse_address(payout_token, field="payout_token")
    client.refresh()
    client.token_metadata(share)
    return Tokens(
        share_address=share,
        payout_address=payout,
        payout_decimals=client.token_metadata(payout).decimals,
        treasury_address=parse_address(treasury, field="treasury"),
        treasury_signer=None,
    )


def make_test_tokens(client: ChainClient, plan: Plan) -> Tokens:
    """A test share token and a test stablecoin, administered by the deployer."""
    _progress("deploying a test share token and a test stablecoin")
    deployer = Deployer(client, plan.deployer, advance=lambda: time.sleep(POLL_SECONDS))
    made = deploy_test_tokens(deployer, share_decimals=TEST_SHARE_DECIMALS)
    treasury: Signer = (
        KeySigner(development_keys()[TREASURY_KEY_NUMBER]) if plan.is_test_chain else plan.deployer
    )
    return Tokens(
        share_address=made.share_token_address,
        payout_address=made.payout_token_address,
        payout_decimals=client.token_metadata(made.payout_token_address).decimals,
        treasury_address=treasury.address,
        treasury_signer=treasury,
    )


def deploy_fund(
    client: ChainClient, deployer: Deployer, plan: Plan, tokens: Tokens, request: Request
) -> FundFile:
    """Deploy the settler and describe the fund; everything is checked before anything is sent."""

    def amount(text: str, field: str) -> int:
        return parse_decimal_units(text, tokens.payout_decimals, field=field)

    def role(text: str | None, default: Address, field: str) -> Address:
        return default if text is None else parse_address(text, field=field)

    try:
        style = BurnStyle(request.burn_style)
    except ValueError:
        known = ", ".join(style.value for style in BurnStyle)
        raise InvalidInput(f"burn_style must be one of {known}", field="burn_style") from None
    owner = role(request.owner, deployer.address, "owner")
    settings = SettlerSettings(
        share_token_address=tokens.share_address,
        payout_token_address=tokens.payout_address,
        treasury_address=tokens.treasury_address,
        burn_style=style,
        daily_payout_limit_base_units=Payout(amount(request.daily_limit, "daily_limit")),
        ceiling_price=amount(request.ceiling_price, "ceiling_price"),
        restrict_payees=request.restrict_payees,
    )
    # Before anything is sent: a fund file that could not be written is worth nothing.
    fund = FundFile(
        fund_id=request.fund_id,
        name=request.name,
        chain_id=plan.chain_id,
        share_token_address=tokens.share_address,
        payout_token_address=tokens.payout_address,
        settler_address=tokens.share_address,
        settler_from_block=client.refresh().head.number,
        treasury_address=tokens.treasury_address,
        lane_address=plan.lane_address,
        burn_style=style,
        fee_bps=request.fee_bps,
        nav=request.nav,
        nav_decimals=tokens.payout_decimals,
    )
    fund.nav_per_share()
    _progress("deploying the settler")
    settler = deploy_settler(
        deployer,
        settings,
        owner_address=owner,
        operator_address=plan.lane_address,
        guardian_address=role(request.guardian, owner, "guardian"),
    )
    return fund.model_copy(update={"settler_address": settler})


def make_ready(
    client: ChainClient,
    deployer: Deployer,
    plan: Plan,
    fund: FundFile,
    tokens: Tokens,
    shares_for: Path | None,
) -> None:
    """Burn right, treasury with money and approval, coins for the lane, shares for investors,
    permission for their payees."""
    share, payout = fund.share_token_address, fund.payout_token_address
    _progress("giving the settler the right to burn")
    grant_fund_role(deployer, share, "BURNER_ROLE", fund.settler_address)
    _progress("funding the treasury and approving the settler")
    money = Payout(TEST_TREASURY_WHOLE * 10**tokens.payout_decimals)
    deployer.transact(payout, "TestStablecoin", "mint", [fund.treasury_address, money])
    assert tokens.treasury_signer is not None
    Deployer(client, tokens.treasury_signer, advance=lambda: time.sleep(POLL_SECONDS)).send(
        payout, encode_approve(fund.settler_address, money)
    )
    if client.native_balance(plan.lane_address) < LANE_COINS_WEI // 2:
        deployer.send(plan.lane_address, b"", value_wei=Wei(LANE_COINS_WEI))
    orders = _orders(fund, shares_for)
    for investor, shares in _shares_of(orders).items():
        _progress(f"giving {investor} its shares")
        deployer.transact(share, "FundToken", "setPermitted", [investor, True])
        deployer.transact(share, "FundToken", "mint", [investor, shares])
    _permit_payees(client, deployer, fund, orders)


def _orders(fund: FundFile, file: Path | None) -> list[RedemptionOrder]:
    """The good lines of a redemptions file."""
    orders: list[RedemptionOrder] = []
    if file is not None:
        for entry in read_orders(file, _provisional_row(fund)):
            if isinstance(entry, BadLine):
                notes().print(f"note: line {entry.line} of {file} is bad: {entry.reason}")
                continue
            orders.append(entry.order)
    return orders


def _shares_of(orders: Sequence[RedemptionOrder]) -> dict[Address, int]:
    """Σ shares of each investor."""
    totals: dict[Address, int] = defaultdict(int)
    for order in orders:
        totals[order.investor_address] += order.shares_base_units
    return totals


def _permit_payees(
    client: ChainClient, deployer: Deployer, fund: FundFile, orders: Sequence[RedemptionOrder]
) -> None:
    """Permit every payee that is not its investor, where the settler asks for it."""
    pairs = {
        (order.investor_address, order.payee_address): None
        for order in orders
        if order.payee_address != order.investor_address
    }
    client.refresh()
    settler = client.settler_view(fund.settler_address)
    if not pairs or not settler.restrict_payees:
        return
    if settler.owner_address != deployer.address:
        notes().print(
            f"note: {len(pairs)} payees are not their investor; the owner"
            f" {settler.owner_address} or the investors must permit them"
        )
        return
    for investor, payee in pairs:
        _progress(f"permitting {payee} as payee of {investor}")
        permit_payee(deployer, fund.settler_address, investor, payee)


def _provisional_row(fund: FundFile) -> FundRow:
    """The fund as far as reading a file of its redemptions needs it."""
    return FundRow(
        fund_id=fund.fund_id,
        name=fund.name,
        chain_id=fund.chain_id,
        share_token_address=fund.share_token_address,
        share_decimals=TEST_SHARE_DECIMALS,
        payout_token_address=fund.payout_token_address,
        payout_decimals=fund.nav_decimals,
        settler_address=fund.settler_address,
        treasury_address=fund.treasury_address,
        lane_address=fund.lane_address,
        burn_style=fund.burn_style,
        fee_bps=fund.fee_bps,
        nav_per_share=None,
        nav_decimals=fund.nav_decimals,
        nav_at_utc=None,
        next_redemption_index=0,
        paused=False,
        pause_reason=None,
        created_at_utc=datetime.now(UTC),
    )


def _progress(what: str) -> None:
    notes().print(f"{what} …")
