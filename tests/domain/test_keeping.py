"""What is done with a transaction that is not mined yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from settlement_node.domain.engine.keeping import KeepingStep, KeepingView, next_step
from settlement_node.domain.engine.policy import EnginePolicy

POLICY = EnginePolicy(replace_after_blocks=3, rebroadcast_after_blocks=1, attempts_max=5)
FRESH = KeepingView(
    head_number=100,
    last_signed_block=100,
    last_sent_block=100,
    lowest_since_block=100,
    is_lowest=True,
    is_cancelling=False,
    attempts_count=1,
    underpriced=False,
    speed_up_requested=False,
    cancel_requested=False,
    deadline_block=None,
)


def test_next_step__just_sent__waits() -> None:
    assert KeepingStep.WAIT is next_step(FRESH, POLICY)


def test_next_step__a_block_later__sends_the_same_bytes_again() -> None:
    assert KeepingStep.REBROADCAST is next_step(replace(FRESH, head_number=101), POLICY)


def test_next_step__never_sent__is_sent() -> None:
    assert KeepingStep.REBROADCAST is next_step(replace(FRESH, last_sent_block=None), POLICY)


def test_next_step__lowest_and_old__is_replaced() -> None:
    assert KeepingStep.REPLACE is next_step(replace(FRESH, head_number=103), POLICY)


def test_next_step__behind_another_nonce__is_only_sent_again() -> None:
    view = replace(FRESH, head_number=140, is_lowest=False)
    assert KeepingStep.REBROADCAST is next_step(view, POLICY)


def test_next_step__lowest_only_since_now__is_given_its_own_time() -> None:
    view = replace(FRESH, head_number=140, lowest_since_block=139)
    assert KeepingStep.REBROADCAST is next_step(view, POLICY)


def test_next_step__underpriced_in_the_same_block__waits_for_the_next() -> None:
    assert KeepingStep.WAIT is next_step(replace(FRESH, underpriced=True), POLICY)


def test_next_step__underpriced_a_block_later__is_replaced() -> None:
    view = replace(FRESH, underpriced=True, is_lowest=False, head_number=101)
    assert KeepingStep.REPLACE is next_step(view, POLICY)


def test_next_step__speed_up_asked__is_replaced_at_once() -> None:
    assert KeepingStep.REPLACE is next_step(replace(FRESH, speed_up_requested=True), POLICY)


@pytest.mark.parametrize(
    "view",
    [replace(FRESH, cancel_requested=True), replace(FRESH, deadline_block=99)],
    ids=["asked", "overdue"],
)
def test_next_step__to_be_cancelled__is_cancelled(view: KeepingView) -> None:
    assert KeepingStep.CANCEL is next_step(view, POLICY)


def test_next_step__cancelling_already__is_kept_like_any_other() -> None:
    view = replace(FRESH, cancel_requested=True, is_cancelling=True, head_number=104)
    assert KeepingStep.REPLACE is next_step(view, POLICY)


def test_next_step__at_the_deadline_itself__is_not_overdue() -> None:
    assert KeepingStep.WAIT is next_step(replace(FRESH, deadline_block=100), POLICY)


def test_next_step__attempts_used_up__makes_no_new_bytes() -> None:
    view = replace(FRESH, attempts_count=5, head_number=200, underpriced=True)
    assert KeepingStep.REBROADCAST is next_step(view, POLICY)
