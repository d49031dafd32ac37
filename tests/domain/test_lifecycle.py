"""Every status with every fact, legal and illegal, of both machines."""

from __future__ import annotations

from itertools import product

import pytest

from settlement_node.domain.lifecycle import (
    CANCELLABLE,
    HELD_FROM_BURNED,
    IN_FLIGHT,
    PLANNED_AS,
    REDEMPTION_ENDED,
    REDEMPTION_TABLE,
    STANDINGS,
    TRANSACTION_TABLE,
    Leg,
    RedemptionFact,
    RedemptionStatus,
    Standing,
    TransactionFact,
    TransactionStatus,
    advance_redemption,
    advance_transaction,
    diagram,
)
from settlement_node.errors import InvariantBroken

LEGAL_REDEMPTION = {
    "requested": {
        "approval_given": "approved",
        "rejection_given": "rejected",
        "cancellation_given": "cancelled",
        "expiry_passed": "expired",
        "found_settled": "settled",
    },
    "approved": {
        "settlement_planned": "settling",
        "burn_planned": "burning",
        "hold_placed": "held_from_approved",
        "cancellation_given": "cancelled",
        "found_settled": "settled",
    },
    "settling": {
        "payment_mined": "paid_from_settling",
        "settlement_voided": "approved",
        "item_skipped": "held_from_approved",
        "hold_placed": "held_from_approved",
    },
    "burning": {
        "burn_final": "burned",
        "settlement_voided": "approved",
        "item_skipped": "held_from_approved",
        "hold_placed": "held_from_approved",
    },
    "burned": {
        "payout_planned": "paying",
        "return_planned": "returning",
        "hold_placed": "held_from_burned",
    },
    "paying": {
        "payment_mined": "paid_from_paying",
        "settlement_voided": "burned",
        "item_skipped": "held_from_burned",
        "hold_placed": "held_from_burned",
    },
    "paid_from_settling": {
        "payment_mined": "paid_from_settling",
        "payment_undone": "settling",
        "payment_final": "settled",
    },
    "paid_from_paying": {
        "payment_mined": "paid_from_paying",
        "payment_undone": "paying",
        "payment_final": "settled",
    },
    "held_from_approved": {
        "hold_placed": "held_from_approved",
        "hold_released": "approved",
        "cancellation_given": "cancelled",
        "found_settled": "settled",
    },
    "held_from_burned": {
        "hold_placed": "held_from_burned",
        "hold_released": "burned",
        "return_planned": "returning",
    },
    "returning": {"settlement_voided": "burned", "shares_returned": "returned"},
}
"""Written from what each fact means, not from the code: standing, fact, next standing."""

LEGAL_TRANSACTION = {
    "planned": {"attempt_signed": "signed"},
    "signed": {
        "attempt_signed": "signed",
        "attempt_sent": "sent",
        "mined": "mined",
        "displaced": "final",
    },
    "sent": {
        "attempt_signed": "sent",
        "attempt_sent": "sent",
        "mined": "mined",
        "displaced": "final",
    },
    "mined": {"mined": "mined", "attempt_sent": "mined", "unmined": "sent", "finalised": "final"},
}


@pytest.mark.parametrize(("standing", "fact"), [*product(STANDINGS, RedemptionFact)], ids=str)
def test_advance_redemption__every_pair__moves_as_designed_or_breaks(
    standing: Standing, fact: RedemptionFact
) -> None:
    expected = LEGAL_REDEMPTION.get(str(standing), {}).get(fact.value)
    if expected is None:
        with pytest.raises(InvariantBroken) as broken:
            advance_redemption(standing, fact)
        assert {"status": str(standing), "fact": fact.value} == broken.value.details
        assert f"{fact.value} cannot happen to a {standing} redemption" == str(broken.value)
    else:
        assert expected == str(advance_redemption(standing, fact))


def test_advance_redemption__burned_held_and_released__can_only_be_paid() -> None:
    standing = Standing(RedemptionStatus.BURNED)
    for fact in (RedemptionFact.HOLD_PLACED, RedemptionFact.HOLD_RELEASED):
        standing = advance_redemption(standing, fact)
    assert Standing(RedemptionStatus.BURNED) == standing
    for fact in (RedemptionFact.SETTLEMENT_PLANNED, RedemptionFact.BURN_PLANNED):
        with pytest.raises(InvariantBroken):
            advance_redemption(standing, fact)


