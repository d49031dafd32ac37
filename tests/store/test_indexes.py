"""An index is given for ever, but to an order of which nothing was ever signed."""

from __future__ import annotations

import pytest

from settlement_node.domain.lifecycle import RedemptionFact
from settlement_node.store.book import orders, redemptions
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.tables import SettlementStatus
from tests_support.book import add_fund, approve, hash32, plan, request, sign


def was_in_a_void_batch(store: Store, fund: FundRow, *, signed: bool) -> RedemptionRow:
    """An approved order whose only settlement is void."""
    (row,) = approve(store, fund, ["a"])
    transaction, settlement = plan(store, fund, [row], nonce=0)
    with store.transaction(actor="test") as tx:
        if signed:
            sign(tx, transaction)
        settlements.end_settlement(tx, settlement, SettlementStatus.VOID)
        planned = redemptions.get(tx, row.redemption_id)
        assert planned is not None
        return redemptions.record_fact(tx, planned, RedemptionFact.SETTLEMENT_VOIDED)


def freed(store: Store, fund: FundRow, row: RedemptionRow) -> tuple[bool, int]:
    """Whether an order whose index the chain has used got another, and the one it has now."""
    used = {row.redemption_index: hash32("another order")}
    with store.transaction(actor="test") as tx:
        (found,) = orders.colliding(tx, fund.fund_id, used)
        changed = orders.give_new_index(tx, fund, found)
        now = redemptions.get(tx, row.redemption_id)
    assert now is not None
    return changed, now.redemption_index


def test_give_new_index__nothing_was_ever_planned__gets_another(store: Store) -> None:
    fund = add_fund(store)
    (row,) = request(store, fund, ["a"])
    assert (True, 1) == freed(store, fund, row)


@pytest.mark.parametrize(("signed", "expected"), [(False, (True, 1)), (True, (False, 0))])
def test_give_new_index__its_batch_is_void__kept_once_it_was_signed(
    store: Store, signed: bool, expected: tuple[bool, int]
) -> None:
    """Void may be a lie: bytes that were signed can be mined, and pay under the old index."""
    fund = add_fund(store)
    row = was_in_a_void_batch(store, fund, signed=signed)
    assert expected == freed(store, fund, row)


def test_give_new_index__bound_to_a_batch_that_is_not_signed_yet__kept(store: Store) -> None:
    fund = add_fund(store)
    (row,) = approve(store, fund, ["a"])
    plan(store, fund, [row], nonce=0)
    with store.transaction(actor="test") as tx:
        planned = redemptions.get(tx, row.redemption_id)
        assert planned is not None
        assert not orders.give_new_index(tx, fund, planned)
