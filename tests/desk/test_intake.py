"""An answer for every order: taken, repeated or refused; and all of a request, or none."""

from __future__ import annotations

import threading

import pytest

from settlement_node.desk.intake import Refused, Repeated, Taken, intake, take_in
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import Conflict, InvalidInput
from settlement_node.store.book import redemptions
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Shares
from tests_support.book import (
    CHAIN_ID,
    LANE_ADDRESS,
    add_fund,
    address,
    block,
    order,
    place,
    settled_event,
)


def enter(store: Store, fund: FundRow, *orders: RedemptionOrder) -> list[RedemptionRow]:
    with store.transaction(actor="desk") as tx:
        return take_in(tx, fund.fund_id, orders, approved_by="desk")


class Lost(Exception):
    pass


def entered_in_a_lost_book(store: Store, fund: FundRow, wanted: RedemptionOrder) -> RedemptionRow:
    """The row of an order that the book does not have any more."""
    with pytest.raises(Lost), store.transaction(actor="desk") as tx:
        (row,) = take_in(tx, fund.fund_id, [wanted], approved_by="desk")
        raise Lost
    return row


def test_intake__some_of_each__answers_in_their_order_and_writes_the_taken(store: Store) -> None:
    fund = add_fund(store)
    enter(store, fund, order("old"))
    wanted = [
        order("new"),
        order("old"),
        order("none", shares_base_units=Shares(0)),
        order("new"),
        order("last"),
    ]
    with store.transaction(actor="desk") as tx:
        answers = intake(tx, fund.fund_id, wanted, approved_by="desk")
    assert [Taken, Repeated, Refused, Repeated, Taken] == [type(answer) for answer in answers]
    rows = [answer.row for answer in answers if isinstance(answer, Taken)]
    assert [("new", 1), ("last", 2)] == [(row.external_id, row.redemption_index) for row in rows]
    with store.read() as tx:
        assert {row.redemption_id: row for row in rows} == redemptions.get_many(
            tx, [row.redemption_id for row in rows]
        )
        counts = redemptions.count_by_status(tx, fund.fund_id)
    assert 3 == counts[RedemptionStatus.APPROVED] == sum(counts.values())


def test_intake__refused_and_repeated__say_why(store: Store) -> None:
    fund = add_fund(store)
    wanted = [order("a", shares_base_units=Shares(0)), order("b"), order("b")]
    with store.transaction(actor="desk") as tx:
        refused, _, repeated = intake(tx, fund.fund_id, wanted, approved_by="desk")
    assert isinstance(refused, Refused)
    assert isinstance(repeated, Repeated)
    assert "shares_base_units" == refused.error.details["field"]
    assert ("b", True) == (repeated.external_id, "appears twice" in repeated.words)


def test_take_in__one_repeated__names_it_takes_none_and_uses_no_index(store: Store) -> None:
    fund = add_fund(store)
    enter(store, fund, order("a"))
    with pytest.raises(Conflict, match="'a'") as refused:
        enter(store, fund, order("b"), order("a"), order("b"))
    assert ("a", [1, 2]) == (
        refused.value.details["external_id"],
        [place for place, _ in refused.value.details["faults"]],
    )
    assert [1] == [row.redemption_index for row in enter(store, fund, order("b"))]


def test_take_in__one_refused__raises_its_error_and_takes_none(store: Store) -> None:
    fund = add_fund(store)
    with pytest.raises(InvalidInput, match="payee_address"):
        enter(store, fund, order("a"), order("b", payee_address=fund.treasury_address))
    with store.read() as tx:
        assert 0 == sum(redemptions.count_by_status(tx).values())


def test_take_in__same_external_id_at_the_same_moment__one_gets_in_the_other_is_told(
    store: Store,
) -> None:
    fund = add_fund(store)
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def run() -> None:
        ready.wait()
        try:
            enter(store, fund, order("a"))
            outcomes.append("in")
        except Conflict:
            outcomes.append("told")
        except BaseException as error:  # noqa: BLE001 (shown by the assertion)
            outcomes.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["in", "told", "told", "told"] == sorted(outcomes)


@pytest.mark.parametrize("as_ordered", [True, False])
def test_intake__paid_on_the_chain__is_settled_or_refused_where_it_was_paid_otherwise(
    store: Store, as_ordered: bool
) -> None:
    """Another book has entered the order, and its payment is final."""
    fund = add_fund(store)
    wanted = order("a")
    event = settled_event(entered_in_a_lost_book(store, fund, wanted), place(9))
    with store.transaction(actor="scan") as tx:
        lane = lane_key(CHAIN_ID, LANE_ADDRESS)
        chain_book.remember_heads(tx, lane, [block(9)])
        chain_book.mark_final(tx, lane, up_to_number=9)
        chain_book.record_events(tx, CHAIN_ID, [event], timestamps_seconds={9: 1})
    if not as_ordered:
        wanted = order("a", payee_address=address("another"))
    with store.transaction(actor="desk") as tx:
        (answer,) = intake(tx, fund.fund_id, [wanted], approved_by="desk")
    if as_ordered:
        assert isinstance(answer, Taken)
        assert RedemptionStatus.SETTLED is answer.row.status
    else:
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, Conflict)
        assert "otherwise than this order says" in answer.error.message
