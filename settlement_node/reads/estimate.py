"""Estimate: what given redemptions would pay and cost if they were settled now. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from settlement_node.chain.context import ChainContext
from settlement_node.domain.engine.fees import market_fees
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.observations import SkipReason
from settlement_node.domain.planning import GasRule, PricedOrder
from settlement_node.domain.redemption import Priced, PriceTerms, Unpayable, price_redemption
from settlement_node.domain.waiting import Obstacle
from settlement_node.errors import Conflict, InvalidInput, NotFound, Refused
from settlement_node.methods import method_of
from settlement_node.reads.shapes import Answer, BaseUnitsOut, HashOut
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.database import Store
from settlement_node.store.rows import RedemptionRow
from settlement_node.units import ZERO_HASH, Hex32

ITEMS_MAX = 100


class EstimatedItemOut(Answer):
    """What one redemption would pay, or why it would be skipped."""

    redemption_id: HashOut
    would_settle: bool
    skip_reason: SkipReason
    skip_detail: str
    gross_base_units: BaseUnitsOut
    fee_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    gas_used: int


class EstimateOut(Answer):
    """What the batch would pay and cost at today's fees."""

    fund_id: str
    payout_base_units: BaseUnitsOut = Field(description="Of the items that would settle.")
    gas: int = Field(description="Gas the batch would use.")
    gas_limit: int = Field(description="Gas the batch would ask for.")
    max_fee_per_gas_wei: BaseUnitsOut
    max_priority_fee_per_gas_wei: BaseUnitsOut
    cost_wei: BaseUnitsOut = Field(description="gas × max_fee_per_gas_wei.")
    cost_max_wei: BaseUnitsOut = Field(description="gas_limit × max_fee_per_gas_wei.")
    items: list[EstimatedItemOut]


def _priced(row: RedemptionRow, terms: PriceTerms) -> Priced:
    price = price_redemption(row.shares_base_units, terms)
    if isinstance(price, Unpayable):
        raise Refused(
            f"redemption {row.redemption_id} has no price: {price.words}", reason=price.reason.value
        )
    return price


def estimate(
    store: Store,
    chains: Mapping[int, ChainContext],
    policy: EnginePolicy,
    redemption_ids: Sequence[Hex32],
) -> EstimateOut:
    """Price and preview redemptions of one fund, in the order given.

    Raises InvalidInput for none, too many or several funds, NotFound for an unknown one, Conflict
    when the fund has no NAV or the node does not serve its chain.
    """
    if not 1 <= len(redemption_ids) <= ITEMS_MAX:
        raise InvalidInput(f"give 1 to {ITEMS_MAX} redemptions", field="redemption_ids")
    if len(set(redemption_ids)) != len(redemption_ids):
        raise InvalidInput("a redemption is named twice", field="redemption_ids")
    with store.read() as tx:
        rows = redemptions.get_many(tx, redemption_ids)
        for redemption_id in redemption_ids:
            if redemption_id not in rows:
                raise NotFound(f"there is no redemption {redemption_id}", field="redemption_ids")
        fund_ids = {row.fund_id for row in rows.values()}
        if len(fund_ids) != 1:
            raise InvalidInput(
                "the redemptions belong to several funds; estimate one fund at a time",
                field="redemption_ids",
            )
        fund = get_fund(tx, fund_ids.pop())
    terms = fund.terms()
    if terms is None:
        raise Conflict(f"fund {fund.fund_id} has no NAV yet", field="fund_id")
    chain = chains.get(fund.chain_id)
    if chain is None:
        raise Conflict(f"this node has no endpoints for chain {fund.chain_id}", field="chain_id")
    ordered = [rows[i] for i in redemption_ids]
    prices = [_priced(row, terms) for row in ordered]
    items = [
        PricedOrder(row.order(), price).item() for row, price in zip(ordered, prices, strict=True)
    ]
    method = method_of(fund)
    outlooks = method.preview(chain.client, items)
    if isinstance(outlooks, Obstacle):
        raise Refused(outlooks.words, reason=outlooks.waiting_for.value)
    rule = GasRule(method.state(chain.client).item_gas_limit, policy.gas_margin_bps)
    fees = market_fees(
        chain.client.fee_history(
            block_count=policy.fee_history_blocks,
            percentile=policy.fee_percentile,
        ),
        chain.fees,
    )
    gas_limit, gas = (
        method.encode(ZERO_HASH, items, outlooks, each).gas_limit for each in (rule, GasRule(0, 0))
    )
    estimated = [
        EstimatedItemOut.of(
            price,
            redemption_id=outlook.redemption_id_hex,
            would_settle=outlook.skip_reason is SkipReason.NONE,
            skip_reason=outlook.skip_reason,
            skip_detail=outlook.words,
            gas_used=outlook.gas_used,
        )
        for outlook, price in zip(outlooks, prices, strict=True)
    ]
    return EstimateOut.of(
        fees,
        fund_id=fund.fund_id,
        items=estimated,
        payout_base_units=sum(e.payout_base_units for e in estimated if e.would_settle),
        gas=gas,
        gas_limit=gas_limit,
        cost_wei=gas * fees.max_fee_per_gas_wei,
        cost_max_wei=gas_limit * fees.max_fee_per_gas_wei,
    )
