"""Keep: unmined transactions are sent again, replaced with higher fees, or cancelled by a no-op
at the same nonce. Never at another nonce."""

from __future__ import annotations

from dataclasses import replace

import structlog

from settlement_node.chain.views import SendRejection
from settlement_node.domain.attention import Alert, AlertKind
from settlement_node.domain.engine.fees import AtCeiling, Bumped, Fees, bump
from settlement_node.domain.engine.keeping import KeepingStep, KeepingView, next_step
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.node.context import Lane
from settlement_node.node.stages.send import Signing, broadcast, sign_and_broadcast
from settlement_node.node.work import Work
from settlement_node.store.engine import transactions
from settlement_node.store.rows import AttemptRow, TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.store.telling.attention import tell

log = structlog.get_logger(__name__)
UNDERPRICED_ANSWERS = (
    SendRejection.UNDERPRICED.value,
    SendRejection.REPLACEMENT_UNDERPRICED.value,
)


def keep(lane: Lane) -> int:
    """Look after every unmined transaction of the lane; returns how many new attempts were made."""
    if not _due(lane, lane.work()):
        return 0
    # Something is to leave: whether it may, and what is asked for, is read again for that.
    work = lane.work_now()
    again: list[tuple[TransactionRow, AttemptRow]] = []
    orders: list[Signing] = []
    for row, own, step in _due(lane, work):
        if step is KeepingStep.REBROADCAST:
            again.append((row, own[-1]))
            continue
        order = _order(lane, row, own[-1], cancel=step is KeepingStep.CANCEL)
        if order is None:
            again += [(row, attempt) for attempt in own[-2:]]
        else:
            orders.append(order)
    # What is signed goes first: a signer that is down must not keep it back.
    again.sort(key=lambda pair: (pair[0].nonce, pair[1].ordinal))
    broadcast(lane, again)
    if orders:
        sign_and_broadcast(lane, orders)
    return len(orders)


def _due(lane: Lane, work: Work) -> list[tuple[TransactionRow, list[AttemptRow], KeepingStep]]:
    """What is to be done now: the transactions by nonce, their own attempts, and the steps."""
    unmined = work.in_status(TransactionStatus.SIGNED, TransactionStatus.SENT)
    if not unmined or not lane.may_send(work):
        return []
    lowest = unmined[0].nonce
    if lane.memory.lowest_unmined is None or lane.memory.lowest_unmined[0] != lowest:
        lane.memory.lowest_unmined = (lowest, lane.head.number)
    due: list[tuple[TransactionRow, list[AttemptRow], KeepingStep]] = []
    for row in unmined:
        own = [a for a in work.attempts[row.transaction_id] if a.kind is not AttemptKind.FOUND]
        if own:
            step = next_step(_view(lane, row, own, is_lowest=row.nonce == lowest), lane.policy)
            if step is not KeepingStep.WAIT:
                due.append((row, own, step))
    return due


def _view(
    lane: Lane, row: TransactionRow, own: list[AttemptRow], *, is_lowest: bool
) -> KeepingView:
    last = own[-1]
    assert lane.memory.lowest_unmined is not None
    return KeepingView(
        head_number=lane.head.number,
        last_signed_block=last.signed_at_block,
        last_sent_block=last.last_sent_block,
        lowest_since_block=lane.memory.lowest_unmined[1],
        is_lowest=is_lowest,
        is_cancelling=last.kind is AttemptKind.CANCEL,
        attempts_count=len(own),
        underpriced=(last.last_answer or "").startswith(UNDERPRICED_ANSWERS),
        speed_up_requested=row.speed_up_requested,
        cancel_requested=row.cancel_requested,
        deadline_block=row.deadline_block,
    )


def _order(lane: Lane, row: TransactionRow, last: AttemptRow, *, cancel: bool) -> Signing | None:
    """The replacement to sign, or None at the fee ceiling (alerted; the old bytes go on)."""
    old = Fees(
        max_fee_per_gas_wei=last.max_fee_per_gas_wei,
        max_priority_fee_per_gas_wei=last.max_priority_fee_per_gas_wei,
    )
    is_noop = cancel or last.kind is AttemptKind.CANCEL
    if row.refused_words is not None and last.kind is not AttemptKind.CANCEL:
        # No endpoint took it: there is nothing in a mempool that the no-op must outbid.
        bumped: Bumped | AtCeiling = Bumped(lane.market_fees())
    else:
        bumped = bump(old, lane.market_fees(), lane.chain.fees, is_noop=is_noop)
    at_ceiling = Alert(AlertKind.FEE_AT_CEILING, lane.at_nonce(row.nonce))
    if isinstance(bumped, AtCeiling):
        with lane.commit() as tx:
            if row.speed_up_requested:
                transactions.set_fields(tx, row.transaction_id, speed_up_requested=False)
            words = (
                f"nonce {row.nonce} would need a fee cap of {bumped.needed_cap_wei} wei;"
                f" the ceiling is {bumped.cap_ceiling_wei} wei. The last bytes are sent again"
            )
            tell(tx, replace(at_ceiling, detail=words))
        return None
    with lane.commit() as tx:
        tell(tx, at_ceiling)
        if cancel:
            transactions.set_fields(tx, row.transaction_id, cancel_requested=True)
    kind = AttemptKind.CANCEL if is_noop else AttemptKind.REPLACEMENT
    log.info(
        "replacing",
        nonce=row.nonce,
        kind=kind.value,
        max_fee_per_gas_wei=str(bumped.fees.max_fee_per_gas_wei),
    )
    return Signing(row, kind, bumped.fees)
