"""What to do with a transaction that is not mined yet: wait, send again, replace, or cancel.

A decision over plain figures; the caller carries it out. Blocks are the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from settlement_node.domain.engine.policy import EnginePolicy


class KeepingStep(StrEnum):
    """The next step for an unmined transaction."""

    WAIT = "wait"
    REBROADCAST = "rebroadcast"
    REPLACE = "replace"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class KeepingView:
    """An unmined transaction as the decision needs it.

    `is_lowest` says that no lower nonce of the lane is unmined: only then does its fee hold the
    lane up. `underpriced` says the endpoints refused the last attempt for its price.
    """

    head_number: int
    last_signed_block: int
    last_sent_block: int | None
    lowest_since_block: int
    is_lowest: bool
    is_cancelling: bool
    attempts_count: int
    underpriced: bool
    speed_up_requested: bool
    cancel_requested: bool
    deadline_block: int | None


def next_step(view: KeepingView, policy: EnginePolicy) -> KeepingStep:
    """Decide; WAIT and REBROADCAST never make new bytes."""
    overdue = view.deadline_block is not None and view.head_number > view.deadline_block
    if (view.cancel_requested or overdue) and not view.is_cancelling:
        return KeepingStep.CANCEL
    if view.speed_up_requested:
        return KeepingStep.REPLACE
    # The bound is one for what the node does by itself; the fee ceiling bounds the rest.
    may_sign = view.attempts_count < policy.attempts_max or view.is_cancelling
    if may_sign and view.underpriced and view.head_number > view.last_signed_block:
        return KeepingStep.REPLACE
    waited = view.head_number - max(view.last_signed_block, view.lowest_since_block)
    if may_sign and view.is_lowest and waited >= policy.replace_after_blocks:
        return KeepingStep.REPLACE
    if (
        view.last_sent_block is None
        or view.head_number - view.last_sent_block >= policy.rebroadcast_after_blocks
    ):
        return KeepingStep.REBROADCAST
    return KeepingStep.WAIT
