"""Plan: group what is due into a settlement, with a price, a nonce and the ratchet's next hash.

Everything is read first, outside any database transaction; then one fenced commit gives the
nonce, binds the redemptions and books what is owed. Nothing leaves the process here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from settlement_node.chain.contracts.settler import batch_hash_of, encode_settle
from settlement_node.domain import batching
from settlement_node.domain.attention import Alert, AlertKind, OfFund
from settlement_node.domain.lifecycle import RedemptionFact, RedemptionStatus
from settlement_node.domain.observations import SettleItem
from settlement_node.domain.redemption import HoldReason, Unpayable, price_redemption
from settlement_node.domain.waiting import Obstacle, WaitingFor
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import Lane, NodeContext
from settlement_node.node.stages import rehearse
from settlement_node.node.stages.preflight import (
    ChainState,
    Checked,
    check_items,
    read_chain_state,
)
from settlement_node.node.stages.ratchet import BookState, read_book_state
from settlement_node.node.stages.waits import alert_gas, money_alerts, note_stopped, note_waiting
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import lock_fund_to_plan
from settlement_node.store.book.redemptions import Advance
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.lanes import lock_lane
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.telling.attention import tell
from settlement_node.units import Payout

log = structlog.get_logger(__name__)
MONEY_WAITS = frozenset({WaitingFor.LIQUIDITY.value, WaitingFor.LIMITS.value})


@dataclass(frozen=True, slots=True)
class Priced:
    """A due redemption with the figures it would be settled at."""

    row: RedemptionRow
    gross_base_units: Payout
    fee_base_units: Payout
    payout_base_units: Payout

    def item(self) -> SettleItem:
        """The settler's item."""
        return SettleItem(
            redemption_id_hex=self.row.redemption_id,
            redemption_index=self.row.redemption_index,
            investor_address=self.row.investor_address,
            payee_address=self.row.payee_address,
            shares_base_units=self.row.shares_base_units,
            payout_base_units=self.payout_base_units,
        )


def plan(context: NodeContext, lane: Lane) -> int:
    """Plan at most one settlement for each fund of the lane whose settlers are read to the head;
    returns how many were planned. Nothing is planned while the head is behind one seen before."""
    if lane.head.is_behind:
        return 0
    funds = [one.fund for one in lane.work().funds.values()]
    ready = [fund for fund in funds if fund.fund_id not in lane.unscanned]
    return sum(_plan_apart(context, lane, fund) for fund in ready)


def _plan_apart(context: NodeContext, lane: Lane, fund: FundRow) -> bool:
    """Plan one fund so that a refusal that concerns it alone does not keep back the others."""
    try:
        return plan_fund(context, lane, fund)
    except Refused as error:
        log.warning("planning_refused", fund_id=fund.fund_id, reason=error.message)
        if context.dry_run:
            rehearse.note_obstacle(lane, fund.fund_id, "planning_refused", error.message)
        with lane.commit() as tx:
            refused = AlertKind.PLANNING_REFUSED
            tell(tx, Alert(refused, OfFund(fund.fund_id), error.message))
        return False


def plan_fund(context: NodeContext, lane: Lane, fund: FundRow) -> bool:
    """Plan the next settlement of one fund, if there is one; True when one was planned."""
    with context.store.read() as tx:
        due = _due(context, tx, lane, fund)
        if not due:
            return False
        book = read_book_state(tx, context.policy, lane, fund, [row.redemption_id for row in due])
    paid = [row for row in due if row.redemption_id in book.settled_on_chain]
    due = [row for row in due if row.redemption_id not in book.settled_on_chain]
    if context.dry_run:
        rehearse.note_settled(lane, fund, paid)
    if book.obstacle is not None:
        note_waiting(context, lane, due, book.obstacle)
        return False
    if not due:
        return False
    terms = fund.terms()
    if terms is None:
        note_waiting(context, lane, due, WaitingFor.NAV)
        return False
    priced, unpriced = _price(fund, due)
    state = read_chain_state(lane.chain, fund, lane)
    if state.obstacle is None and state.settler.batch_hash != book.chain_tip:
        # The replay has not caught up with the settler; nothing may be planned on a guess.
        behind = Obstacle(WaitingFor.EARLIER_BATCH, "the settler's events are still being read")
        state = replace(state, obstacle=behind) if book.last_live is None else state
    if state.obstacle is not None:
        note_stopped(context, lane, fund, due, state.obstacle)
        return False
    return _select_and_commit(context, lane, fund, book, state, priced, unpriced)


