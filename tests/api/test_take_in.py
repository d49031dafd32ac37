"""POST /v1/redemptions: what is taken, and everything that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from settlement_node.api.app import create_app
from settlement_node.store.book import redemptions
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow
from settlement_node.store.telling import records
from settlement_node.units import UINT256_MAX
from tests.api.support import (
    ENVIRONMENT,
    OTHER_KEY,
    Api,
    ScriptedChain,
    api_settings,
    body,
    node_context,
    order_body,
    problem_of,
)
from tests_support.book import address

PATH = "/v1/redemptions"


def recorded(store: Store) -> int:
    with store.read() as tx:
        return sum(redemptions.count_by_status(tx).values())


def test_post__one_order__is_approved_and_answered_whole(
    api: Api, fund: FundRow, store: Store
) -> None:
    answer = api.post(PATH, json=body("a"))
    assert answer.status_code == 201
    (taken,) = answer.json()["redemptions"]
    assert (taken["external_id"], taken["status"]) == ("a", "approved")
    assert taken["redemption_index"] == 0
    assert taken["shares_base_units"] == str(10**18)
    assert taken["payout_base_units"] is None
    with store.read() as tx:
        facts = records.audit_of(tx, "redemption", taken["redemption_id"])
    assert [fact["actor"] for fact in facts] == ["api:treasury", "api:treasury"]
    assert facts[-1]["detail"]["approved_by"] == "api:treasury"


def test_post__many_orders__are_taken_in_their_order(api: Api, fund: FundRow) -> None:
    names = [f"order {n:03}" for n in range(50)]
    answer = api.post(PATH, json=body(*names))
    assert [r["external_id"] for r in answer.json()["redemptions"]] == names


def test_post__the_largest_batch_and_the_largest_amount__are_taken(api: Api, fund: FundRow) -> None:
    orders = [order_body(f"{n}", shares_base_units=str(UINT256_MAX)) for n in range(1_000)]
    answer = api.post(PATH, json=body(*orders))
    assert answer.status_code == 201
    assert len(answer.json()["redemptions"]) == 1_000


def test_post__a_settlement_date_in_another_zone__is_kept_in_utc(api: Api, fund: FundRow) -> None:
    order = order_body("a", settle_after_utc="2026-03-01T00:30:00+02:00")
    (taken,) = api.post(PATH, json=body(order)).json()["redemptions"]
    assert taken["settle_after_utc"] == "2026-02-28T22:30:00Z"


LOWER = address("x").lower()
SWAPPED = address("x").swapcase().replace("0X", "0x")

HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("zero", {"shares_base_units": "0"}, "shares_base_units"),
    ("negative", {"shares_base_units": "-5"}, "shares_base_units"),
    ("fraction", {"shares_base_units": "1.5"}, "shares_base_units"),
    ("exponent", {"shares_base_units": "1e18"}, "shares_base_units"),
    ("JSON number", {"shares_base_units": 1_000}, "shares_base_units"),
    ("over 2^256", {"shares_base_units": str(UINT256_MAX + 1)}, "shares_base_units"),
    ("far over 2^256", {"shares_base_units": "9" * 5_000}, "shares_base_units"),
    ("other digits", {"shares_base_units": "١٢"}, "shares_base_units"),
    ("blank", {"shares_base_units": " 5"}, "shares_base_units"),
    ("null", {"shares_base_units": None}, "shares_base_units"),
    ("no checksum", {"investor_address": LOWER}, "investor_address"),
    ("wrong checksum", {"payee_address": SWAPPED}, "payee_address"),
    ("short address", {"payee_address": address("x")[:-1]}, "payee_address"),
    ("zero address", {"payee_address": "0x" + "00" * 20}, "payee_address"),
    ("a list as an address", {"payee_address": [address("x")]}, "payee_address"),
    ("empty id", {"external_id": ""}, "external_id"),
    ("blank id", {"external_id": " a"}, "external_id"),
    ("long id", {"external_id": "x" * 129}, "external_id"),
    ("NUL in the id", {"external_id": "a\x00b"}, "external_id"),
    ("line break in the id", {"external_id": "a\nb"}, "external_id"),
    ("time without a zone", {"settle_after_utc": "2026-01-01T00:00:00"}, "settle_after_utc"),
    ("no time", {"settle_after_utc": "tomorrow"}, "settle_after_utc"),
    ("time out of range", {"settle_after_utc": "0001-01-01T00:00:00+14:00"}, "settle_after_utc"),
    ("a number as a time", {"settle_after_utc": 1_700_000_000}, "settle_after_utc"),
    ("unknown field", {"amount": "5"}, "amount"),
]


@pytest.mark.parametrize(
    ("changes", "field"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_post__one_bad_order_among_good__names_the_field_and_takes_nothing(
    api: Api, fund: FundRow, store: Store, changes: dict[str, Any], field: str
) -> None:
    content = json.dumps(body("good", order_body("bad", **changes)))
    answer = api.post(PATH, content=content, headers={"Content-Type": "application/json"})
    problem = problem_of(answer, 422)
    assert problem["field"] == f"redemptions[1].{field}"
    assert problem["detail"].startswith(problem["field"])
    assert recorded(store) == 0


@pytest.mark.parametrize("missing", ["external_id", "investor_address", "shares_base_units"])
def test_post__a_missing_field__is_named(api: Api, fund: FundRow, missing: str) -> None:
    order = order_body("a")
    del order[missing]
    problem = problem_of(api.post(PATH, json=body(order)), 422)
    assert problem["detail"] == f"redemptions[0].{missing} is missing"


def test_post__the_treasury_as_payee__is_refused(api: Api, fund: FundRow, store: Store) -> None:
    order = order_body("a", payee_address=fund.treasury_address)
    problem = problem_of(api.post(PATH, json=body(order)), 422)
    assert problem["field"] == "payee_address"
    assert problem["details"]["external_id"] == "a"
    assert recorded(store) == 0


@pytest.mark.parametrize("count", [0, 1_001])
def test_post__none_or_too_many__are_refused(api: Api, fund: FundRow, count: int) -> None:
    problem = problem_of(api.post(PATH, json=body(*[f"{n}" for n in range(count)])), 422)
    assert problem["field"] == "redemptions"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"fund_id": "alpha", "redemptions": []},
         "redemptions has too few entries: it takes 1 or more"),
        ({"fund_id": "alpha", "redemptions": {}}, "redemptions must be a list"),
        ({"fund_id": "alpha", "redemptions": [5]}, "redemptions[0] must be a JSON object"),
        ({"fund_id": 5, "redemptions": [order_body("a")]}, "fund_id must be a string"),
        ([], "body must be a JSON object"),
    ],
)  # fmt: skip
def test_post__another_shape__is_told_in_words_of_ours(
    api: Api, fund: FundRow, content: Any, words: str
) -> None:
    assert words == problem_of(api.post(PATH, json=content), 422)["detail"]


def test_post__unknown_fund__is_404(api: Api, store: Store) -> None:
    problem = problem_of(api.post(PATH, json=body("a", fund_id="nobody's")), 404)
    assert problem["field"] == "fund_id"
    assert recorded(store) == 0


def test_post__an_id_twice_in_one_request__is_a_conflict_that_names_it(
    api: Api, fund: FundRow, store: Store
) -> None:
    problem = problem_of(api.post(PATH, json=body("a", "b", "a")), 409)
    assert problem["details"]["external_id"] == "a"
    assert recorded(store) == 0


def test_post__an_id_of_the_book__is_a_conflict_and_nothing_of_the_request_is_taken(
    api: Api, fund: FundRow, store: Store
) -> None:
    api.post(PATH, json=body("a"))
    problem = problem_of(api.post(PATH, json=body("b", "a")), 409)
    assert problem["details"]["external_id"] == "a"
    assert "'a'" in problem["detail"]
    assert recorded(store) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b'{"fund_id": "\xe4"}',
        b'{"fund_id": "\\ud800"}',
        b'{"fund_id": NaN}',
        b"[" * 200_000,
        b'{"a":' * 50_000,
    ],
    ids=[
        "cut off",
        "empty",
        "not UTF-8",
        "Latin-1",
        "surrogate",
        "NaN",
        "deep list",
        "deep object",
    ],
)
def test_post__not_json__is_400_or_422(api: Api, fund: FundRow, content: bytes) -> None:
    answer = api.post(PATH, content=content, headers={"Content-Type": "application/json"})
    problem_of(answer, answer.status_code)
    assert answer.status_code in (400, 422)


ORDER = json.dumps(order_body("b"))[1:]
REPEATS = [
    ("in an order", f'{{"fund_id": "alpha", "redemptions": [{{"external_id": "a", {ORDER}]}}'),
    ("in the body", f'{{"redemptions": [], "fund_id": "alpha", "redemptions": [{{{ORDER}]}}'),
    ("escaped", f'{{"fund_id": "alpha", "redemptions": [{{"external\\u005fid": "a", {ORDER}]}}'),
    ("in no field of ours", '{"fund_id": "alpha", "x": {"y": 1, "y": 2}, "redemptions": []}'),
]


@pytest.mark.parametrize("content", [c[1] for c in REPEATS], ids=[c[0] for c in REPEATS])
def test_post__a_key_twice__is_refused_and_named(
    api: Api, fund: FundRow, store: Store, content: str
) -> None:
    problem = problem_of(
        api.post(PATH, content=content, headers={"Content-Type": "application/json"}), 400
    )
    assert " is there twice in one object of the body" in problem["detail"]
    assert any(
        f'the key "{key}"' in problem["detail"] for key in ("external_id", "redemptions", "y")
    )
    assert recorded(store) == 0


def test_post__json_of_another_shape__is_422(api: Api, fund: FundRow) -> None:
    for wrong in ([], "text", 5, None, {"redemptions": {}}, [body("a")]):
        problem_of(api.post(PATH, json=wrong), 422)


def test_post__a_number_of_thousands_of_digits__is_refused(api: Api, fund: FundRow) -> None:
    content = b'{"fund_id": ' + b"9" * 10_000 + b"}"
    answer = api.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_post__another_media_type__is_415(api: Api, fund: FundRow) -> None:
    content = json.dumps(body("a")).encode()
    problem_of(api.post(PATH, content=content, headers={"Content-Type": "text/plain"}), 415)


def test_post__too_large_a_body__is_413_with_and_without_a_length(
    store: Store, chain: ScriptedChain, portal: BlockingPortal, fund: FundRow
) -> None:
    small = create_app(
        node_context(store, chain), api_settings(body_bytes_max=1024), environment=ENVIRONMENT
    )
    api = Api(small, portal)
    content = json.dumps(body(*[f"{n}" for n in range(20)])).encode()

    async def in_chunks() -> Any:
        for start in range(0, len(content), 500):
            yield content[start : start + 500]

    kind = {"Content-Type": "application/json"}
    for sent in (content, in_chunks()):
        problem = problem_of(api.post(PATH, content=sent, headers=kind), 413)
        assert problem["code"] == "content_too_large"
        assert "1024 bytes" in problem["detail"]
    assert recorded(store) == 0


def test_post__without_a_key__is_401_and_says_how(api: Api, fund: FundRow, store: Store) -> None:
    answer = api.post(PATH, json=body("a"), key=None)
    problem = problem_of(answer, 401)
    assert "X-API-Key" in problem["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert recorded(store) == 0


@pytest.mark.parametrize("key", ["wrong", "", "x" * 1_000, "a-key-of-the-treasury-desk "])
def test_post__with_a_wrong_key__is_401(api: Api, fund: FundRow, key: str) -> None:
    problem_of(api.post(PATH, json=body("a"), key=None, headers={"X-API-Key": key}), 401)


def test_post__with_the_header_of_its_own__is_that_client(
    api: Api, fund: FundRow, store: Store
) -> None:
    answer = api.post(PATH, json=body("a"), key=None, headers={"X-API-Key": OTHER_KEY})
    assert answer.status_code == 201
    with store.read() as tx:
        facts = records.audit_of(tx, "redemption", answer.json()["redemptions"][0]["redemption_id"])
    assert facts[0]["actor"] == "api:administrator"


def test_post__where_no_key_is_configured__says_so(
    store: Store, chain: ScriptedChain, portal: BlockingPortal, fund: FundRow
) -> None:
    app = create_app(node_context(store, chain), api_settings(api_keys=()), environment={})
    problem = problem_of(Api(app, portal).post(PATH, json=body("a")), 401)
    assert "api.api_keys" in problem["detail"]


def test_post__an_id_of_the_book_written_with_another_hyphen__is_a_conflict(
    api: Api, fund: FundRow, store: Store
) -> None:
    first = api.post(PATH, json=body("ORDER-Z\u00fc-1")).json()["redemptions"][0]
    problem = problem_of(api.post(PATH, json=body("ORDER\u2013Zu\u0308\u22121")), 409)
    assert problem["details"]["external_id"] == "ORDER-Z\u00fc-1" == first["external_id"]
    found = api.get(PATH, params={"search": "ORDER\u2014Zu\u0308"}).json()["items"]
    assert [row["redemption_id"] for row in found] == [first["redemption_id"]]
    assert recorded(store) == 1


@pytest.mark.parametrize("external_id", ["=1+1", "+A1", "-A1", "@A1", "\u2212A1"])
def test_post__an_id_like_a_formula__is_422(
    api: Api, fund: FundRow, store: Store, external_id: str
) -> None:
    problem = problem_of(api.post(PATH, json=body("a", external_id)), 422)
    assert problem["field"] == "redemptions[1].external_id"
    assert recorded(store) == 0


def test_post__several_ids_taken__the_conflict_names_each_with_its_place(
    api: Api, fund: FundRow, store: Store
) -> None:
    taken = [f"old-{n}" for n in range(30)]
    api.post(PATH, json=body(*taken))
    problem = problem_of(api.post(PATH, json=body("new", *taken, "new")), 409)
    assert [error["field"] for error in problem["errors"]] == [
        f"redemptions[{n}].external_id" for n in range(1, 32)
    ]
    assert all(
        f"'{name}'" in e["message"] for name, e in zip(taken, problem["errors"], strict=False)
    )
    assert "and 30 more" in problem["detail"]
    assert recorded(store) == 30
