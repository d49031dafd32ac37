"""What the database itself refuses, whatever the code above it does."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from settlement_node.domain.lifecycle import Leg, TransactionFact
from settlement_node.errors import InvariantBroken
from settlement_node.store import tables as t
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.redemptions import get_many
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.tables import SettlementStatus
from settlement_node.units import ZERO_HASH, Wei
from tests_support.book import (
    CHAIN_ID,
    LANE_ADDRESS,
    add_fund,
    address,
    approve,
    hash32,
    plan,
    plan_transaction,
    request,
)


def refused(store: Store, constraint: str, table: sa.Table, **values: Any) -> None:
    """Every row of the table is changed so; the named constraint must refuse it."""
    with (
        pytest.raises(sa.exc.IntegrityError) as error,
        store.transaction(actor="test") as tx,
    ):
        tx.connection.execute(table.update().values(**values))
    answer = str(error.value.orig)
    assert constraint in answer or "UNIQUE constraint failed" in answer


def add_bare_settlement(store: Store, rows: list[RedemptionRow], *, nonce: int) -> None:
    """Put priced rows into one more settlement, without asking their status."""
    fund = the_fund(store)
    with store.transaction(actor="test") as tx:
        transaction = plan_transaction(tx, nonce=nonce)
        settlements.add_settlement(
            tx,
            fund,
            leg=Leg.BURN_AND_PAYOUT,
            transaction_id=transaction.transaction_id,
            previous_batch_hash=ZERO_HASH,
            batch_hash=hash32("other"),
            items=rows,
        )


def the_fund(store: Store) -> FundRow:
    with store.read() as tx:
        return get_fund(tx, "alpha")


def rows_of(store: Store, rows: list[RedemptionRow]) -> list[RedemptionRow]:
    with store.read() as tx:
        found = get_many(tx, [row.redemption_id for row in rows])
    return [found[row.redemption_id] for row in rows]


def test_invariant_4__redemption_in_a_second_live_settlement__is_refused(store: Store) -> None:
    rows = approve(store, add_fund(store), ["a"])
    plan(store, the_fund(store), rows, nonce=0)
    with pytest.raises(sa.exc.IntegrityError, match=r"one_live|settlement_items\.redemption_id"):
        add_bare_settlement(store, rows_of(store, rows), nonce=1)


def test_invariant_4__redemption_of_a_void_settlement__may_be_in_another(store: Store) -> None:
    rows = approve(store, add_fund(store), ["a"])
    _, settlement = plan(store, the_fund(store), rows, nonce=0)
    with store.transaction(actor="test") as tx:
        settlements.end_settlement(tx, settlement, SettlementStatus.VOID)
    add_bare_settlement(store, rows_of(store, rows), nonce=1)
    with store.read() as tx:
        items = settlements.items_of_redemption(tx, rows[0].redemption_id)
    assert [False, True] == [item.live for item in items]


def test_invariant_4__redemption_of_a_settled_settlement__may_never_be_in_another(
    store: Store,
) -> None:
    rows = approve(store, add_fund(store), ["a"])
    _, settlement = plan(store, the_fund(store), rows, nonce=0)
    with store.transaction(actor="test") as tx:
        settlements.end_settlement(tx, settlement, SettlementStatus.SETTLED)
    with pytest.raises(sa.exc.IntegrityError):
        add_bare_settlement(store, rows_of(store, rows), nonce=1)


def test_invariant_5__nonce_given_twice__is_refused_by_the_database(store: Store) -> None:
    add_fund(store)
    with store.transaction(actor="test") as tx:
        plan_transaction(tx, nonce=0)
        tx.connection.execute(t.lanes.update().values(next_nonce=0))
    with (
        pytest.raises(sa.exc.IntegrityError, match="nonce"),
        store.transaction(actor="test") as tx,
    ):
        plan_transaction(tx, nonce=0)


def test_invariant_5__one_nonce_on_two_lanes__is_two_nonces(store: Store) -> None:
    add_fund(store)
    add_fund(
        store, fund_id="beta", share_token_address=address("b"), lane_address=address("lane 2")
    )
    with store.transaction(actor="test") as tx:
        first = plan_transaction(tx, nonce=0)
        second = plan_transaction(tx, nonce=0, signer=address("lane 2"))
    assert first.transaction_id != second.transaction_id


@pytest.mark.parametrize("nonce", [1, 6, 8], ids=["long gone", "just given", "one too far"])
def test_plan_transaction__not_the_lanes_next_nonce__breaks_and_plans_nothing(
    store: Store, nonce: int
) -> None:
    add_fund(store, next_nonce=7)
    with pytest.raises(InvariantBroken), store.transaction(actor="test") as tx:
        plan_transaction(tx, nonce=nonce)
    with store.read() as tx:
        assert transactions.count_unfinal(tx, CHAIN_ID, LANE_ADDRESS) == 0


def test_invariant_3__same_signed_bytes_for_two_transactions__are_refused(store: Store) -> None:
    add_fund(store)
    with store.transaction(actor="test") as tx:
        rows = [plan_transaction(tx, nonce=n) for n in (0, 1)]

    def sign(row: Any) -> None:
        with store.transaction(actor="test") as tx:
            transactions.add_attempt(
                tx,
                row,
                attempt_hash=hash32("bytes"),
                kind=t.AttemptKind.ORIGINAL,
                raw=b"bytes",
                max_fee_per_gas_wei=Wei(2),
                max_priority_fee_per_gas_wei=Wei(1),
                at_block=1,
            )

    sign(rows[0])
    with pytest.raises(InvariantBroken, match="is in the book as one of transaction"):
        sign(rows[1])
    with store.read() as tx:
        assert transactions.by_attempt_hash(tx, hash32("bytes")) == rows[0]


def test_redemption__external_id_twice_in_a_fund__is_refused(store: Store) -> None:
    request(store, add_fund(store), ["a", "b"])
    refused(store, "uq_redemptions_fund_id_external_id", t.redemptions, external_id="same")


def test_redemption__index_twice_in_a_fund__is_refused(store: Store) -> None:
    request(store, add_fund(store), ["a", "b"])
    refused(store, "uq_redemptions_fund_id_redemption_index", t.redemptions, redemption_index=9)


def test_redemption__held_without_a_reason__is_refused(store: Store) -> None:
    request(store, add_fund(store), ["a"])
    refused(store, "held_has_reason", t.redemptions, status="held")


def test_redemption__a_reason_without_being_held__is_refused(store: Store) -> None:
    request(store, add_fund(store), ["a"])
    refused(store, "held_has_reason", t.redemptions, hold_reason="operator")


@pytest.mark.parametrize("status", ["settling", "burned", "paid", "settled"])
def test_redemption__on_the_chain_without_a_price__is_refused(store: Store, status: str) -> None:
    request(store, add_fund(store), ["a"])
    refused(store, "settling_is_priced", t.redemptions, status=status)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (t.redemptions, "status"),
        (t.transactions, "status"),
        (t.settlements, "status"),
        (t.settlement_items, "outcome"),
        (t.funds, "burn_style"),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_word__unknown__is_refused(store: Store, table: sa.Table, column: str) -> None:
    plan(store, add_fund(store), approve(store, the_fund(store), ["a"]), nonce=0)
    refused(store, f"ck_{table.name}_{column}_known", table, **{column: "odd"})


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"status": "final"}, "final_has_outcome"),
        ({"outcome": "void"}, "final_has_outcome"),
        ({"status": "mined"}, "mined_has_block"),
        ({"status": "final", "outcome": "succeeded"}, "mined_has_block"),
        ({"nonce": -1}, "nonce_range"),
    ],
    ids=str,
)
def test_transaction__half_a_state__is_refused(
    store: Store, changes: dict[str, Any], constraint: str
) -> None:
    add_fund(store)
    with store.transaction(actor="test") as tx:
        plan_transaction(tx, nonce=0)
    refused(store, constraint, t.transactions, **changes)


@pytest.mark.parametrize("fee_bps", [-1, 10_000])
def test_fund__fee_of_all_or_less_than_nothing__is_refused(store: Store, fee_bps: int) -> None:
    add_fund(store)
    refused(store, "fee_bps_range", t.funds, fee_bps=fee_bps)


def test_foreign_key__row_of_no_fund__is_refused(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.transaction(actor="test") as tx:
        tx.connection.execute(
            t.investors.insert().values(
                fund_id="none", investor_address=address("x"), created_at_utc=tx.now_utc
            )
        )


def test_record_fact__illegal_for_a_transaction__breaks_and_changes_nothing(store: Store) -> None:
    add_fund(store)
    with store.transaction(actor="test") as tx:
        row = plan_transaction(tx, nonce=0)
    with pytest.raises(InvariantBroken), store.transaction(actor="test") as tx:
        transactions.record_fact(tx, row, TransactionFact.FINALISED)
    with store.read() as tx:
        assert transactions.get(tx, row.transaction_id) == row


def test_record_fact__transaction_moved_on_meanwhile__breaks(store: Store) -> None:
    add_fund(store)
    with store.transaction(actor="test") as tx:
        row = plan_transaction(tx, nonce=0)
        transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SIGNED)
    with pytest.raises(InvariantBroken), store.transaction(actor="test") as tx:
        transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SIGNED)