def _due(context: NodeContext, tx: ReadTx, lane: Lane, fund: FundRow) -> list[RedemptionRow]:
    """The oldest due redemptions, twice a batch, so that one that cannot go does not starve those
    behind it. When all of them wait for money, the smallest due ones besides: if any of the fund's
    redemptions can be paid now, one of these can."""
    # A settlement date comes once for every node of a database, whatever their own clocks say.
    at_utc = context.store.database_now(tx.connection)
    if context.dry_run:
        return rehearse.next_due(tx, context.policy, lane, fund, at_utc=at_utc)
    ahead = 2 * context.policy.batch_items_max
    due = redemptions.due(tx, fund.fund_id, at_utc=at_utc, limit=ahead)
    if len(due) == ahead and all(row.waiting_on in MONEY_WAITS for row in due):
        known = {row.redemption_id for row in due}
        small = redemptions.due_smallest(tx, fund.fund_id, at_utc=at_utc, limit=ahead)
        due += [row for row in small if row.redemption_id not in known]
    return due


def _price(
    fund: FundRow, due: Sequence[RedemptionRow]
) -> tuple[list[Priced], list[tuple[RedemptionRow, HoldReason, str]]]:
    terms = fund.terms()
    assert terms is not None
    priced: list[Priced] = []
    unpriced: list[tuple[RedemptionRow, HoldReason, str]] = []
    for row in due:
        price = price_redemption(row.shares_base_units, terms)
        if isinstance(price, Unpayable):
            unpriced.append((row, price.reason, price.words))
            continue
        priced.append(
            Priced(row, price.gross_base_units, price.fee_base_units, price.payout_base_units)
        )
    return priced, unpriced


def _select_and_commit(
    context: NodeContext,
    lane: Lane,
    fund: FundRow,
    book: BookState,
    state: ChainState,
    priced: Sequence[Priced],
    unpriced: Sequence[tuple[RedemptionRow, HoldReason, str]],
) -> bool:
    by_id = {p.row.redemption_id: p for p in priced}
    selection = batching.choose(
        [
            batching.Candidate(p.row.redemption_id, p.payout_base_units, p.row.reverted_batch_size)
            for p in priced
        ],
        items_max=context.policy.batch_items_max,
        spendable_base_units=state.treasury_spendable_base_units - book.in_flight_base_units,
        limit_available_base_units=(
            state.settler.payout_available_base_units - book.in_flight_base_units
        ),
    )
    chosen = [by_id[c.redemption_id_hex] for c in selection.chosen]
    checked = check_items(context.store, lane, fund, [p.item() for p in chosen])
    if checked.obstacle is not None:
        note_stopped(context, lane, fund, [p.row for p in chosen], checked.obstacle)
        return False
    good = [p for p in chosen if p.row.redemption_id in checked.passing]
    good, data, gas_limit = _fit_gas(context, lane, state, book, good, checked)
    if good:
        cap = lane.market_fees().max_fee_per_gas_wei
        if state.native_balance_wei < book.gas_committed_wei + gas_limit * cap:
            alert_gas(lane, state.native_balance_wei, gas_limit * cap)
            note_waiting(context, lane, [p.row for p in good], WaitingFor.GAS)
            return False
    if context.dry_run:
        rehearse.note_batch(
            lane,
            fund,
            rows=[p.row for p in priced],
            selection=selection,
            checked=checked,
            unpriced=unpriced,
            good=[p.row for p in good],
            payout_base_units=Payout(sum(p.payout_base_units for p in good)),
            gas_limit=gas_limit,
        )
        return False
    return _commit(context, lane, fund, book, selection, good, data, gas_limit, checked, unpriced)


