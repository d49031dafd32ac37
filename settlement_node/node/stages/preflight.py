"""Preflight: what the chain says before a batch is planned. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from settlement_node.chain.client import ChainClient
from settlement_node.chain.context import ChainContext
from settlement_node.chain.contracts.reverts import revert_reason, skip_words
from settlement_node.chain.contracts.tokens import encode_transfer_from
from settlement_node.chain.endpoints.endpoint import CallRequest, CallReverted
from settlement_node.chain.views import SettlerView
from settlement_node.chain.wire.words import selector
from settlement_node.domain.observations import ItemPreview, SettleItem, SkipReason
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.skips import SKIPS, Bearing
from settlement_node.domain.waiting import Obstacle, WaitingFor
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import Lane
from settlement_node.node.stages.eligibility import CheckedFund, Eligibility, ask_first
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements
from settlement_node.store.rows import FundRow, TransactionRow
from settlement_node.units import Address, Hex32, Payout


@dataclass(frozen=True, slots=True)
class ChainState:
    """The chain's side of planning for one fund."""

    settler: SettlerView
    treasury_spendable_base_units: Payout
    native_balance_wei: int
    obstacle: Obstacle | None


def read_chain_state(chain: ChainContext, fund: FundRow, lane: Lane) -> ChainState:
    """Settler, treasury and gas at the agreed head."""
    client = chain.client
    settler = client.settler_view(fund.settler_address)
    money = client.token_view(
        fund.payout_token_address,
        holders=[fund.treasury_address],
        allowance=(fund.treasury_address, fund.settler_address),
    )
    shares = client.token_view(fund.share_token_address)
    obstacle: Obstacle | None = None
    if settler.paused or settler.operator_address != lane.signer_address:
        obstacle = Obstacle(WaitingFor.SETTLER, "the settler is paused or has another operator")
    elif money.paused or shares.paused:
        which = "payout" if money.paused else "share"
        token = (money if money.paused else shares).token_address
        obstacle = Obstacle(WaitingFor.TOKEN_PAUSED, f"the {which} token {token} is paused")
    return ChainState(
        settler=settler,
        treasury_spendable_base_units=Payout(
            min(
                money.balances_base_units[fund.treasury_address],
                money.allowance_base_units or 0,
            )
        ),
        native_balance_wei=client.native_balance(lane.signer_address),
        obstacle=obstacle,
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """The answers item by item. With an obstacle nothing is said about any item. `later` are those
    that could go, but not together with what goes before them."""

    passing: Mapping[Hex32, ItemPreview]
    failing: Mapping[Hex32, tuple[HoldReason, str]]
    obstacle: Obstacle | None
    later: frozenset[Hex32] = frozenset()


def check_items(store: Store, lane: Lane, fund: FundRow, items: Sequence[SettleItem]) -> Checked:
    """Ask the tokens about the items, then preview those they have nothing against; what cannot
    pass is failing, with the reason a person needs.

    A payout that fails is only the payee's fault if the treasury can pay anybody: that is asked
    too, so that a blocked treasury or a paused token holds no redemption.
    """
    if not items:
        return Checked({}, {}, None)
    asked = _ask_first(store, lane, fund, items)
    if asked.obstacle is not None:
        return Checked({}, {}, asked.obstacle)
    kept_back = {*asked.failing, *asked.later}
    items = [item for item in items if item.redemption_id_hex not in kept_back]
    try:
        previews = lane.chain.client.preview(
            fund.settler_address, items, from_address=lane.signer_address
        )
    except Refused as error:
        if error.details.get("reason") in ("settler_paused", "not_a_settler"):
            return Checked({}, {}, Obstacle(WaitingFor.SETTLER, error.message))
        raise
    passing = {p.redemption_id_hex: p for p in previews if p.skip_reason is SkipReason.NONE}
    failing = {
        p.redemption_id_hex: (
            SKIPS[p.skip_reason].hold_reason,
            skip_words(p.skip_reason, p.detail, fund.error_signatures),
        )
        for p in previews
        if p.skip_reason is not SkipReason.NONE
        and SKIPS[p.skip_reason].bearing is not Bearing.TEMPORARY
    }
    if (
        not passing
        and any(reason is HoldReason.PAYOUT_FAILED for reason, _ in failing.values())
        and (why := treasury_refusal(lane.chain.client, fund)) is not None
    ):
        return Checked({}, {}, Obstacle(WaitingFor.LIQUIDITY, why))
    return Checked(passing, {**asked.failing, **failing}, None, asked.later)


def _ask_first(store: Store, lane: Lane, fund: FundRow, items: Sequence[SettleItem]) -> Eligibility:
    in_flight: Mapping[Address, int] = {}
    if any(check.counts_shares for check in fund.checks.all()):
        with store.read() as tx:
            in_flight = settlements.shares_in_flight(tx, fund.fund_id)
    return ask_first(lane.chain.client.calls, fund, items, in_flight)


REFUSED_WHOLE = frozenset(selector(name) for name in ("SettlerPaused()", "NotOperator(address)"))
"""What the settler says to a batch as a whole and that no item of it can be blamed for."""


def refused_whole(lane: Lane, row: TransactionRow) -> bool:
    """Whether a reverted batch would be refused, at the end of its own block, for a reason that
    lies in none of its items. An endpoint that has no such old state counts as a no."""
    call = CallRequest(row.to_address, row.data, lane.signer_address, row.gas_limit)
    try:
        (outcome,) = lane.chain.client.calls([call], block=row.block_number or 0)
    except Transient:
        return False
    return isinstance(outcome, CallReverted) and outcome.data[:4] in REFUSED_WHOLE


def treasury_refusal(client: ChainClient, fund: CheckedFund) -> str | None:
    """Why not even one base unit could leave the treasury now, to the settler itself; None when it
    could."""
    call = CallRequest(
        fund.payout_token_address,
        encode_transfer_from(
            owner=fund.treasury_address, recipient=fund.settler_address, value_base_units=1
        ),
        from_address=fund.settler_address,
    )
    (outcome,) = client.calls([call])
    # Nothing or true is a yes; a token that says no by returning false says it here too.
    if not isinstance(outcome, CallReverted) and (not outcome.data or any(outcome.data)):
        return None
    said = (
        revert_reason(outcome.data, fund.error_signatures)
        if isinstance(outcome, CallReverted)
        else "false"
    )
    return (
        f"the payout token {fund.payout_token_address} lets the treasury {fund.treasury_address}"
        f" pay nobody now ({said}): it is blocked, or the token stands still"
    )
