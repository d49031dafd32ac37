"""GET /v1/redemptions/{id} and what hangs on it: settlements, transactions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from settlement_node.desk.intake import take_in
from settlement_node.domain.lifecycle import RedemptionFact, TransactionFact
from settlement_node.store.book import funds, redemptions
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine import lanes, transactions
from settlement_node.store.rows import FundRow, RedemptionRow, TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.store.telling.attention import open_break
from settlement_node.units import Hex32, Payout, Wei
from tests.api.support import CONFIRMATIONS, Api, problem_of
from tests_support.book import (
    CHAIN_ID,
    LANE,
    LANE_ADDRESS,
    approve,
    block,
    booked_not_paid,
    hash32,
    order,
    place,
    plan,
    settled_event,
)

RAW = b"\xde\xad\xbe\xef-signed-bytes"


def story(api: Api, row: RedemptionRow) -> dict[str, Any]:
    answer = api.get(f"/v1/redemptions/{row.redemption_id}")
    assert answer.status_code == 200, answer.text
    assert RAW.hex() not in answer.text
    told: dict[str, Any] = answer.json()
    return told


def waits(told: dict[str, Any]) -> list[str]:
    return [waiting["waiting_for"] for waiting in told["waiting_for"]]


def sign_and_send(store: Store, row: TransactionRow) -> TransactionRow:
    with store.transaction(actor="node") as tx:
        transactions.add_attempt(
            tx,
            row,
            attempt_hash=hash32(f"attempt {row.nonce}"),
            kind=AttemptKind.ORIGINAL,
            raw=RAW,
            max_fee_per_gas_wei=Wei(30),
            max_priority_fee_per_gas_wei=Wei(2),
            at_block=10,
        )
        row = transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SIGNED)
        transactions.record_send(tx, hash32(f"attempt {row.nonce}"), at_block=10, answer="accepted")
        return transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SENT)


def mine(store: Store, row: TransactionRow, redemption: RedemptionRow, *, head: int) -> None:
    with store.transaction(actor="node") as tx:
        transactions.record_fact(
            tx,
            row,
            TransactionFact.MINED,
            mined_attempt_hash=hash32(f"attempt {row.nonce}"),
            block_number=11,
            block_hash=block(11).block_hash,
            evm_succeeded=True,
            gas_used=60_000,
            effective_gas_price_wei=Wei(12),
        )
        fresh = redemptions.get(tx, redemption.redemption_id)
        assert fresh is not None
        redemptions.record_fact(tx, fresh, RedemptionFact.PAYMENT_MINED)
        chain_book.remember_heads(tx, LANE, [block(n) for n in range(11, head + 1)])


def test_story__just_approved__waits_for_planning(api: Api, store: Store, fund: FundRow) -> None:
    with store.transaction(actor="api:treasury") as tx:
        (row,) = take_in(tx, fund.fund_id, [order("a")], approved_by="api:treasury")
    told = story(api, row)
    assert waits(told) == ["planning"]
    assert [fact["fact"] for fact in told["facts"]] == ["requested", "approval_given"]
    assert told["settlements"] == []
    (reserved,) = told["ledger"]
    assert (reserved["debit_account"], reserved["credit_account"]) == (
        "shares_reserved",
        "shares_outstanding",
    )
    assert reserved["units_base_units"] == str(10**18)


def test_story__obstacles_of_the_book__are_all_named(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    with store.transaction(actor="test") as tx:
        funds.set_fund_paused(tx, fund.fund_id, paused=True, reason="audit")
        lanes.set_lane_paused(tx, CHAIN_ID, LANE_ADDRESS, paused=True, reason="key rotation")
    assert waits(story(api, row)) == ["lane_paused", "fund_paused"]


def test_story__what_only_the_chain_knows__comes_from_the_note_of_the_plan_stage(
    api: Api, store: Store, fund: FundRow
) -> None:
    (row,) = approve(store, fund, ["a"])
    with store.transaction(actor="node") as tx:
        redemptions.set_waiting_on(tx, [row.redemption_id], "liquidity")
    assert waits(story(api, row)) == ["liquidity"]


def test_story__a_money_break__is_named_and_no_pause(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    with store.transaction(actor="test") as tx:
        open_break(tx, fund, booked_not_paid("x"))
    assert waits(story(api, row)) == ["break_open"]


def test_story__planned_sent_mined__tells_each_step(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    transaction, settlement = plan(store, fund, [row], nonce=0)
    assert waits(story(api, row)) == ["broadcast"]
    transaction = sign_and_send(store, transaction)
    assert waits(story(api, row)) == ["mining"]
    mine(store, transaction, row, head=13)
    told = story(api, row)
    (waiting,) = told["waiting_for"]
    assert waiting["waiting_for"] == "confirmations"
    assert waiting["confirmations_blocks"] == 2
    assert waiting["confirmations_needed_blocks"] == CONFIRMATIONS
    (part,) = told["settlements"]
    assert part["settlement_id"] == settlement.settlement_id
    sent = part["transaction"]
    assert (sent["nonce"], sent["status"]) == (0, "mined")
    assert sent["block"]["block_number"] == 11
    assert sent["block"]["confirmations_blocks"] == 2
    (attempt,) = sent["attempts"]
    assert (attempt["kind"], attempt["last_answer"]) == ("original", "accepted")
    assert "raw" not in attempt


def show_as_paid(store: Store, row: RedemptionRow, *, payout: int, transaction_hash: Hex32) -> None:
    """The settler's event of a redemption, in the block that `mine` uses."""
    at = replace(place(11), transaction_hash=transaction_hash)
    event = replace(settled_event(row, at), payout_base_units=Payout(payout))
    with store.transaction(actor="node") as tx:
        times = {11: int(store.clock().timestamp())}
        chain_book.record_events(tx, CHAIN_ID, [event], timestamps_seconds=times)