def test_advance_redemption__payout_of_a_burned_one_void__is_burned_again() -> None:
    standing = Standing(RedemptionStatus.BURNED)
    for fact in (RedemptionFact.PAYOUT_PLANNED, RedemptionFact.SETTLEMENT_VOIDED):
        standing = advance_redemption(standing, fact)
    assert Standing(RedemptionStatus.BURNED) == standing


@pytest.mark.parametrize(
    ("status", "fact"), [*product(TransactionStatus, TransactionFact)], ids=lambda word: word.value
)
def test_advance_transaction__every_pair__moves_as_designed_or_breaks(
    status: TransactionStatus, fact: TransactionFact
) -> None:
    expected = LEGAL_TRANSACTION.get(status.value, {}).get(fact.value)
    if expected is None:
        with pytest.raises(InvariantBroken, match="transaction") as broken:
            advance_transaction(status, fact)
        assert {"status": status.value, "fact": fact.value} == broken.value.details
    else:
        assert expected == advance_transaction(status, fact).value


def test_tables__all__cannot_be_changed() -> None:
    for table in (REDEMPTION_TABLE, TRANSACTION_TABLE):
        with pytest.raises(TypeError):
            table[next(iter(table))] = None  # type: ignore[index]


@pytest.mark.parametrize("status", sorted(REDEMPTION_ENDED))
def test_redemption_ended__status__has_nothing_after_it(status: RedemptionStatus) -> None:
    assert [fact for (s, fact) in REDEMPTION_TABLE if s.status is status] == []


@pytest.mark.parametrize("standing", [s for s in STANDINGS if s.status not in REDEMPTION_ENDED])
def test_redemption_unfinished__standing__can_still_end(standing: Standing) -> None:
    reached = {standing}
    for _ in STANDINGS:
        reached |= {after for (s, _), after in REDEMPTION_TABLE.items() if s in reached}
    assert {s.status for s in reached} & REDEMPTION_ENDED


def test_standings__each__can_be_reached() -> None:
    reached = {Standing(RedemptionStatus.REQUESTED), *REDEMPTION_TABLE.values()}
    assert set(STANDINGS) == reached
    assert set(RedemptionStatus) == {standing.status for standing in STANDINGS}


@pytest.mark.parametrize("standing", STANDINGS, ids=str)
def test_cancellable__each_standing__agrees_with_the_table(standing: Standing) -> None:
    may = (standing, RedemptionFact.CANCELLATION_GIVEN) in REDEMPTION_TABLE
    assert may == (standing in CANCELLABLE)


def test_cancel__while_something_may_be_on_the_chain__is_impossible() -> None:
    on_chain = {*IN_FLIGHT, RedemptionStatus.BURNED, RedemptionStatus.PAID}
    assert not on_chain & {standing.status for standing in CANCELLABLE}
    assert HELD_FROM_BURNED not in CANCELLABLE


@pytest.mark.parametrize(
    "table", [REDEMPTION_TABLE, TRANSACTION_TABLE], ids=["redemption", "transaction"]
)
def test_facts__each__can_happen_to_some_status(table: object) -> None:
    facts = {fact for (_, fact) in table}  # type: ignore[attr-defined]
    assert facts == set(type(next(iter(facts))))


def test_diagram__of_a_table__draws_one_arrow_per_row_in_table_order() -> None:
    for table in (REDEMPTION_TABLE, TRANSACTION_TABLE):
        lines = diagram(table).splitlines()  # type: ignore[type-var]
        expected = [
            f"    {status} --> {after}: {fact.value}"
            for (status, fact), after in table.items()  # type: ignore[attr-defined]
        ]
        assert ["stateDiagram-v2", *expected] == lines


def test_diagram__text__ends_with_one_newline() -> None:
    assert diagram(TRANSACTION_TABLE).endswith("displaced\n")


def test_leg__each__planned__puts_its_orders_in_flight() -> None:
    assert set(Leg) == set(PLANNED_AS)
    for fact in PLANNED_AS.values():
        ends = [end.status for (_, happened), end in REDEMPTION_TABLE.items() if happened is fact]
        assert ends
        assert IN_FLIGHT >= {*ends}
