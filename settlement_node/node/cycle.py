"""One pass over one lane, in the order facts flow: heads, events, receipts, then plans and sends.

This is the function the scheduler runs, the tests call and the simulator drives. It holds the
only `except Exception` of the engine: what is not one of our five families stops the lane's pass
and is logged whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import structlog

from settlement_node.errors import (
    InvariantBroken,
    LeaseLost,
    OutcomeUnknown,
    Refused,
    SettlementError,
    Transient,
    cause_of,
    words_of,
)
from settlement_node.node.context import Lane
from settlement_node.node.lanes import prepare, stop_lane
from settlement_node.node.stages.heads import follow_head
from settlement_node.node.stages.keep import keep
from settlement_node.node.stages.plan import plan
from settlement_node.node.stages.scan import scan
from settlement_node.node.stages.send import send
from settlement_node.node.stages.strangers import check_batches
from settlement_node.node.stages.track import track

log = structlog.get_logger(__name__)
PLANS_PER_PASS_MAX = 16


class PassEnd(StrEnum):
    """How a pass over a lane ended."""

    DONE = "done"
    LATER = "later"
    STOPPED = "stopped"
    LEASE_LOST = "lease_lost"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PassResult:
    """A pass: how it ended, how much moved, and why it ended early."""

    end: PassEnd
    moved: int = 0
    reason: str | None = None


def run_pass(lane: Lane) -> PassResult:
    """Follow the chain, book what happened, then plan and send. Never raises."""
    try:
        moved = _observe(lane)
        if lane.memory.is_prepared:
            moved += _act(lane)
    except LeaseLost as error:
        return PassResult(PassEnd.LEASE_LOST, reason=error.message)
    except InvariantBroken as error:
        return _stop(lane, error)
    except (Transient, OutcomeUnknown, Refused) as error:
        return _later(lane, error.message, code=error.code, cause=cause_of(error))
    except Exception as error:
        _note_stall(lane, words_of(error))
        log.exception("pass_failed", lane=lane.key, reason=words_of(error))
        return PassResult(PassEnd.FAILED, reason=words_of(error))
    if lane.head.is_behind:
        return _later(
            lane,
            f"the endpoints' head {lane.head.number} is lower than block"
            f" {lane.head.highest_number}, which was seen before; nothing is planned meanwhile",
        )
    if troubled := {**lane.unplanned, **lane.unscanned}:
        return _later(lane, "; ".join(f"{fund}: {why}" for fund, why in troubled.items()))
    if lane.may_act:
        lane.memory.stalled_since_utc = None
    else:
        _note_stall(lane, "the lane's nonce is not final yet; nothing is planned")
    return PassResult(PassEnd.DONE, moved)


def _later(
    lane: Lane, reason: str, *, code: str = Transient.code, cause: str | None = None
) -> PassResult:
    _note_stall(lane, reason)
    log.warning("pass_later", lane=lane.key, code=code, reason=reason, cause=cause)
    return PassResult(PassEnd.LATER, reason=reason)


def _note_stall(lane: Lane, reason: str) -> None:
    """Since when the lane has not come on, and why last; `watch` makes an alert of it."""
    if lane.memory.stalled_since_utc is None:
        lane.memory.stalled_since_utc = lane.store.clock()
    lane.memory.stalled_reason = reason


def _observe(lane: Lane) -> int:
    follow_head(lane)
    moved = scan(lane)
    if not lane.may_act:
        prepare(lane)
    check_batches(lane)
    return moved + track(lane)


def _act(lane: Lane) -> int:
    lane.unplanned.clear()
    # What is planned goes out before more is planned: while the signer is down, redemptions wait
    # unplanned, where they can still be held, cancelled or priced anew.
    moved = keep(lane) + send(lane)
    for _ in range(PLANS_PER_PASS_MAX):
        planned = plan(lane)
        moved += planned + send(lane)
        if not planned:
            break
    return moved


def _stop(lane: Lane, error: InvariantBroken) -> PassResult:
    try:
        stop_lane(lane, error)
    except SettlementError as again:
        log.error("lane_not_paused", lane=lane.key, reason=again.message)
    return PassResult(PassEnd.STOPPED, reason=error.message)