def test_story__paid_by_its_own_batch__expected_is_what_the_batch_names(
    api: Api, store: Store, fund: FundRow
) -> None:
    (row,) = approve(store, fund, ["a"])
    transaction, _ = plan(store, fund, [row], nonce=0)
    mine(store, sign_and_send(store, transaction), row, head=13)
    show_as_paid(store, row, payout=1_000_000, transaction_hash=hash32("attempt 0"))
    (payment,) = story(api, row)["payments"]
    assert (False, None) == (payment["is_found"], payment["difference"])
    assert "1000000" == payment["payout_base_units"] == payment["expected_payout_base_units"]


def test_story__found_paid__expected_is_the_price_of_its_time(
    api: Api, store: Store, fund: FundRow
) -> None:
    (row,) = approve(store, fund, ["a"])
    show_as_paid(store, row, payout=1, transaction_hash=hash32("a thief's"))
    (payment,) = story(api, row)["payments"]
    assert ("1", "1047375") == (
        payment["payout_base_units"],
        payment["expected_payout_base_units"],
    )
    assert ("1", "1047375") == (
        payment["payout_per_share_base_units"],
        payment["expected_payout_per_share_base_units"],
    )
    assert (True, "no terms of the fund of its time give this payout") == (
        payment["is_found"],
        payment["difference"],
    )


def test_story__held__waits_for_a_person_and_says_why(
    api: Api, store: Store, fund: FundRow
) -> None:
    (row,) = approve(store, fund, ["a"])
    with store.transaction(actor="node") as tx:
        redemptions.record_fact(
            tx,
            row,
            RedemptionFact.HOLD_PLACED,
            changes={"hold_reason": "payout_failed", "hold_detail": "payee is blocked"},
        )
    told = story(api, row)
    assert (told["hold_reason"], told["hold_detail"]) == ("payout_failed", "payee is blocked")
    assert told["waiting_for"][0]["waiting_for"] == "person"
    assert told["waiting_for"][0]["detail"] == "payout_failed"


