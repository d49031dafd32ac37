"""The operators' commands: what they change, and what they refuse."""

from __future__ import annotations

import pytest

from settlement_node.cli.output import EXIT_INPUT
from settlement_node.domain.breaks import SupplyDiffers
from settlement_node.domain.lane_breaks import ReorganisationBeyondFinality
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow
from settlement_node.store.telling import attention
from tests.cli.conftest import Desk
from tests_support.book import approve, block, booked_not_paid, hash32, plan, sign, stranger

WHY = ("--reason", "asked for by the treasurer")


def test_redemption__held_then_released_then_cancelled__moves_along(
    desk: Desk, fund: FundRow
) -> None:
    (row,) = approve(desk.store, fund, ["a"])
    for verb, status in (("hold", "held"), ("release", "approved"), ("cancel", "cancelled")):
        told = desk.json("redemption", verb, row.redemption_id, *WHY)
        assert (row.redemption_id, status) == (told["redemption_id"], told["status"])


def test_redemption_release__not_held__is_refused_and_nothing_changes(
    desk: Desk, fund: FundRow
) -> None:
    (row,) = approve(desk.store, fund, ["a"])
    told = desk.json("redemption", "release", row.redemption_id, *WHY, code=EXIT_INPUT)
    assert "only a held redemption" in told["error"]["message"]
    with desk.store.read() as tx:
        assert redemptions.get(tx, row.redemption_id) == row


def test_redemption_hold__useless_reason__is_refused(desk: Desk, fund: FundRow) -> None:
    (row,) = approve(desk.store, fund, ["a"])
    told = desk.json("redemption", "hold", row.redemption_id, "--reason", "x", code=EXIT_INPUT)
    assert "reason" == told["error"]["details"]["field"]


def test_lane__paused_and_resumed__changes_its_row(desk: Desk, fund: FundRow) -> None:
    for verb, paused in (("pause", True), ("resume", False)):
        desk.json("lane", verb, str(fund.chain_id), fund.lane_address, *WHY)
        with desk.store.read() as tx:
            lane = get_lane(tx, fund.chain_id, fund.lane_address)
        assert lane is not None
        assert paused is lane.paused


@pytest.mark.parametrize(
    ("verb", "field"), [("cancel", "cancel_requested"), ("speed-up", "speed_up_requested")]
)
def test_transaction__unmined__is_asked_for(
    desk: Desk, fund: FundRow, verb: str, field: str
) -> None:
    (row,) = approve(desk.store, fund, ["a"])
    plan(desk.store, fund, [row], nonce=0)
    with desk.store.transaction(actor="test") as tx:
        (planned,) = transactions.unmined(tx, fund.chain_id, fund.lane_address)
        sign(tx, planned)
    told = desk.json("transaction", verb, hash32("attempt"), *WHY)
    assert 0 == told["nonce"]
    with desk.store.read() as tx:
        assert getattr(transactions.get(tx, planned.transaction_id), field) is True


def test_transaction_cancel__unknown__is_refused(desk: Desk, fund: FundRow) -> None:
    told = desk.json("transaction", "cancel", hash32("nothing"), *WHY, code=EXIT_INPUT)
    assert "not_found" == told["error"]["code"]


def test_break_resolve__of_a_stranger__accepts_that_its_nonce_is_gone(
    desk: Desk, fund: FundRow
) -> None:
    (row,) = approve(desk.store, fund, ["a"])
    plan(desk.store, fund, [row], nonce=0)
    with desk.store.transaction(actor="test") as tx:
        attention.open_lane_break(tx, stranger(nonce=0))
        (opened,) = attention.open_breaks(tx)
    desk.json("break", "resolve", str(opened["break_id"]), *WHY)
    with desk.store.read() as tx:
        (transaction,) = transactions.unmined(tx, fund.chain_id, fund.lane_address)
    assert transaction.displacement_accepted


def test_break_resolve__of_a_deep_reorganisation__forgets_the_old_blocks(
    desk: Desk, fund: FundRow
) -> None:
    key = lane_key(fund.chain_id, fund.lane_address)
    with desk.store.transaction(actor="test") as tx:
        chain_book.remember_heads(tx, key, [block(10), block(11)])
        deep = ReorganisationBeyondFinality(fund.chain_id, fund.lane_address, 10, 11)
        attention.open_lane_break(tx, deep)
        (opened,) = attention.open_breaks(tx)
    desk.json("break", "resolve", str(opened["break_id"]), *WHY)
    with desk.store.read() as tx:
        assert chain_book.latest_head(tx, key) is None
        assert all(s["scanned_to_block"] < 11 for s in settlers_of(tx, fund.fund_id))


