"""Noting what keeps redemptions from being planned now, and the alerts that go with it."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.domain import batching
from settlement_node.domain.attention import Alert, AlertKind, OfFund
from settlement_node.domain.waiting import Obstacle, WaitingFor
from settlement_node.node.context import Lane, NodeContext
from settlement_node.node.stages import rehearse
from settlement_node.store.book import redemptions
from settlement_node.store.database import Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.telling.attention import tell
from settlement_node.units import Hex32

STOPPED_ALERTS = {
    WaitingFor.LIQUIDITY: AlertKind.TREASURY_SHORT,
    WaitingFor.TOKEN_PAUSED: AlertKind.TOKEN_STOPPED,
}


def money_alerts(tx: Tx, fund: FundRow, selection: batching.Selection) -> None:
    """Raise or clear what a selection says about the treasury and the day's limit."""
    for waiting_on, kind in (
        (WaitingFor.LIQUIDITY, AlertKind.TREASURY_SHORT),
        (WaitingFor.LIMITS, AlertKind.PAYOUT_LIMIT_REACHED),
    ):
        count = sum(w is waiting_on for _, w in selection.waiting)
        words = (
            f"{count} due redemptions wait for {waiting_on.value}; they go on by themselves when"
            " there is enough"
        )
        tell(tx, Alert(kind, OfFund(fund.fund_id), words if count else None))


def alert_gas(lane: Lane, balance_wei: int, needed_wei: int) -> None:
    """Say that the lane has too few coins for the next batch."""
    with lane.commit() as tx:
        words = (
            f"{lane.signer_address} has {balance_wei} wei and the next batch may need"
            f" {needed_wei} wei on top of what is in flight; send it coins"
        )
        tell(tx, Alert(AlertKind.GAS_LOW, lane.subject, words))


def note_stopped(
    context: NodeContext,
    lane: Lane,
    fund: FundRow,
    due: Sequence[RedemptionRow],
    obstacle: Obstacle,
) -> None:
    """Nothing of the fund can go now: all of it waits, with one alert where the cause is a token's
    or the treasury's."""
    kind = STOPPED_ALERTS.get(obstacle.waiting_for)
    if kind is not None:
        with lane.commit() as tx:
            tell(tx, Alert(kind, OfFund(fund.fund_id), obstacle.words))
    note_waiting(context, lane, due, obstacle.waiting_for, words=obstacle.words)


def note_waiting(
    context: NodeContext,
    lane: Lane,
    due: Sequence[RedemptionRow],
    waiting_on: WaitingFor,
    *,
    words: str = "",
) -> None:
    """Note in the book, or in a dry run's log, what these wait for."""
    if context.dry_run and due:
        rehearse.note_obstacle(lane, due[0].fund_id, waiting_on.value, words)
    ids: list[Hex32] = [row.redemption_id for row in due if row.waiting_on != waiting_on.value]
    if not ids or context.dry_run:
        return
    with lane.commit() as tx:
        redemptions.set_waiting_on(tx, ids, waiting_on.value)
