"""Estimate and reconciliation: what asks the chain."""

from __future__ import annotations

from typing import Any

import pytest

from settlement_node.domain.observations import SkipReason
from settlement_node.errors import InvariantBroken, Refused, Transient
from settlement_node.store.book.settlers import set_scanned
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import open_break, open_lane_break
from tests.api.support import Api, ScriptedChain, problem_of
from tests_support.book import (
    LANE,
    add_fund,
    address,
    approve,
    block,
    booked_not_paid,
    hash32,
    stranger,
)

ESTIMATE = "/v1/settlements/estimate"
RECONCILIATION = "/v1/reconciliation"


def test_estimate__two_redemptions__prices_them_and_adds_gas_and_fees(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    rows = approve(store, fund, ["a", "b"])
    chain.skipped = {1: SkipReason.BURN_FAILED}
    answer = api.post(ESTIMATE, json={"redemption_ids": [row.redemption_id for row in rows]})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    first, second = told["items"]
    assert (first["gross_base_units"], first["fee_base_units"]) == ("1050000", "2625")
    assert (first["would_settle"], second["would_settle"]) == (True, False)
    assert second["skip_reason"] == "burn_failed"
    assert told["payout_base_units"] == "1047375"
    assert told["gas_limit"] >= told["gas"] > 80_000
    assert int(told["cost_wei"]) == told["gas"] * int(told["max_fee_per_gas_wei"])


@pytest.mark.parametrize(
    ("ids", "status"),
    [
        ([hash32("nobody")], 404),
        ([], 422),
        (["0x12"], 422),
        ([hash32("x")] * 101, 422),
        ([hash32("x")] * 2, 422),
        ("0x12", 422),
    ],
)
def test_estimate__bad_ids__are_problems(api: Api, fund: FundRow, ids: Any, status: int) -> None:
    problem_of(api.post(ESTIMATE, json={"redemption_ids": ids}), status)


def test_estimate__two_funds__is_422(api: Api, store: Store, fund: FundRow) -> None:
    other = add_fund(store, fund_id="beta", share_token_address=address("beta"), next_nonce=None)
    ids = [approve(store, f, ["a"])[0].redemption_id for f in (fund, other)]
    problem_of(api.post(ESTIMATE, json={"redemption_ids": ids}), 422)


def test_estimate__without_a_key__is_401(api: Api, fund: FundRow) -> None:
    problem_of(api.post(ESTIMATE, json={"redemption_ids": [hash32("a")]}, key=None), 401)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Transient("endpoint scripted gave no answer"), 503),
        (Refused("the settler is paused", reason="settler_paused"), 409),
        (InvariantBroken("a secret thought of ours"), 500),
    ],
)
def test_estimate__the_chain_fails__is_a_problem_of_its_family(
    api: Api,
    store: Store,
    fund: FundRow,
    chain: ScriptedChain,
    error: Any,
    status: int,
) -> None:
    (row,) = approve(store, fund, ["a"])
    chain.error = error
    answer = api.post(ESTIMATE, json={"redemption_ids": [row.redemption_id]})
    problem = problem_of(answer, status)
    assert (error.message in problem["detail"]) is (status != 500)
    assert ("retry-after" in answer.headers) is (status == 503)


def test_reconciliation__before_any_run__has_funds_without_one(api: Api, fund: FundRow) -> None:
    told = api.get(RECONCILIATION).json()
    assert told["agrees"] is True
    assert told["funds"] == [{"fund_id": "alpha", "breaks_open_count": 0, "last_run": None}]


def test_reconciliation__run_now__records_a_run(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    chain.supply_base_units = 10**30
    with store.transaction(actor="node") as tx:
        chain_book.remember_heads(tx, LANE, [block(n) for n in range(10, 21)])
        chain_book.mark_final(tx, LANE, up_to_number=20)
        set_scanned(tx, fund.fund_id, fund.settler_address, from_block=10, to_block=20)
    told = api.post(RECONCILIATION, json={"fund_id": "alpha"}).json()
    assert told["agrees"] is True
    assert (told["runs"][0]["from_block"], told["runs"][0]["to_block"]) == (9, 20)
    last = api.get(RECONCILIATION, params={"fund_id": "alpha"}).json()["funds"][0]["last_run"]
    assert (last["to_block"], last["share_supply_base_units"]) == (20, str(10**30))
    again = api.post(RECONCILIATION, json={}).json()
    assert again["runs"][0]["from_block"] == again["runs"][0]["to_block"] == 20


def test_reconciliation__repeated_with_its_key__is_run_once(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    key = {"Idempotency-Key": "nightly-1"}
    first = api.post(RECONCILIATION, json={"fund_id": "alpha"}, headers=key)
    chain.error = Transient("asked a second time")
    again = api.post(RECONCILIATION, json={"fund_id": "alpha"}, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    problem_of(api.post(RECONCILIATION, json={}, headers=key), 422)


def test_reconciliation__failed__frees_its_key(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    key = {"Idempotency-Key": "nightly-1"}
    chain.error = Transient("endpoint scripted gave no answer")
    with store.transaction(actor="node") as tx:
        chain_book.remember_heads(tx, LANE, [block(n) for n in range(10, 21)])
        chain_book.mark_final(tx, LANE, up_to_number=20)
        set_scanned(tx, fund.fund_id, fund.settler_address, from_block=10, to_block=20)
    problem_of(api.post(RECONCILIATION, json={"fund_id": "alpha"}, headers=key), 503)
    chain.error = None
    assert api.post(RECONCILIATION, json={"fund_id": "alpha"}, headers=key).status_code == 200


def test_reconciliation__an_open_break__is_shown_with_its_owner(
    api: Api, store: Store, fund: FundRow
) -> None:
    with store.transaction(actor="node") as tx:
        open_break(tx, fund, booked_not_paid("x"))
    told = api.get(RECONCILIATION).json()
    assert told["agrees"] is False
    assert told["funds"][0]["breaks_open_count"] == 1
    (shown,) = told["breaks"]
    assert (shown["kind"], shown["owner"]) == ("booked_not_paid", "treasury desk")


def test_reconciliation__a_break_of_the_lane__is_no_agreement(
    api: Api, store: Store, fund: FundRow
) -> None:
    with store.transaction(actor="node") as tx:
        open_lane_break(tx, stranger(nonce=7))
        open_lane_break(tx, stranger(nonce=7, signer=address("of another lane")))
    for body in ({}, {"fund_id": "alpha"}):
        assert api.post(RECONCILIATION, json=body).json()["agrees"] is False
    told = api.get(RECONCILIATION, params={"fund_id": "alpha"}).json()
    assert told["agrees"] is False
    assert [one["subject"] for one in told["breaks"]] == [f"{LANE}:7"]


def test_reconciliation__bad_requests__are_problems(api: Api, store: Store, fund: FundRow) -> None:
    problem_of(api.get(RECONCILIATION, params={"fund_id": "nobody"}), 404)
    problem_of(api.post(RECONCILIATION, json={"fund_id": "nobody"}), 404)
    problem_of(api.post(RECONCILIATION, json={"fund": "alpha"}), 422)
    problem_of(api.post(RECONCILIATION, json={}, key=None), 401)
    add_fund(
        store,
        fund_id="elsewhere",
        chain_id=5,
        share_token_address=address("elsewhere"),
        next_nonce=None,
    )
    problem_of(api.post(RECONCILIATION, json={"fund_id": "elsewhere"}), 409)