def test_fund_rescan__from_the_future__is_refused(desk: Desk, fund: FundRow) -> None:
    told = desk.json(
        "fund", "rescan", fund.fund_id, "--from-block", "999999", *WHY, code=EXIT_INPUT
    )
    assert "future" in told["error"]["message"]


def test_fund_nav__new_price__is_kept_exactly(desk: Desk, fund: FundRow) -> None:
    desk.json("fund", "nav", fund.fund_id, "104.255", "--decimals", "4", *WHY)
    with desk.store.read() as tx:
        changed = get_fund(tx, fund.fund_id)
    assert (1_042_550, 4) == (changed.nav_per_share, changed.nav_decimals)


@pytest.mark.parametrize("since", ["2200-01-01T00:00:00Z", "2026-01-31T12:00:00", "then"])
def test_fund_nav__since_no_time_in_the_past_with_its_zone__is_refused(
    desk: Desk, fund: FundRow, since: str
) -> None:
    told = desk.json("fund", "nav", fund.fund_id, "2", "--since", since, *WHY, code=EXIT_INPUT)
    assert "since" in told["error"]["message"]


@pytest.mark.parametrize("price", ["0", "-1", "1.23456", "1e3", "abc", ""])
def test_fund_nav__no_price__is_refused(desk: Desk, fund: FundRow, price: str) -> None:
    answer = desk.run("fund", "nav", "--decimals", "4", *WHY, "--", fund.fund_id, price)
    assert EXIT_INPUT == answer.exit_code
    assert "nav" in answer.stderr
    with desk.store.read() as tx:
        assert fund == get_fund(tx, fund.fund_id)


def test_fund__paused_and_resumed__changes_its_row(desk: Desk, fund: FundRow) -> None:
    for verb, paused in (("pause", True), ("resume", False)):
        desk.json("fund", verb, fund.fund_id, *WHY)
        with desk.store.read() as tx:
            assert paused is get_fund(tx, fund.fund_id).paused


def of_fund(desk: Desk, fund: FundRow, *names: str) -> list[int]:
    """Open breaks of the fund, one for each redemption; returns their numbers."""
    with desk.store.transaction(actor="test") as tx:
        for name in names:
            attention.open_break(tx, fund, booked_not_paid(name))
        return [row["break_id"] for row in attention.open_breaks(tx)]


def test_break_resolve__several__closes_those_that_are_open_and_names_each(
    desk: Desk, fund: FundRow
) -> None:
    first, second, third = of_fund(desk, fund, "a", "b", "c")
    desk.json("break", "resolve", str(first), *WHY)
    told = desk.json("break", "resolve", str(first), str(second), *WHY)
    assert {str(first): "not_open", str(second): "resolved"} == told["breaks"]
    with desk.store.read() as tx:
        assert [third] == [row["break_id"] for row in attention.open_breaks(tx)]


def test_break_resolve__by_kind_and_fund__closes_all_of_that_kind_only(
    desk: Desk, fund: FundRow
) -> None:
    wanted = of_fund(desk, fund, "a", "b")
    with desk.store.transaction(actor="test") as tx:
        attention.open_break(tx, fund, SupplyDiffers(fund.fund_id, 1, 2))
        (other,) = {row["break_id"] for row in attention.open_breaks(tx)} - {*wanted}
    told = desk.json("break", "resolve", "--kind", "booked_not_paid", "--fund", fund.fund_id, *WHY)
    assert dict.fromkeys(map(str, wanted), "resolved") == told["breaks"]
    with desk.store.read() as tx:
        assert [other] == [row["break_id"] for row in attention.open_breaks(tx)]


@pytest.mark.parametrize(
    "asked",
    [
        [],
        ["--kind", "booked_not_paid"],
        ["--fund", "alpha"],
        ["1", "--kind", "x", "--fund", "alpha"],
    ],
    ids=["nothing", "kind alone", "fund alone", "both ways"],
)
def test_break_resolve__unclear_which__is_refused(
    desk: Desk, fund: FundRow, asked: list[str]
) -> None:
    of_fund(desk, fund, "a")
    told = desk.json("break", "resolve", *asked, *WHY, code=EXIT_INPUT)
    assert "break_ids" == told["error"]["details"]["field"]
    with desk.store.read() as tx:
        assert 1 == attention.count_open_breaks(tx)


def test_break_resolve__none_is_open__is_refused(desk: Desk, fund: FundRow) -> None:
    told = desk.json("break", "resolve", "7", "8", *WHY, code=EXIT_INPUT)
    assert "none of these breaks is open: 7, 8" in told["error"]["message"]
