"""A fund's terms are remembered with the time from which each held."""

from __future__ import annotations

from datetime import timedelta

from settlement_node.store.book import funds
from settlement_node.store.book.terms import terms_of
from settlement_node.store.database import Store
from tests_support.book import NEW_FUND, add_fund
from tests_support.clock import Clock


def test_terms__fund_added_with_a_price__hold_from_then(store: Store, clock: Clock) -> None:
    fund = add_fund(store)
    with store.read() as tx:
        (first,) = terms_of(tx, fund)
    assert (clock(), fund.terms()) == (first.valid_from_utc, first.terms)


def test_terms__fund_added_without_a_price__are_none(store: Store) -> None:
    fund = add_fund(store, nav_per_share=None)
    with store.read() as tx:
        assert terms_of(tx, fund) == []


def test_set_nav__again_and_again__each_is_kept_in_the_same_commit(
    store: Store, clock: Clock
) -> None:
    fund = add_fund(store)
    started = clock()
    clock.advance(seconds=3600)
    with store.transaction(actor="test") as tx:
        funds.set_nav(tx, fund.fund_id, nav_per_share=104_25, nav_decimals=2)
        history = terms_of(tx, fund)
    assert [(started, 1_050_000), (clock(), 104_25)] == [
        (past.valid_from_utc, past.terms.nav_per_share) for past in history
    ]
    assert (2, NEW_FUND.fee_bps) == (history[1].terms.nav_decimals, history[1].terms.fee_bps)


def test_set_nav__a_price_the_book_had_lost__is_history_and_not_the_price_now(
    store: Store, clock: Clock
) -> None:
    fund = add_fund(store)
    lost = clock() - timedelta(days=1)
    with store.transaction(actor="test") as tx:
        funds.set_nav(tx, fund.fund_id, nav_per_share=900_000, nav_decimals=6, valid_from_utc=lost)
        now = funds.get_fund(tx, fund.fund_id)
        history = terms_of(tx, fund)
    assert now.nav_per_share == 1_050_000
    assert [900_000, 1_050_000] == [past.terms.nav_per_share for past in history]


def test_set_nav__lost_after_the_last_price_of_the_book__is_the_price_now(
    store: Store, clock: Clock
) -> None:
    fund = add_fund(store)
    since = clock() + timedelta(hours=1)
    clock.advance(seconds=7200)
    with store.transaction(actor="test") as tx:
        funds.set_nav(
            tx, fund.fund_id, nav_per_share=1_100_000, nav_decimals=6, valid_from_utc=since
        )
        now = funds.get_fund(tx, fund.fund_id)
    assert (1_100_000, since) == (now.nav_per_share, now.nav_at_utc)
