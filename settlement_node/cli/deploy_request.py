"""What `deploy` is asked for, checked whole before anything is sent."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from settlement_node.assembly import build_signers
from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.artifacts import contract_address
from settlement_node.chain.signers.base import Signer
from settlement_node.chain.signers.local import KeySigner
from settlement_node.cli.findings import Finding
from settlement_node.cli.fund_file import FundFile, decimals_of, new_fund
from settlement_node.cli.token_trials import advise_presets, other_burn_style, try_pauses
from settlement_node.config.faults import parse_tree
from settlement_node.config.sections import Settings
from settlement_node.devchain.development_keys import development_keys
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import InvalidInput, Refused
from settlement_node.methods.deploy import SettlerSettings
from settlement_node.sources.orders_csv import BadLine, read_orders
from settlement_node.store.book.funds import NewFund
from settlement_node.units import (
    UINT256_MAX,
    ZERO_ADDRESS,
    Address,
    Payout,
    format_units,
    parse_address,
    parse_decimal_units,
)

TEST_CHAIN_IDS = (31_337, 1_337)
TREASURY_KEY_NUMBER = 2
TEST_SHARE_DECIMALS = 18
TEST_PAYOUT_DECIMALS = 6
"""TestStablecoin.sol."""
BOUND_MAX = 2**128 - 1
"""SettlerControls.sol, AMOUNT_MAX."""
BAD_LINES_SHOWN = 5


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
    share_decimals: int
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
    floor_price: str
    ceiling_price: str
    nav: str
    fee_bps: int
    owner: str | None
    guardian: str | None
    restrict_payees: bool
    predecessor: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """All that is needed to send. Of test tokens the addresses are those they are going to have,
    and so is the settler's, unless somebody else sends with the deployer's key meanwhile: the
    settler is then not created."""

    tokens: Tokens
    settings: SettlerSettings
    deployer_address: Address
    owner_address: Address
    guardian_address: Address
    fund: FundFile
    new: NewFund
    """The same for the book."""
    orders: tuple[RedemptionOrder, ...]

    def shares_of_investors(self) -> dict[Address, int]:
        """Σ shares of each investor."""
        totals: dict[Address, int] = defaultdict(int)
        for order in self.orders:
            totals[order.investor_address] += order.shares_base_units
        return totals


def make_plan(
    settings: Settings,
    chain_id: int | None,
    lane: str | None,
    deployer_key_env: str,
    fund_file: Path,
) -> Plan:
    """Which chain, lane and deployer; raises InvalidInput naming the option that is missing."""
    _check_free(fund_file)
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


def given_tokens(client: ChainClient, share_token: str, payout_token: str, treasury: str) -> Tokens:
    """Tokens that are there already; InvalidInput when one is not an ERC-20."""
    share = parse_address(share_token, field="share_token")
    payout = parse_address(payout_token, field="payout_token")
    if share == payout:
        raise InvalidInput(
            "share_token and payout_token must not be the same token", field="payout_token"
        )
    client.refresh()
    return Tokens(
        share_address=share,
        share_decimals=decimals_of(client, share, field="share_token"),
        payout_address=payout,
        payout_decimals=decimals_of(client, payout, field="payout_token"),
        treasury_address=parse_address(treasury, field="treasury"),
        treasury_signer=None,
    )


def expected_test_tokens(client: ChainClient, plan: Plan) -> Tokens:
    """The test tokens as they will be: the deployer's next two creations."""
    treasury: Signer = (
        KeySigner(development_keys()[TREASURY_KEY_NUMBER]) if plan.is_test_chain else plan.deployer
    )
    client.refresh()
    nonce = client.nonce(plan.deployer.address)
    return Tokens(
        share_address=contract_address(plan.deployer.address, nonce),
        share_decimals=TEST_SHARE_DECIMALS,
        payout_address=contract_address(plan.deployer.address, nonce + 1),
        payout_decimals=TEST_PAYOUT_DECIMALS,
        treasury_address=treasury.address,
        treasury_signer=treasury,
    )


