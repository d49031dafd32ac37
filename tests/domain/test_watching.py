"""What is so is told, and what is over is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from settlement_node.domain.attention import Alert, AlertKind, OfFund, OfLane
from settlement_node.domain.observations import EndpointHealth
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.redemption import Held, PriceTerms
from settlement_node.domain.watching import (
    FundOnChain,
    FundSeen,
    LaneSeen,
    judge_endpoints,
    judge_fund,
    judge_fund_on_chain,
    judge_gas,
    judge_holder,
    judge_lane,
    judge_reads,
)
from settlement_node.units import Shares, Wei
from tests_support.book import CHAIN_ID, LANE_ADDRESS, address

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LANE = OfLane(CHAIN_ID, LANE_ADDRESS)
TERMS = PriceTerms(
    nav_per_share=104_250_000, nav_decimals=6, share_decimals=18, payout_decimals=6, fee_bps=0
)
QUIET_LANE = LaneSeen(
    lane=LANE,
    pause_reason=None,
    nothing_unmined=True,
    unmined=(),
    head_number=100,
    final_number=90,
    is_below_final=False,
    silent=timedelta(0),
    final_lag=timedelta(0),
    finality_mode="finalized",
    finality_answered=True,
    stalled=None,
    stalled_reason="",
)
QUIET_FUND = FundSeen("alpha", pause_reason=None, waits=set(), held=None, terms=TERMS)
QUIET_CHAIN = FundOnChain(
    settler_address=address("settler"),
    paused=False,
    operator_address=LANE_ADDRESS,
    band=PriceBand(0, 10**12, 6),
    paused_token=None,
)


def raised(alerts: Iterable[Alert]) -> dict[str, str]:
    return {alert.kind.value: alert.detail for alert in alerts if alert.detail is not None}


def test_judge__all_is_well__clears_what_it_could_raise() -> None:
    alerts = [
        *judge_lane(QUIET_LANE),
        *judge_fund(QUIET_FUND),
        *judge_fund_on_chain(QUIET_FUND, QUIET_CHAIN, LANE_ADDRESS),
    ]
    assert {} == raised(alerts)
    assert {"lane_paused", "orders_held", "token_stopped"} <= {alert.kind for alert in alerts}


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"pause_reason": ""}, "lane_paused", "nothing is planned"),
        ({"unmined": [(7, 20)]}, "transaction_stuck", "nonce 7 is unmined after 20 blocks"),
        ({"silent": timedelta(seconds=300)}, "chain_halted", "no new block since 300 s"),
        ({"final_lag": timedelta(hours=1)}, "finality_stalled", "3600 s (finalized)"),
        (
            {"final_lag": timedelta(seconds=300), "finality_answered": False},
            "finality_stalled",
            "too few endpoints",
        ),
        ({"stalled": timedelta(seconds=120)}, "lane_not_advancing", "for 120 s"),
        ({"stalled": timedelta(0), "is_below_final": True}, "lane_not_advancing", "for 0 s"),
    ],
)
def test_judge_lane__one_thing_is_wrong__tells_that(
    changes: dict[str, Any], kind: str, words: str
) -> None:
    told = raised(judge_lane(replace(QUIET_LANE, **changes)))
    assert [kind] == list(told)
    assert words in told[kind]


def test_judge_lane__something_is_unmined__leaves_what_the_signer_said() -> None:
    alerts = judge_lane(replace(QUIET_LANE, nothing_unmined=False))
    assert AlertKind.SIGNER_DOWN not in {alert.kind for alert in alerts}


@pytest.mark.parametrize(
    ("expired_at_utc", "expected"),
    [(None, True), (NOW - timedelta(seconds=60), True), (NOW - timedelta(seconds=59), False)],
    ids=["never held", "given up a minute ago", "just changing hands"],
)
def test_judge_holder__by_its_last_lease__tells_that_nobody_holds_it(
    expired_at_utc: datetime | None, expected: bool
) -> None:
    alert = judge_holder(LANE, expired_at_utc=expired_at_utc, can_hold=False, now_utc=NOW)
    assert expected is (alert.detail is not None)
    assert not expected or "no signer" in (alert.detail or "")


def test_judge_fund__held_orders__tells_count_age_and_value() -> None:
    held = Held(3, NOW, Shares(2 * 10**18))
    told = raised(judge_fund(replace(QUIET_FUND, held=held)))
    expected = "3 held, the oldest since 2026-05-04 12:00 UTC, about 208.5 to pay"
    assert {"orders_held": expected} == told


def test_judge_fund__paused__tells_why() -> None:
    told = raised(judge_fund(replace(QUIET_FUND, pause_reason="an audit")))
    assert {"fund_paused": "nothing is planned for the fund: an audit"} == told


def test_judge_fund__still_waiting_for_money__is_left_to_the_planner() -> None:
    alerts = judge_fund(replace(QUIET_FUND, waits={"liquidity"}))
    assert AlertKind.TREASURY_SHORT not in {alert.kind for alert in alerts}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"paused": True}, "settler_paused"),
        ({"operator_address": address("another")}, "settler_paused"),
        ({"band": PriceBand(0, 1, 6)}, "price_outside_band"),
        ({"paused_token": address("token")}, "token_stopped"),
    ],
)
def test_judge_fund_on_chain__one_thing_is_wrong__tells_that(
    changes: dict[str, Any], kind: str
) -> None:
    seen = replace(QUIET_CHAIN, **changes)
    assert [kind] == list(raised(judge_fund_on_chain(QUIET_FUND, seen, LANE_ADDRESS)))


def test_judge_fund_on_chain__orders_wait_for_a_token_by_its_checks__is_not_cleared() -> None:
    waiting = replace(QUIET_FUND, waits={"token_paused"})
    alerts = judge_fund_on_chain(waiting, QUIET_CHAIN, LANE_ADDRESS)
    assert AlertKind.TOKEN_STOPPED not in {alert.kind for alert in alerts}


def test_judge_gas__below_the_line__tells_both_amounts_in_coins() -> None:
    (told,) = judge_gas(LANE, Wei(10**17), 2 * 10**18, is_waited_for=False)
    assert "2 needed, 0.1 available" in (told.detail or "")
    assert told.shortfall is not None
    (over,) = judge_gas(LANE, Wei(2 * 10**18), 2 * 10**18, is_waited_for=False)
    assert over.detail is None


def test_judge_gas__above_the_line_and_an_order_waits_for_gas__leaves_what_planning_said() -> None:
    assert [] == [*judge_gas(LANE, Wei(2 * 10**18), 2 * 10**18, is_waited_for=True)]


def test_judge_reads__failing_for_a_minute__tells_it() -> None:
    about = OfFund("alpha")
    assert judge_reads(about, timedelta(seconds=59), "away").detail is None
    assert "away" in (judge_reads(about, timedelta(seconds=60), "away").detail or "")


@pytest.mark.parametrize(
    ("names", "words"),
    [(["one"], "asked all the same"), (["one", "two"], "not asked for now")],
    ids=["sole", "of two"],
)
def test_judge_endpoints__in_quarantine__says_whether_it_is_asked(
    names: list[str], words: str
) -> None:
    endpoints = [
        EndpointHealth(name, 1, 1.0, 0.1, quarantined=name == "one", last_error="refused")
        for name in names
    ]
    told = raised(judge_endpoints(CHAIN_ID, endpoints, [], []))
    assert ["endpoint_quarantined"] == list(told)
    assert words in told["endpoint_quarantined"]


def test_judge_endpoints__quarantine_over_or_no_endpoint_of_ours_any_more__is_cleared() -> None:
    well = EndpointHealth("one", 1, 1.0, 1.0, quarantined=False, last_error="refused")
    told = list(judge_endpoints(CHAIN_ID, [well], [], ["one", "gone"]))
    assert {f"{CHAIN_ID}:one", f"{CHAIN_ID}:gone"} == {
        str(alert.subject) for alert in told if alert.kind is AlertKind.ENDPOINT_QUARANTINED
    }
    assert [None] == list({alert.detail for alert in told})
