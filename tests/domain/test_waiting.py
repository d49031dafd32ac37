"""What an unfinished redemption waits for."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionStatus
from settlement_node.domain.waiting import (
    Standing,
    Waiting,
    WaitingFor,
    obstacles_of,
    waiting_for,
)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
CLEAR = Standing(lane_paused=False, fund_paused=False, break_open=False, nav_known=True)
PAUSED = dataclasses.replace(CLEAR, fund_paused=True)


def test_standing__nothing_in_the_way__has_no_obstacle() -> None:
    assert () == CLEAR.obstacles()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lane_paused": True}, ["lane_paused"]),
        ({"fund_paused": True}, ["fund_paused"]),
        ({"break_open": True}, ["break_open"]),
        ({"nav_known": False}, ["nav"]),
        (
            {"lane_paused": True, "fund_paused": True, "break_open": True, "nav_known": False},
            ["lane_paused", "break_open", "fund_paused", "nav"],
        ),
    ],
    ids=",".join,
)
def test_standing__each_in_the_way__is_named_most_lasting_first(
    changes: dict[str, bool], expected: list[str]
) -> None:
    assert expected == [word.value for word in dataclasses.replace(CLEAR, **changes).obstacles()]


@pytest.mark.parametrize(("seconds", "expected"), [(0, ()), (1, (WaitingFor.SETTLEMENT_DATE,))])
def test_obstacles_of__settlement_date__is_one_until_it_has_come(
    seconds: int, expected: tuple[WaitingFor, ...]
) -> None:
    date = NOW + timedelta(seconds=seconds)
    assert expected == obstacles_of(CLEAR, settle_after_utc=date, noted=None, now_utc=NOW)


@pytest.mark.parametrize(
    ("standing", "noted", "expected"),
    [
        (CLEAR, WaitingFor.LIQUIDITY, (WaitingFor.LIQUIDITY,)),
        (PAUSED, WaitingFor.LIQUIDITY, (WaitingFor.FUND_PAUSED, WaitingFor.LIQUIDITY)),
        (PAUSED, WaitingFor.FUND_PAUSED, (WaitingFor.FUND_PAUSED,)),
        (CLEAR, WaitingFor.FUND_PAUSED, ()),
    ],
)
def test_obstacles_of__note_of_planning__counts_unless_the_book_knows_better(
    standing: Standing, noted: WaitingFor, expected: tuple[WaitingFor, ...]
) -> None:
    found = obstacles_of(standing, settle_after_utc=None, noted=noted, now_utc=NOW)
    assert expected == found


@pytest.mark.parametrize("status", sorted(REDEMPTION_ENDED))
def test_waiting_for__ended__is_nothing(status: RedemptionStatus) -> None:
    assert waiting_for(status) == ()


@pytest.mark.parametrize("status", sorted(set(RedemptionStatus) - REDEMPTION_ENDED))
def test_waiting_for__unfinished__is_something(status: RedemptionStatus) -> None:
    assert len(waiting_for(status)) == 1


def test_waiting_for__approved_with_obstacles__is_each_of_them() -> None:
    waiting = waiting_for(
        RedemptionStatus.APPROVED, obstacles=(WaitingFor.NAV, WaitingFor.LIQUIDITY)
    )
    assert waiting == (Waiting(WaitingFor.NAV), Waiting(WaitingFor.LIQUIDITY))


def test_waiting_for__approved_and_due__is_the_next_plan() -> None:
    assert waiting_for(RedemptionStatus.APPROVED) == (Waiting(WaitingFor.PLANNING),)


@pytest.mark.parametrize(
    ("sent", "expected"), [(False, WaitingFor.BROADCAST), (True, WaitingFor.MINING)]
)
def test_waiting_for__settling__is_the_send_and_then_the_miner(
    sent: bool, expected: WaitingFor
) -> None:
    assert waiting_for(RedemptionStatus.SETTLING, attempt_sent=sent) == (Waiting(expected),)


def test_waiting_for__paid__counts_confirmations() -> None:
    waiting = waiting_for(
        RedemptionStatus.PAID, confirmations_blocks=3, confirmations_needed_blocks=12
    )
    assert waiting == (Waiting(WaitingFor.CONFIRMATIONS, 3, 12),)


def test_waiting_for__held__is_a_person_with_the_reason() -> None:
    waiting = waiting_for(RedemptionStatus.HELD, hold_reason="burn_failed")
    assert waiting == (Waiting(WaitingFor.PERSON, detail="burn_failed"),)