def check(
    client: ChainClient, plan: Plan, tokens: Tokens, request: Request, shares_for: Path | None
) -> Checked:
    """Everything the command line says, read and held against each other and against the settler's
    bounds. Raises InvalidInput naming the option; sends nothing."""
    style = _burn_style(request.burn_style)
    owner = _role(request.owner, plan.deployer.address, field="owner")
    guardian = _role(request.guardian, owner, field="guardian")
    floor_price = _floor(request.floor_price, tokens)
    ceiling_price = _bound(request.ceiling_price, tokens, field="ceiling_price")
    settings = SettlerSettings(
        share_token_address=tokens.share_address,
        payout_token_address=tokens.payout_address,
        treasury_address=tokens.treasury_address,
        burn_style=style,
        daily_payout_limit_base_units=Payout(
            _bound(request.daily_limit, tokens, field="daily_limit")
        ),
        floor_price=floor_price,
        ceiling_price=ceiling_price,
        restrict_payees=request.restrict_payees,
        predecessor_address=_predecessor(client, tokens, request.predecessor),
    )
    head = client.refresh().head
    creations_before = 0 if tokens.treasury_signer is None else 2
    settler = contract_address(
        plan.deployer.address, client.nonce(plan.deployer.address) + creations_before
    )
    fund = parse_tree(
        FundFile,
        {
            "fund_id": request.fund_id,
            "name": request.name,
            "chain_id": plan.chain_id,
            "share_token_address": tokens.share_address,
            "payout_token_address": tokens.payout_address,
            "settler_address": settler,
            "settler_from_block": head.number,
            "treasury_address": tokens.treasury_address,
            "lane_address": plan.lane_address,
            "burn_style": style,
            "fee_bps": request.fee_bps,
            "nav": request.nav,
            "nav_decimals": tokens.payout_decimals,
        },
        overridden={},
        path=Path("the command line"),
    )
    if floor_price > ceiling_price:
        raise InvalidInput("floor_price must not be above ceiling_price", field="floor_price")
    fund.check_price(PriceBand(floor_price, ceiling_price, tokens.payout_decimals))
    new = new_fund(
        fund, share_decimals=tokens.share_decimals, payout_decimals=tokens.payout_decimals
    )
    orders = _orders(new, shares_for)
    return Checked(tokens, settings, plan.deployer.address, owner, guardian, fund, new, orders)


def before_deploying(client: ChainClient, checked: Checked) -> list[Finding]:
    """Try tokens that are there already: what is worth knowing of them. InvalidInput when the share
    token has another burn style's function, since a settler keeps its style for ever."""
    other = other_burn_style(client, checked.new)
    if other is not None:
        raise InvalidInput(other, field="burn_style")
    return [*try_pauses(client, checked.new), *advise_presets(client, checked.new)]


def _check_free(fund_file: Path) -> None:
    """The fund's file can be written once its settler is on the chain, or InvalidInput."""
    folder = fund_file.parent
    try:
        is_there = fund_file.exists() or fund_file.is_symlink()
        is_folder = folder.is_dir()
    except OSError as error:
        raise InvalidInput(
            f"{fund_file} cannot be written: {error.strerror}", field="out"
        ) from None
    if is_there:
        raise InvalidInput(f"{fund_file} is there already; name another with --out", field="out")
    if not is_folder:
        raise InvalidInput(f"{fund_file} cannot be written: {folder} is no folder", field="out")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInput(
            f"{fund_file} cannot be written: no right to write in {folder}", field="out"
        )


def _burn_style(text: str) -> BurnStyle:
    try:
        return BurnStyle(text)
    except ValueError:
        known = ", ".join(style.value for style in BurnStyle)
        raise InvalidInput(f"burn_style must be one of {known}", field="burn_style") from None


def _role(text: str | None, default: Address, *, field: str) -> Address:
    return default if text is None else parse_address(text, field=field)


def _bound(text: str, tokens: Tokens, *, field: str) -> int:
    value = parse_decimal_units(text, tokens.payout_decimals, field=field)
    if not 0 < value <= BOUND_MAX:
        most = format_units(BOUND_MAX, tokens.payout_decimals)
        raise InvalidInput(f"{field} must be above zero and at most {most}", field=field)
    return value


def _floor(text: str, tokens: Tokens) -> int:
    """As `_bound`, and zero for none."""
    value = parse_decimal_units(text, tokens.payout_decimals, field="floor_price")
    return 0 if value == 0 else _bound(text, tokens, field="floor_price")


def _predecessor(client: ChainClient, tokens: Tokens, text: str | None) -> Address:
    """The settler to take over from, which must be one for the same two tokens."""
    if text is None:
        return ZERO_ADDRESS
    named = parse_address(text, field="predecessor")
    try:
        view = client.settler_view(named)
    except Refused as error:
        raise InvalidInput(f"predecessor: {error.message}", field="predecessor") from None
    theirs = (view.share_token_address, view.payout_token_address)
    if theirs != (tokens.share_address, tokens.payout_address):
        raise InvalidInput(
            f"predecessor {named} settles shares {theirs[0]} in {theirs[1]}, which are not the"
            " tokens of the new settler",
            field="predecessor",
        )
    return named


def _orders(fund: NewFund, file: Path | None) -> tuple[RedemptionOrder, ...]:
    """The orders of a redemptions file without a bad line; InvalidInput names the bad ones."""
    if file is None:
        return ()
    entries = list(read_orders(file, fund))
    bad = [entry for entry in entries if isinstance(entry, BadLine)]
    if bad:
        shown = "; ".join(f"line {b.line}: {b.reason}" for b in bad[:BAD_LINES_SHOWN])
        more = f"; and {len(bad) - BAD_LINES_SHOWN} more" if len(bad) > BAD_LINES_SHOWN else ""
        raise InvalidInput(f"{file} has bad lines; {shown}{more}", field="shares_for")
    orders = tuple(entry.order for entry in entries if not isinstance(entry, BadLine))
    if sum(order.shares_base_units for order in orders) > UINT256_MAX:
        raise InvalidInput(f"the shares of {file} exceed 2^256 in sum", field="shares_for")
    return orders