def test_story__takes_a_bounded_number_of_queries(api: Api, store: Store, fund: FundRow) -> None:
    rows = approve(store, fund, [f"{n}" for n in range(20)])
    plan(store, fund, rows, nonce=0)
    selects: list[str] = []

    def count(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            selects.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", count)
    try:
        story(api, rows[7])
        redemption_queries = len(selects)
        selects.clear()
        assert api.get("/v1/settlements/1").status_code == 200
        assert api.get("/v1/settlements").status_code == 200
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", count)
    assert redemption_queries <= 13, "the database's time among them"
    assert len(selects) <= 8


@pytest.mark.parametrize("redemption_id", ["0x12", "x", "0x" + "g" * 64, "%00", "0x" + "5e" * 33])
def test_story__a_malformed_id__is_422(api: Api, redemption_id: str) -> None:
    assert problem_of(api.get(f"/v1/redemptions/{redemption_id}"), 422)["field"] == "redemption_id"


def test_story__an_unknown_id__is_404(api: Api) -> None:
    problem_of(api.get(f"/v1/redemptions/{hash32('nobody')}"), 404)


def test_story__an_id_in_upper_case__is_the_same(api: Api, store: Store, fund: FundRow) -> None:
    (row,) = approve(store, fund, ["a"])
    shouted = "0x" + row.redemption_id[2:].upper()
    assert api.get(f"/v1/redemptions/{shouted}").json()["external_id"] == "a"


def test_settlements__list_and_one__show_items_and_transaction(
    api: Api, store: Store, fund: FundRow
) -> None:
    rows = approve(store, fund, ["a", "b", "c"])
    plan(store, fund, rows[:2], nonce=0)
    transaction, _ = plan(store, fund, rows[2:], nonce=1)
    sign_and_send(store, transaction)
    page = api.get("/v1/settlements", params={"limit": 1}).json()
    assert [s["settlement_id"] for s in page["items"]] == [2]
    assert page["items"][0]["transaction_status"] == "sent"
    rest = api.get("/v1/settlements", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [s["settlement_id"] for s in rest["items"]] == [1]
    assert rest["next_cursor"] is None
    one = api.get("/v1/settlements/1").json()
    assert [item["external_id"] for item in one["items"]] == ["a", "b"]
    assert (one["items_count"], one["payout_base_units"]) == (2, "2000000")
    assert one["transaction"]["status"] == "planned"
    assert api.get("/v1/settlements", params={"status": "void"}).json()["items"] == []
    assert len(api.get("/v1/settlements", params={"fund_id": "alpha"}).json()["items"]) == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/settlements/99", 404),
        ("/v1/settlements/0", 422),
        ("/v1/settlements/x", 422),
        (f"/v1/settlements/{2**63}", 422),
        (f"/v1/settlements/{10**400}", 422),
        ("/v1/settlements?status=no", 422),
        ("/v1/settlements?cursor=AAAA", 422),
        (f"/v1/transactions/{hash32('nobody')}", 404),
        ("/v1/transactions/0x12", 422),
    ],
)
def test_settlements_and_transactions__bad_names__are_problems(
    api: Api, path: str, status: int
) -> None:
    problem_of(api.get(path), status)


def test_transaction__by_the_hash_of_an_attempt__is_whole(
    api: Api, store: Store, fund: FundRow
) -> None:
    (row,) = approve(store, fund, ["a"])
    transaction, settlement = plan(store, fund, [row], nonce=0)
    mine(store, sign_and_send(store, transaction), row, head=12)
    answer = api.get(f"/v1/transactions/{hash32('attempt 0')}")
    assert RAW.hex() not in answer.text
    told = answer.json()
    assert told["settlement_id"] == settlement.settlement_id
    assert told["mined_attempt_hash"] == hash32("attempt 0")
    assert told["effective_gas_price_wei"] == "12"
    assert told["block"]["confirmations_blocks"] == 1
