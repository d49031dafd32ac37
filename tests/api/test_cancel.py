"""POST /v1/redemptions/{id}/cancel."""

from __future__ import annotations

from typing import Any

import pytest

from settlement_node.domain.postings import Account
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow
from tests.api.support import Api, body, problem_of
from tests_support.book import approve, hash32, plan
from tests_support.ledger import balance

REASON = {"reason": "withdrawn by the investor"}


def taken(api: Api, name: str = "a") -> str:
    answer = api.post("/v1/redemptions", json=body(name))
    return str(answer.json()["redemptions"][0]["redemption_id"])


def test_cancel__approved__is_cancelled_and_its_shares_are_released(
    api: Api, store: Store, fund: FundRow
) -> None:
    path = f"/v1/redemptions/{taken(api)}"
    answer = api.post(f"{path}/cancel", json=REASON)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    last = api.get(path).json()["facts"][-1]
    assert last["fact"] == "cancellation_given"
    assert last["detail"]["reason"] == REASON["reason"]
    assert last["actor"] == "api:treasury"
    with store.read() as tx:
        assert balance(tx, fund_id=fund.fund_id, account=Account.SHARES_RESERVED) == 0


def test_cancel__twice__is_a_conflict(api: Api, fund: FundRow) -> None:
    path = f"/v1/redemptions/{taken(api)}/cancel"
    api.post(path, json=REASON)
    problem = problem_of(api.post(path, json=REASON), 409)
    assert problem["details"]["status"] == "cancelled"


def test_cancel__twice_with_one_key__is_answered_alike(api: Api, fund: FundRow) -> None:
    path = f"/v1/redemptions/{taken(api)}/cancel"
    key = {"Idempotency-Key": "cancel-1"}
    first = api.post(path, json=REASON, headers=key)
    again = api.post(path, json=REASON, headers=key)
    assert first.json() == again.json()
    assert again.status_code == 200


def test_cancel__one_key_for_two_redemptions__is_422(api: Api, fund: FundRow) -> None:
    key = {"Idempotency-Key": "cancel-1"}
    api.post(f"/v1/redemptions/{taken(api)}/cancel", json=REASON, headers=key)
    other = f"/v1/redemptions/{taken(api, 'b')}/cancel"
    problem_of(api.post(other, json=REASON, headers=key), 422)


def test_cancel__settling__is_a_conflict(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    plan(store, fund, [row], nonce=0)
    problem = problem_of(api.post(f"/v1/redemptions/{row.redemption_id}/cancel", json=REASON), 409)
    assert problem["details"]["status"] == "settling"


def test_cancel__unknown__is_404(api: Api, fund: FundRow) -> None:
    problem_of(api.post(f"/v1/redemptions/{hash32('nobody')}/cancel", json=REASON), 404)


@pytest.mark.parametrize(
    "sent",
    [{}, {"reason": "no"}, {"reason": "a\x00bc"}, {"reason": "x" * 301}, {"reason": 5}, []],
)
def test_cancel__a_bad_reason__is_422_and_changes_nothing(
    api: Api, fund: FundRow, sent: Any
) -> None:
    redemption_id = taken(api)
    problem_of(api.post(f"/v1/redemptions/{redemption_id}/cancel", json=sent), 422)
    assert api.get(f"/v1/redemptions/{redemption_id}").json()["status"] == "approved"


def test_cancel__without_a_key__is_401(api: Api, fund: FundRow) -> None:
    problem_of(api.post(f"/v1/redemptions/{taken(api)}/cancel", json=REASON, key=None), 401)
