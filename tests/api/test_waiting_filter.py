"""GET /v1/redemptions?waiting_for=: the orders whose story says that they wait for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from settlement_node.domain.lifecycle import RedemptionFact
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.waiting import WaitingFor
from settlement_node.store.book import funds, redemptions
from settlement_node.store.book.redemptions import hold
from settlement_node.store.database import Store
from settlement_node.store.engine.lanes import set_lane_paused
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.telling.attention import open_break
from tests.api.support import Api, problem_of
from tests.api.test_story import mine, sign_and_send, waits
from tests_support.book import (
    CHAIN_ID,
    add_fund,
    address,
    approve,
    booked_not_paid,
    order,
    plan,
    request,
)
from tests_support.stores import DATABASES

PATH = "/v1/redemptions"
FAR = datetime(2100, 1, 1, tzinfo=UTC)
OTHER_LANE = address("another lane")


@pytest.fixture(params=DATABASES)
def database_name(request: pytest.FixtureRequest) -> str:
    """Both: the filter is the database's doing."""
    return str(request.param)


def note(store: Store, row: RedemptionRow, waiting_on: str) -> None:
    with store.transaction(actor="node") as tx:
        redemptions.set_waiting_on(tx, [row.redemption_id], waiting_on)


def fund_apart(store: Store, name: str, **changes: Any) -> FundRow:
    """A fund of its own share token with two orders, one of which planning has noted."""
    mine = {"fund_id": name, "share_token_address": address(f"{name} shares"), **changes}
    made = add_fund(store, next_nonce=None, **mine)
    noted, _ = approve(store, made, [f"{name} noted", name])
    note(store, noted, "limits")
    return made


@pytest.fixture
def book(store: Store, fund: FundRow) -> None:
    """Orders in every status, and kept back by everything that can keep one back."""
    request(store, fund, ["requested"])
    _, liquidity, stale, planned = approve(store, fund, ["free", "liquidity", "stale", "planned"])
    note(store, liquidity, "liquidity")
    note(store, stale, "fund_paused")
    approve(store, fund, [order("later", settle_after_utc=FAR)])
    plan(store, fund, [planned], nonce=0)
    (sent,) = approve(store, fund, ["sent"])
    sign_and_send(store, plan(store, fund, [sent], nonce=1)[0])
    (paid,) = approve(store, fund, ["paid"])
    mine(store, sign_and_send(store, plan(store, fund, [paid], nonce=2)[0]), paid, head=13)
    held, cancelled = approve(store, fund, ["held", "cancelled"])
    fund_apart(store, "elsewhere", lane_address=OTHER_LANE)
    fund_apart(store, "unpriced", nav_per_share=None)
    fund_apart(store, "paused")
    doubted = fund_apart(store, "doubted")
    with store.transaction(actor="test") as tx:
        redemptions.record_facts(tx, [hold(held, HoldReason.OPERATOR, "asked for")])
        redemptions.record_fact(tx, cancelled, RedemptionFact.CANCELLATION_GIVEN)
        funds.set_fund_paused(tx, "paused", paused=True, reason="audit")
        set_lane_paused(tx, CHAIN_ID, OTHER_LANE, paused=True, reason="key rotation")
        open_break(tx, doubted, booked_not_paid("x"))


def told(api: Api) -> dict[str, list[str]]:
    """What each order's story says that it waits for, newest first."""
    items = api.get(PATH, params={"limit": 200}).json()["items"]
    return {
        item["external_id"]: waits(api.get(f"{PATH}/{item['redemption_id']}").json())
        for item in items
    }


def listed(api: Api, **asked: Any) -> list[str]:
    """The external ids of all pages, two orders a page."""
    names, cursor = [], {}
    while True:
        page = api.get(PATH, params=asked | {"limit": 2} | cursor).json()
        names += [item["external_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return names
        cursor = {"cursor": page["next_cursor"]}


IN_THIS_BOOK = {
    "approvals", "nav", "settlement_date", "liquidity", "limits", "lane_paused", "fund_paused",
    "break_open", "planning", "broadcast", "mining", "confirmations", "person",
}  # fmt: skip


def test_waiting_for__each_word__lists_the_orders_whose_story_says_it(api: Api, book: None) -> None:
    stories = told(api)
    assert {word for words in stories.values() for word in words} == IN_THIS_BOOK
    expected = {
        word.value: [name for name, words in stories.items() if word.value in words]
        for word in WaitingFor
    }
    assert expected == {word.value: listed(api, waiting_for=word.value) for word in WaitingFor}


def test_waiting_for__with_fund_and_status__is_what_all_of_them_leave(api: Api, book: None) -> None:
    assert ["elsewhere noted"] == listed(api, waiting_for="limits", fund_id="elsewhere")
    assert [] == listed(api, waiting_for="limits", status="held")
    assert ["held"] == listed(api, waiting_for="person", status="held", fund_id="alpha")


def test_waiting_for__a_word_of_nobody__is_422_that_names_it(api: Api) -> None:
    assert "waiting_for" == problem_of(api.get(PATH, params={"waiting_for": "luck"}), 422)["field"]


def test_waiting_for__any_number_of_funds__takes_as_many_queries(api: Api, store: Store) -> None:
    counts = []
    for number in range(2):
        fund_apart(store, f"fund {number}")
        with selects_of(store) as sent:
            listed(api, waiting_for="planning")
        counts.append(len(sent))
    assert counts[0] == counts[1]


@contextmanager
def selects_of(store: Store) -> Iterator[list[str]]:
    """The queries that the database gets meanwhile."""
    sent: list[str] = []

    def keep(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", keep)
    yield sent
    sa.event.remove(store.engine, "before_cursor_execute", keep)
