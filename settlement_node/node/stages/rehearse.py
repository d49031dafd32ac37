"""The dry run: the whole book once, batch by batch, logged instead of planned.

A dry run plans nothing, so what it has judged stays due. How far it is through each fund's book is
kept on the lane, so nothing is judged twice; `node/dry_run.py` goes on until every book is through.
Each batch is judged against all the money there is, not less what the batches before it would pay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from settlement_node.domain import batching
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.waiting import WaitingFor
from settlement_node.node.context import Lane, Rehearsal, WouldHold
from settlement_node.node.stages.preflight import Checked
from settlement_node.store.book import redemptions
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Payout

log = structlog.get_logger(__name__)


def next_due(
    tx: ReadTx, policy: EnginePolicy, lane: Lane, fund: FundRow, *, at_utc: datetime
) -> list[RedemptionRow]:
    """The oldest due redemptions not judged yet, at most twice a batch. Empty behind a page of
    which all are judged, and once the book is through."""
    state, ahead = _of(lane, fund.fund_id), 2 * policy.batch_items_max
    if state.is_through:
        return []
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


def note_settled(lane: Lane, fund: FundRow, rows: Iterable[RedemptionRow]) -> None:
    """Of these the chain shows that they are paid; there is nothing to judge."""
    _judge(_of(lane, fund.fund_id), rows)


def note_obstacle(lane: Lane, fund_id: str, waiting_on: str, detail: str = "") -> None:
    """Nothing of the fund can go now; said once for as long as it lasts."""
    state = _of(lane, fund_id)
    obstacle = f"{waiting_on}: {detail}" if detail else waiting_on
    if state.obstacle != obstacle:
        state.obstacle = obstacle
        log.info("would_wait", fund_id=fund_id, waiting_on=waiting_on, detail=detail)


def note_batch(
    lane: Lane,
    fund: FundRow,
    *,
    rows: Sequence[RedemptionRow],
    selection: batching.Selection,
    checked: Checked,
    unpriced: Sequence[tuple[RedemptionRow, HoldReason, str]],
    good: Sequence[RedemptionRow],
    payout_base_units: Payout,
    gas_limit: int,
) -> None:
    """Log what a batch would come to, and never look at its redemptions again. What passes and is
    not `good` had no room in the gas of this batch; it comes first in the next."""
    state = _of(lane, fund.fund_id)
    state.obstacle = None
    by_id = {row.redemption_id: row for row in rows}
    holds = [*unpriced, *((by_id[i], reason, why) for i, (reason, why) in checked.failing.items())]
    waiting = [(by_id[i], waiting_on) for i, waiting_on in selection.waiting]
    waiting += [(by_id[i], WaitingFor.EARLIER_BATCH) for i in checked.later]
    # Neither passing nor failing nor later: the settler's daily limit is used up.
    waiting += [
        (by_id[chosen.redemption_id_hex], WaitingFor.LIMITS)
        for chosen in selection.chosen
        if chosen.redemption_id_hex not in {*checked.passing, *checked.failing, *checked.later}
    ]
    for row, reason, detail in holds:
        hold = WouldHold(row.external_id, row.redemption_id, reason, detail[:500])
        state.would_hold.append(hold)
        log.info(
            "would_hold",
            fund_id=fund.fund_id,
            external_id=hold.external_id,
            redemption_id=hold.redemption_id,
            reason=reason.value,
            detail=hold.detail,
        )
    counts = Counter(w.value for _, w in waiting)
    state.would_wait.update(counts)
    for waiting_on, count in counts.items():
        log.info("would_wait", fund_id=fund.fund_id, waiting_on=waiting_on, items=count)
    if good:
        log.info(
            "would_settle",
            fund_id=fund.fund_id,
            items=len(good),
            gas_limit=gas_limit,
            payout_base_units=str(payout_base_units),
        )
    _judge(state, good)
    _judge(state, [row for row, _, _ in holds])
    _judge(state, [row for row, _ in waiting])
    state.would_settle_count += len(good)
    state.would_pay_base_units += payout_base_units


def _of(lane: Lane, fund_id: str) -> Rehearsal:
    return lane.rehearsals.setdefault(fund_id, Rehearsal())


def _judge(state: Rehearsal, rows: Iterable[RedemptionRow]) -> None:
    for row in rows:
        state.judged |= 1 << row.redemption_index
