"""GET /v1/redemptions: filters, search, pages, cursors."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from settlement_node.store.book import redemptions
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow
from tests.api.support import Api, problem_of
from tests_support.book import add_fund, address, approve, order
from tests_support.clock import Clock
from tests_support.stores import DATABASES

PATH = "/v1/redemptions"


@pytest.fixture(params=DATABASES)
def database_name(request: pytest.FixtureRequest) -> str:
    """Both: what is asked for here is the database's doing."""
    return str(request.param)


@pytest.fixture
def five(store: Store, fund: FundRow, clock: Clock) -> list[str]:
    """Five redemptions, a second apart but for the last two; newest first."""
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        approve(store, fund, [name])
        if name != "d":
            clock.advance(seconds=1)
    return names[::-1]


def listed(api: Api, **asked: Any) -> list[str]:
    answer = api.get(PATH, params=asked)
    assert answer.status_code == 200, answer.text
    return [item["external_id"] for item in answer.json()["items"]]


def test_list__without_filters__is_newest_first(api: Api, five: list[str]) -> None:
    names = listed(api)
    assert (sorted(names[:2]), names[2:]) == (["d", "e"], ["c", "b", "a"])


def test_list__an_empty_book__is_an_empty_page(api: Api) -> None:
    assert api.get(PATH).json() == {"items": [], "next_cursor": None}


def test_list__page_by_page__gives_every_row_once(api: Api, five: list[str]) -> None:
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        asked = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = api.get(PATH, params=asked).json()
        seen += [item["external_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == listed(api)


def test_list__rows_added_between_pages__do_not_move_the_cursor(
    api: Api, five: list[str], store: Store, fund: FundRow
) -> None:
    first = api.get(PATH, params={"limit": 3}).json()
    approve(store, fund, ["new"])
    rest = listed(api, limit=3, cursor=first["next_cursor"])
    assert rest == ["b", "a"]


def test_list__with_filters__gives_what_fits(
    api: Api, five: list[str], store: Store, fund: FundRow
) -> None:
    other = add_fund(store, fund_id="beta", share_token_address=address("beta"), next_nonce=None)
    approve(store, other, ["in beta"])
    assert listed(api, fund_id="beta") == ["in beta"]
    assert listed(api, investor_address=address("investor c")) == ["c"]
    assert listed(api, status="held") == []
    assert len(listed(api, status="approved")) == 6
    second, third = "2026-01-05T12:00:01Z", "2026-01-05T12:00:02Z"
    assert listed(api, requested_from_utc=second, requested_before_utc=third) == ["b"]


@pytest.mark.parametrize("by", ["external_id", "investor", "payee", "redemption_id"])
def test_list__search__looks_at_ids_and_addresses(
    api: Api, store: Store, fund: FundRow, by: str
) -> None:
    wanted, _ = approve(store, fund, [order("Order 100%_x"), order("other")])
    asked = {
        "external_id": "00%_",
        "investor": wanted.investor_address.lower(),
        "payee": wanted.payee_address,
        "redemption_id": wanted.redemption_id,
    }[by]
    assert listed(api, search=asked) == ["Order 100%_x"]


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"status": "burnt"},
        {"investor_address": address("x").lower()},
        {"requested_from_utc": "2026-01-01"},
        {"search": "a\x00b"},
        {"search": "x" * 129},
        {"fund_id": "\x00"},
        {"fund_id": "x" * 65},
    ],
    ids=str,
)
def test_list__bad_filters__are_422_and_name_the_parameter(api: Api, asked: dict[str, Any]) -> None:
    problem = problem_of(api.get(PATH, params=asked), 422)
    assert problem["field"] == next(iter(asked))


@pytest.mark.parametrize("path", [PATH, "/v1/settlements", "/v1/reconciliation"])
def test_list__of_a_fund_nobody_knows__is_404_by_its_name(api: Api, path: str) -> None:
    problem = problem_of(api.get(path, params={"fund_id": "growth"}), 404)
    assert problem["field"] == "fund_id"
    assert "'growth'" in problem["detail"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"search": ""}, "search is too short: it takes 1 or more characters"),
        ({"search": "x" * 129}, "search is too long: it takes 128 characters at most"),
        ({"limit": 0}, "limit must be 1 or more"),
        ({"limit": "many"}, "limit must be a whole number"),
        ({"fund_id": ""}, "fund_id is too short: it takes 1 or more characters"),
    ],
    ids=str,
)
def test_list__bad_filters__are_told_in_words_of_ours(
    api: Api, asked: dict[str, Any], words: str
) -> None:
    assert words == problem_of(api.get(PATH, params=asked), 422)["detail"]


def test_list__a_cursor_with_other_filters__is_refused(api: Api, five: list[str]) -> None:
    cursor = api.get(PATH, params={"limit": 2}).json()["next_cursor"]
    problem = problem_of(api.get(PATH, params={"cursor": cursor, "status": "held"}), 422)
    assert problem["field"] == "cursor"


def forged(position: Any) -> str:
    return base64.urlsafe_b64encode(b"012345678" + json.dumps(position).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["x", "====", "é", "A" * 512, "A" * 513, forged([1, "x"]), forged([10**40, "x"]), "\x00", ""],
)
def test_list__a_cursor_of_nobody__is_refused(api: Api, five: list[str], cursor: str) -> None:
    assert problem_of(api.get(PATH, params={"cursor": cursor}), 422)["field"] == "cursor"


def test_list__a_page__is_one_query(api: Api, five: list[str], store: Store) -> None:
    """The page query itself has no follow-ups: it is the only select of the request."""
    with store.read() as tx:
        rows = redemptions.page(tx, redemptions.RedemptionFilter(), limit=5)
    assert len(rows) == 5
