"""Preflight: from what is due to a plan, by what the chain says of it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from settlement_node.domain.observations import SkipReason
from settlement_node.domain.planning import (
    Answers,
    BookView,
    Bounds,
    Gas,
    GasRule,
    Plan,
    PricedOrder,
    decide,
    select,
    wait_all,
)
from settlement_node.domain.waiting import Obstacle, WaitingFor
from settlement_node.methods import method_of
from settlement_node.node.context import Lane
from settlement_node.node.stages.eligibility import ask_first
from settlement_node.store.engine import settlements
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Address, Wei


def make_plan(lane: Lane, fund: FundRow, due: Sequence[RedemptionRow], book: BookView) -> Plan:
    """What is to be done for the fund now, at the agreed head: whom the money covers is asked
    about, and the answers decide. Raises Refused when the fund's contracts are not what they should
    be, Transient when the chain does not answer."""
    orders = [row.order() for row in due]
    if book.obstacle is not None:
        return wait_all(orders, book.obstacle)
    terms = fund.terms()
    if terms is None:
        return wait_all(orders, WaitingFor.NAV)
    method, policy = method_of(fund), lane.policy
    chain = method.state(lane.chain.client)
    selection = select(orders, terms, book, chain, policy)
    answers = _ask(lane, fund, selection.chosen)
    rule = GasRule(chain.item_gas_limit, policy.gas_margin_bps)
    bounds = Bounds(book, _gas(lane, answers), rule, policy.batch_gas_bps)
    made = decide(selection, answers, bounds, method.encode)
    return replace(made, chain=chain, is_of_block=bool(selection.chosen))


def _ask(lane: Lane, fund: FundRow, chosen: Sequence[PricedOrder]) -> Answers:
    """Ask the tokens about the orders, then preview those they have nothing against."""
    if not chosen:
        return Answers()
    items = [order.item() for order in chosen]
    asked = ask_first(lane.chain.client.calls, fund, items, _shares_in_flight(lane, fund))
    if asked.obstacle is not None:
        return asked
    kept_back = {*asked.later, *(hold.redemption_id_hex for hold in asked.failing)}
    items = [item for item in items if item.redemption_id_hex not in kept_back]
    shown = method_of(fund).preview(lane.chain.client, items)
    if isinstance(shown, Obstacle):
        return replace(asked, obstacle=shown)
    return replace(asked, outlooks=shown)


def _shares_in_flight(lane: Lane, fund: FundRow) -> Mapping[Address, int]:
    if not any(check.counts_shares for check in fund.checks.all()):
        return {}
    with lane.store.read() as tx:
        return settlements.shares_in_flight(tx, fund.fund_id)


def _gas(lane: Lane, answers: Answers) -> Gas:
    """Asked for only when there is something to pay for."""
    if not any(outlook.skip_reason is SkipReason.NONE for outlook in answers.outlooks):
        return Gas(lane.head.gas_limit, Wei(0), Wei(0))
    return Gas(
        block_gas_limit=lane.head.gas_limit,
        balance_wei=lane.chain.client.native_balance(lane.signer_address),
        max_fee_per_gas_wei=lane.market_fees().max_fee_per_gas_wei,
    )