def _fit_gas(
    context: NodeContext,
    lane: Lane,
    state: ChainState,
    book: BookState,
    good: list[Priced],
    checked: Checked,
) -> tuple[list[Priced], bytes, int]:
    """Cut the batch to the gas one transaction may ask for."""
    gas_max = min(
        lane.head.gas_limit * context.policy.batch_gas_bps // 10_000, batching.TRANSACTION_GAS_MAX
    )
    item_gas = state.settler.item_gas_limit
    count = batching.fits(
        [checked.passing[p.row.redemption_id] for p in good],
        gas_max=gas_max,
        item_gas_limit=item_gas,
    )
    while good:
        good = good[:count]
        data = encode_settle(book.next_previous_hash, [p.item() for p in good])
        gas_limit = batching.batch_gas_limit(
            [checked.passing[p.row.redemption_id] for p in good],
            data=data,
            item_gas_limit=item_gas,
            margin_bps=context.policy.gas_margin_bps,
        )
        if gas_limit <= gas_max or count <= 1:
            return good, data, min(gas_limit, lane.head.gas_limit, batching.TRANSACTION_GAS_MAX)
        count = max(1, count * 9 // 10 - 1)
    return [], b"", 0


def _commit(
    context: NodeContext,
    lane: Lane,
    fund: FundRow,
    book: BookState,
    selection: batching.Selection,
    good: Sequence[Priced],
    data: bytes,
    gas_limit: int,
    checked: Checked,
    unpriced: Sequence[tuple[RedemptionRow, HoldReason, str]],
) -> bool:
    with lane.commit("plan") as tx:
        _stand_on(tx, lane, fund)
        failing = redemptions.get_many(tx, list(checked.failing))
        redemptions.record_facts(
            tx,
            [redemptions.hold(row, reason, why) for row, reason, why in unpriced]
            + [
                redemptions.hold(row, *checked.failing[redemption_id])
                for redemption_id, row in failing.items()
                if row.status is RedemptionStatus.APPROVED
            ],
        )
        for waiting_on in {w for _, w in selection.waiting}:
            redemptions.set_waiting_on(
                tx, [i for i, w in selection.waiting if w is waiting_on], waiting_on.value
            )
        redemptions.set_waiting_on(tx, list(checked.later), WaitingFor.EARLIER_BATCH.value)
        money_alerts(tx, fund, selection)
        for kind in (AlertKind.PLANNING_REFUSED, AlertKind.TOKEN_STOPPED):
            tell(tx, Alert(kind, OfFund(fund.fund_id)))
        if good:
            _commit_settlement(tx, context, lane, fund, book, good, data, gas_limit)
    if good:
        log.info("settlement_planned", fund_id=fund.fund_id, items=len(good), gas_limit=gas_limit)
    return bool(good)


def _stand_on(tx: Tx, lane: Lane, fund: FundRow) -> None:
    """Lock what the plan was made on, so that a pause, a price, a settler or a break is either
    seen by this commit or comes after it. Raises Transient when the price, the settler or the
    checks are not what the plan was made with."""
    now = lock_fund_to_plan(tx, fund.fund_id)
    lock_lane(tx, lane.chain_id, lane.signer_address)
    if (now.terms(), now.settler_address, now.checks) != (
        fund.terms(),
        fund.settler_address,
        fund.checks,
    ):
        raise Transient("the fund's price, settler or checks changed; the batch is prepared anew")


def _commit_settlement(
    tx: Tx,
    context: NodeContext,
    lane: Lane,
    fund: FundRow,
    book: BookState,
    good: Sequence[Priced],
    data: bytes,
    gas_limit: int,
) -> None:
    fresh = read_book_state(tx, context.policy, lane, fund, [p.row.redemption_id for p in good])
    if fresh != book.after_settled(fresh.settled_on_chain) or fresh.settled_on_chain:
        raise Transient("the book changed while the batch was being prepared; it is planned anew")
    transaction = transactions.plan_transaction(
        tx,
        chain_id=lane.chain_id,
        signer_address=lane.signer_address,
        nonce=book.next_nonce,
        to_address=fund.settler_address,
        data=data,
        gas_limit=gas_limit,
        deadline_block=(
            lane.head.number + context.policy.cancel_after_blocks
            if context.policy.cancel_after_blocks
            else None
        ),
    )
    rows = redemptions.record_facts(
        tx,
        [
            Advance(
                p.row,
                RedemptionFact.SETTLEMENT_PLANNED,
                changes={
                    "gross_base_units": p.gross_base_units,
                    "fee_base_units": p.fee_base_units,
                    "payout_base_units": p.payout_base_units,
                    "nav_per_share": fund.nav_per_share,
                },
                detail={
                    "transaction_id": transaction.transaction_id,
                    "payout_base_units": str(p.payout_base_units),
                    "fee_base_units": str(p.fee_base_units),
                    "nav_per_share": str(fund.nav_per_share),
                },
            )
            for p in good
        ],
    )
    settlements.add_settlement(
        tx,
        fund,
        transaction_id=transaction.transaction_id,
        previous_batch_hash=book.next_previous_hash,
        batch_hash=batch_hash_of(book.next_previous_hash, [p.item() for p in good]),
        items=rows,
    )
