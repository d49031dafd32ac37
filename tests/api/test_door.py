"""POST /v1/redemptions: orders that can never be paid are refused with the reason."""

from __future__ import annotations

import pytest

from settlement_node.desk.door import UNREAD_BLOCKS_MAX
from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.errors import Refused, Transient
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import note_capacity
from settlement_node.store.book.orders import ids_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow
from settlement_node.units import Payout, Shares
from tests.api.support import Api, ScriptedChain, body, order_body, problem_of
from tests_support.book import CHAIN_ID, address, place

PATH = "/v1/redemptions"
SHARE = 10**18


def recorded(store: Store) -> int:
    with store.read() as tx:
        return sum(redemptions.count_by_status(tx).values())


def shares_of(**shares: int) -> dict[str, object]:
    orders = [order_body(name, shares_base_units=str(count)) for name, count in shares.items()]
    return {"fund_id": "alpha", "redemptions": orders}


def test_post__more_shares_than_there_are__is_422_that_names_each_and_takes_none(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    chain.supply_base_units = 5 * SHARE
    answer = api.post(PATH, json=shares_of(a=6 * SHARE, b=5 * SHARE, c=2**256 - 1))
    problem = problem_of(answer, 422)
    assert [fault["field"] for fault in problem["errors"]] == [
        "redemptions[0].shares_base_units",
        "redemptions[2].shares_base_units",
    ]
    assert "whole supply of 5000000000000000000" in problem["detail"]
    assert 0 == recorded(store)


def test_post__worth_more_than_a_day_lets_go__is_422_that_says_so(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    chain.daily_limit_base_units = 1_047_374
    problem = problem_of(api.post(PATH, json=shares_of(a=SHARE)), 422)
    assert "1047375 base units is more than the 1047374" in problem["detail"]
    chain.daily_limit_base_units = 1_047_375
    assert 201 == api.post(PATH, json=shares_of(a=SHARE)).status_code


def test_post__a_daily_limit_of_nothing__is_a_stop_for_a_while_and_refuses_none(
    api: Api, fund: FundRow, chain: ScriptedChain
) -> None:
    chain.daily_limit_base_units = 0
    assert 201 == api.post(PATH, json=body("a")).status_code


@pytest.mark.parametrize("error", [Transient("no answer"), Refused("no settler is there")])
def test_post__the_chain_cannot_say__is_taken_in(
    api: Api, fund: FundRow, chain: ScriptedChain, error: Transient | Refused
) -> None:
    chain.error = error
    assert 201 == api.post(PATH, json=shares_of(a=2**256 - 1)).status_code


def paid_event(fund: FundRow, name: str) -> RedemptionSettledEvent:
    """The event of an order's payment, in block 11; the fund's settler is read to block 9."""
    return RedemptionSettledEvent(
        place=place(11),
        redemption_id_hex=ids_of(fund, [name])[name],
        redemption_index=0,
        investor_address=address(f"investor {name}"),
        payee_address=address(f"payee {name}"),
        shares_base_units=Shares(SHARE),
        payout_base_units=Payout(1_000_000),
    )


def test_post__the_book_is_far_behind_the_chain__is_taken_in(
    api: Api, fund: FundRow, chain: ScriptedChain
) -> None:
    """The shares may be gone because this order was paid."""
    chain.supply_base_units = 0
    chain.head_number = 10 + UNREAD_BLOCKS_MAX
    assert 201 == api.post(PATH, json=body("a")).status_code
    chain.head_number -= 1
    problem_of(api.post(PATH, json=body("b")), 422)


def test_post__paid_in_a_block_the_book_has_not_read__is_taken_in(
    api: Api, fund: FundRow, chain: ScriptedChain
) -> None:
    chain.supply_base_units = 0
    chain.events = (paid_event(fund, "a"),)
    problem_of(api.post(PATH, json=body("a", "b")), 422)
    assert 201 == api.post(PATH, json=body("a")).status_code


def test_post__the_book_shows_it_as_paid__is_taken_in_though_its_shares_are_gone(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    chain.supply_base_units = 0
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, CHAIN_ID, [paid_event(fund, "a")])
    assert 201 == api.post(PATH, json=body("a")).status_code


def test_post__again_with_its_key_after_the_shares_are_gone__is_the_first_answer(
    api: Api, fund: FundRow, chain: ScriptedChain
) -> None:
    headers = {"Idempotency-Key": "the-same-key"}
    first = api.post(PATH, json=body("a"), headers=headers)
    chain.supply_base_units = 0
    again = api.post(PATH, json=body("a"), headers=headers)
    assert (201, first.json()) == (again.status_code, again.json())
    problem_of(api.post(PATH, json=body("a")), 409)


def test_post__within_what_was_noted__asks_the_chain_nothing(
    api: Api, store: Store, fund: FundRow, chain: ScriptedChain
) -> None:
    with store.transaction(actor="test") as tx:
        note_capacity(tx, fund, FundCapacity(Shares(SHARE), Payout(10**12)))
    chain.supply_base_units = 0
    assert 201 == api.post(PATH, json=shares_of(a=SHARE)).status_code
    problem_of(api.post(PATH, json=shares_of(b=SHARE + 1)), 422)
    chain.supply_base_units = 2 * SHARE
    assert 201 == api.post(PATH, json=shares_of(b=SHARE + 1)).status_code, "minted since"
