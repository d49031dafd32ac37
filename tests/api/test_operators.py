"""The operators' hands: each works once, is audited, and is refused where it makes no sense."""

from __future__ import annotations

import pytest

from settlement_node.store.book.settlers import set_scanned, settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow, TransactionRow
from settlement_node.store.telling import records
from settlement_node.store.telling.attention import open_break, open_breaks, open_lane_break
from settlement_node.units import Hex32
from tests.api.support import Api, problem_of
from tests_support.book import approve, block, booked_not_paid, hash32, plan, sign, stranger

WHY = {"reason": "checked with the administrator"}


def lane_path(fund: FundRow, verb: str) -> str:
    return f"/v1/lanes/{fund.chain_id}/{fund.lane_address}/{verb}"


def planned(store: Store, fund: FundRow) -> tuple[TransactionRow, Hex32]:
    """An unmined transaction with one attempt."""
    (row,) = approve(store, fund, ["a"])
    plan(store, fund, [row], nonce=0)
    with store.transaction(actor="test") as tx:
        (transaction,) = transactions.unmined(tx, fund.chain_id, fund.lane_address)
        return transaction, sign(tx, transaction)


def test_hold__approved__is_held_for_the_operator(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    answer = api.post(f"/v1/redemptions/{row.redemption_id}/hold", json=WHY).json()
    assert ("held", "operator") == (answer["status"], answer["hold_reason"])


def test_hold__held_already__is_a_conflict(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    api.post(f"/v1/redemptions/{row.redemption_id}/hold", json=WHY)
    problem_of(api.post(f"/v1/redemptions/{row.redemption_id}/hold", json=WHY), 409)


def test_release__held__is_approved_again_and_audited(
    api: Api, store: Store, fund: FundRow
) -> None:
    (row,) = approve(store, fund, ["a"])
    api.post(f"/v1/redemptions/{row.redemption_id}/hold", json=WHY)
    answer = api.post(f"/v1/redemptions/{row.redemption_id}/release", json=WHY).json()
    assert ("approved", None) == (answer["status"], answer["hold_reason"])
    with store.read() as tx:
        last = records.audit_of(tx, "redemption", row.redemption_id)[-1]
    assert ("hold_released", "api:treasury") == (last["action"], last["actor"])
    assert WHY["reason"] == last["detail"]["reason"]


def test_release__not_held__is_a_conflict(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    problem_of(api.post(f"/v1/redemptions/{row.redemption_id}/release", json=WHY), 409)


def test_release__unknown__is_404(api: Api, fund: FundRow) -> None:
    problem_of(api.post(f"/v1/redemptions/{hash32('nobody')}/release", json=WHY), 404)


def test_pause_and_resume__lane__changes_its_row(api: Api, store: Store, fund: FundRow) -> None:
    for verb, expected in (("pause", True), ("resume", False)):
        assert api.post(lane_path(fund, verb), json=WHY).status_code == 200
        with store.read() as tx:
            lane = get_lane(tx, fund.chain_id, fund.lane_address)
        assert lane is not None
        assert lane.paused is expected


def test_resume__a_break_stopped_the_lane__is_a_conflict_until_resolved(
    api: Api, store: Store, fund: FundRow
) -> None:
    with store.transaction(actor="test") as tx:
        open_lane_break(tx, stranger(nonce=7))
        (opened,) = open_breaks(tx)
    problem = problem_of(api.post(lane_path(fund, "resume"), json=WHY), 409)
    assert f"break {opened['break_id']} (stranger_at_nonce)" in problem["detail"]
    assert api.post(f"/v1/breaks/{opened['break_id']}/resolve", json=WHY).status_code == 200
    assert api.post(lane_path(fund, "resume"), json=WHY).status_code == 200


def test_pause__unknown_lane__is_404(api: Api, fund: FundRow) -> None:
    path = f"/v1/lanes/{fund.chain_id}/{fund.treasury_address}/pause"
    problem_of(api.post(path, json=WHY), 404)


@pytest.mark.parametrize(
    ("verb", "field"), [("cancel", "cancel_requested"), ("speed-up", "speed_up_requested")]
)
def test_transaction__unmined__is_asked_for(
    api: Api, store: Store, fund: FundRow, verb: str, field: str
) -> None:
    transaction, attempt_hash = planned(store, fund)
    answer = api.post(f"/v1/transactions/{attempt_hash}/{verb}", json=WHY)
    assert (200, verb) == (answer.status_code, answer.json()["asked"])
    with store.read() as tx:
        row = transactions.get(tx, transaction.transaction_id)
    assert getattr(row, field) is True


@pytest.mark.parametrize("verb", ["cancel", "speed-up"])
def test_transaction__unknown__is_404(api: Api, fund: FundRow, verb: str) -> None:
    problem_of(api.post(f"/v1/transactions/{hash32('nothing')}/{verb}", json=WHY), 404)


def test_rescan__known_block__rewinds_the_cursor(api: Api, store: Store, fund: FundRow) -> None:
    with store.transaction(actor="test") as tx:
        chain_book.remember_heads(tx, lane_key(fund.chain_id, fund.lane_address), [block(900)])
    start = 20
    with store.transaction(actor="test") as tx:
        set_scanned(tx, fund.fund_id, fund.settler_address, from_block=10, to_block=800)
    answer = api.post(f"/v1/funds/{fund.fund_id}/rescan", json={"from_block": start, **WHY})
    assert answer.status_code == 200
    with store.read() as tx:
        (settler,) = settlers_of(tx, fund.fund_id)
    assert max(start, settler["from_block"]) - 1 == settler["scanned_to_block"]


def test_rescan__future_block__is_refused(api: Api, store: Store, fund: FundRow) -> None:
    with store.transaction(actor="test") as tx:
        chain_book.remember_heads(tx, lane_key(fund.chain_id, fund.lane_address), [block(900)])
    body = {"from_block": 901, **WHY}
    problem = problem_of(api.post(f"/v1/funds/{fund.fund_id}/rescan", json=body), 422)
    assert "future" in problem["detail"]


def test_resolve__no_such_break__is_404(api: Api, fund: FundRow) -> None:
    problem_of(api.post("/v1/breaks/99/resolve", json=WHY), 404)


@pytest.mark.parametrize("reason", ["no", " no ", "x" * 301, "a\x00bc"])
def test_hold__useless_reason__is_422(api: Api, store: Store, fund: FundRow, reason: str) -> None:
    (row,) = approve(store, fund, ["a"])
    path = f"/v1/redemptions/{row.redemption_id}/hold"
    problem_of(api.post(path, json={"reason": reason}), 422)


def test_pause__without_a_key__is_401(api: Api, fund: FundRow) -> None:
    answer = api.post(lane_path(fund, "pause"), json=WHY, key=None)
    problem_of(answer, 401)


def test_resolve_many__some_open__closes_them_in_one_commit_and_tells_of_each(
    api: Api, store: Store, fund: FundRow
) -> None:
    with store.transaction(actor="test") as tx:
        for subject in ("a", "b"):
            open_break(tx, fund, booked_not_paid(subject))
        numbers = [row["break_id"] for row in open_breaks(tx)]
    answer = api.post("/v1/breaks/resolve", json={"break_ids": [*numbers, 99], **WHY})
    told = {one["break_id"]: one["status"] for one in answer.json()["breaks"]}
    assert told == {**dict.fromkeys(numbers, "resolved"), 99: "not_open"}
    again = {"kind": "booked_not_paid", "fund_id": fund.fund_id, **WHY}
    problem_of(api.post("/v1/breaks/resolve", json=again), 404)


@pytest.mark.parametrize(
    "asked",
    [{}, {"break_ids": []}, {"kind": "x"}, {"break_ids": [1], "kind": "x", "fund_id": "alpha"}],
    ids=["nothing", "empty", "kind alone", "both ways"],
)
def test_resolve_many__unclear_which__is_422(
    api: Api, fund: FundRow, asked: dict[str, object]
) -> None:
    problem_of(api.post("/v1/breaks/resolve", json={**asked, **WHY}), 422)
