"""The dry run: the whole book once, plan by plan, told instead of committed.

A dry run commits nothing, so what it has judged stays due. How far it is through each fund's book
is kept in the context, so nothing is judged twice; `node/dry_run.py` goes on until every book is
through. Each plan is made of all the money there is, not less what the plans before it would pay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from settlement_node.domain.planning import Plan
from settlement_node.errors import Refused
from settlement_node.node.context import Lane, Rehearsal, WouldHold
from settlement_node.node.stages.preflight import make_plan
from settlement_node.node.stages.ratchet import read_book_view
from settlement_node.store.book import redemptions
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Hex32

log = structlog.get_logger(__name__)


def rehearse_fund(lane: Lane, fund: FundRow, state: Rehearsal) -> None:
    """Make the fund's next plan and tell it; never anything is planned."""
    with lane.store.read() as tx:
        due = _next_due(tx, lane, fund, state)
        if not due:
            return
        book = read_book_view(tx, lane, fund)
        ids = [row.redemption_id for row in due]
        paid = chain_book.settled_ids(tx, fund.chain_id, ids)
    # What the chain shows as paid is not judged.
    _judge(state, (row for row in due if row.redemption_id in paid))
    rows = {row.redemption_id: row for row in due if row.redemption_id not in paid}
    if rows:
        try:
            _tell(state, fund, rows, make_plan(lane, fund, list(rows.values()), book))
        except Refused as error:
            _note_obstacle(state, fund, "planning_refused", error.message)


def _next_due(tx: ReadTx, lane: Lane, fund: FundRow, state: Rehearsal) -> list[RedemptionRow]:
    """The oldest due redemptions not judged yet, at most twice a batch. Empty behind a page of
    which all are judged, and once the book is through."""
    ahead = 2 * lane.policy.batch_items_max
    if state.is_through:
        return []
    at_utc = lane.store.database_now(tx.connection)
    page = redemptions.due(
        tx, fund.fund_id, at_utc=at_utc, limit=ahead, above_index=state.above_index
    )
    fresh = [row for row in page if not state.judged >> row.redemption_index & 1]
    if fresh:
        return fresh
    state.obstacle = None
    if len(page) == ahead:
        state.above_index = page[-1].redemption_index
        return []
    state.is_through = True
    log.info(
        "dry_run_through",
        fund_id=fund.fund_id,
        would_settle=state.would_settle_count,
        would_hold=len(state.would_hold),
        would_wait=state.would_wait.total(),
    )
    return []


def _tell(state: Rehearsal, fund: FundRow, rows: Mapping[Hex32, RedemptionRow], made: Plan) -> None:
    """Log what a plan would come to, and never look at its redemptions again. An obstacle keeps all
    of them back, so they are judged once it is gone."""
    if made.obstacle is not None:
        obstacle = made.obstacle
        _note_obstacle(state, fund, obstacle.waiting_for.value, obstacle.words)
        return
    state.obstacle = None
    for hold in made.holds:
        row = rows[hold.redemption_id_hex]
        state.would_hold.append(
            WouldHold(row.external_id, row.redemption_id, hold.reason, hold.words[:500])
        )
        log.info(
            "would_hold",
            fund_id=fund.fund_id,
            external_id=row.external_id,
            redemption_id=row.redemption_id,
            reason=hold.reason.value,
            detail=hold.words[:500],
        )
        _judge(state, [row])
    for waiting_for, ids in made.waits.items():
        state.would_wait[waiting_for.value] += len(ids)
        log.info("would_wait", fund_id=fund.fund_id, waiting_on=waiting_for.value, items=len(ids))
        _judge(state, (rows[i] for i in ids))
    if made.batch is None:
        return
    batch = made.batch
    log.info(
        "would_settle",
        fund_id=fund.fund_id,
        items=len(batch.orders),
        gas_limit=batch.encoded.gas_limit,
        payout_base_units=str(batch.payout_base_units),
    )
    _judge(state, (rows[order.redemption_id_hex] for order in batch.orders))
    state.would_settle_count += len(batch.orders)
    state.would_pay_base_units += batch.payout_base_units


def _note_obstacle(state: Rehearsal, fund: FundRow, waiting_on: str, detail: str) -> None:
    """Nothing of the fund can go now; said once for as long as it lasts."""
    obstacle = f"{waiting_on}: {detail}" if detail else waiting_on
    if state.obstacle != obstacle:
        state.obstacle = obstacle
        log.info("would_wait", fund_id=fund.fund_id, waiting_on=waiting_on, detail=detail)


def _judge(state: Rehearsal, rows: Iterable[RedemptionRow]) -> None:
    for row in rows:
        state.judged |= 1 << row.redemption_index
