"""The ledger balances by its shape, exactly, whatever is posted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settlement_node.domain.postings import Account
from settlement_node.store import tables as t
from settlement_node.store.book.ledger import postings_of
from settlement_node.store.database import Store
from settlement_node.units import UINT256_MAX, Hex32
from tests_support import ledger
from tests_support.book import add_fund, request

MOVEMENTS = st.lists(
    st.tuples(
        st.sampled_from(Account),
        st.sampled_from(Account),
        st.one_of(st.integers(0, 100), st.integers(0, UINT256_MAX), st.just(UINT256_MAX)),
    ).filter(lambda movement: movement[0] is not movement[1]),
    max_size=12,
)


def post(
    store: Store,
    redemption_id: Hex32,
    movements: list[tuple[Account, Account, int]],
    *,
    journal: str = "j",
) -> None:
    with store.transaction(actor="test") as tx:
        for n, (debit, credit, units) in enumerate(movements):
            ledger.post(tx, f"{journal}{n}", redemption_id, debit, credit, units)


def balances(store: Store) -> dict[Account, int]:
    with store.read() as tx:
        return {a: ledger.balance(tx, fund_id="alpha", account=a) for a in Account}


@pytest.fixture
def redemption_id(store: Store) -> Hex32:
    """Of an order whose reservation is left out."""
    row = request(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="test") as tx:
        tx.connection.execute(t.ledger_postings.delete())
    return row.redemption_id


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(movements=MOVEMENTS)
def test_balance__any_postings__is_debits_less_credits_and_all_sum_to_zero(
    store: Store, redemption_id: Hex32, movements: list[tuple[Account, Account, int]]
) -> None:
    with store.transaction(actor="test") as tx:
        tx.connection.execute(t.ledger_postings.delete())
    post(store, redemption_id, movements)
    expected = {
        account: sum(units for debit, _, units in movements if debit is account)
        - sum(units for _, credit, units in movements if credit is account)
        for account in Account
    }
    actual = balances(store)
    assert (expected, 0) == (actual, sum(actual.values()))


def test_balance__nothing_posted__is_zero(store: Store) -> None:
    add_fund(store)
    assert dict.fromkeys(Account, 0) == balances(store)


def test_post__same_movement_of_a_journal_again__is_refused_whole(
    store: Store, redemption_id: Hex32
) -> None:
    movement = (Account.SHARES_RESERVED, Account.SHARES_OUTSTANDING, 5)
    post(store, redemption_id, [movement])
    with pytest.raises(sa.exc.IntegrityError):
        post(store, redemption_id, [movement])
    assert balances(store)[Account.SHARES_RESERVED] == 5


def test_post__from_an_account_to_itself__is_refused(store: Store, redemption_id: Hex32) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="two_accounts"):
        post(store, redemption_id, [(Account.TREASURY, Account.TREASURY, 5)])


def test_postings_of__a_redemption__are_in_the_order_made(
    store: Store, redemption_id: Hex32
) -> None:
    post(
        store,
        redemption_id,
        [
            (Account.SHARES_RESERVED, Account.SHARES_OUTSTANDING, 1),
            (Account.SHARES_BURNED, Account.SHARES_RESERVED, 2),
        ],
    )
    with store.read() as tx:
        rows = postings_of(tx, redemption_id)
    assert [("j0", 1), ("j1", 2)] == [(row["journal"], row["units_base_units"]) for row in rows]


def test_balance__another_fund__has_its_own(store: Store, redemption_id: Hex32) -> None:
    post(store, redemption_id, [(Account.TREASURY, Account.FEES_RETAINED, 5)])
    with store.read() as tx:
        assert ledger.balance(tx, fund_id="beta", account=Account.TREASURY) == 0
