"""Every status with every fact, legal and illegal, of both machines."""

from __future__ import annotations

from itertools import product

import pytest

from settlement_node.domain.lifecycle import (
    CANCELLABLE,
    REDEMPTION_ENDED,
    REDEMPTION_LIVE,
    REDEMPTION_TABLE,
    TRANSACTION_TABLE,
    RedemptionFact,
    RedemptionStatus,
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
        "hold_placed": "held",
        "cancellation_given": "cancelled",
        "found_settled": "settled",
    },
    "settling": {
        "payment_mined": "paid",
        "burn_final": "burned",
        "settlement_voided": "approved",
        "item_skipped": "held",
        "hold_placed": "held",
    },
    "burned": {
        "settlement_planned": "settling",
        "hold_placed": "held",
        "shares_returned": "returned",
    },
    "paid": {
        "payment_mined": "paid",
        "payment_undone": "settling",
        "payment_final": "settled",
    },
    "held": {
        "hold_placed": "held",
        "hold_released": "approved",
        "cancellation_given": "cancelled",
        "shares_returned": "returned",
        "found_settled": "settled",
    },
}
"""Written from what each fact means, not from the code: status, fact, next status."""

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


@pytest.mark.parametrize(
    ("status", "fact"), [*product(RedemptionStatus, RedemptionFact)], ids=lambda word: word.value
)
def test_advance_redemption__every_pair__moves_as_designed_or_breaks(
    status: RedemptionStatus, fact: RedemptionFact
) -> None:
    expected = LEGAL_REDEMPTION.get(status.value, {}).get(fact.value)
    if expected is None:
        with pytest.raises(InvariantBroken) as broken:
            advance_redemption(status, fact)
        assert {"status": status.value, "fact": fact.value} == broken.value.details
        assert f"{fact.value} cannot happen to a {status.value} redemption" == str(broken.value)
    else:
        assert expected == advance_redemption(status, fact).value


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
    assert [fact for (s, fact) in REDEMPTION_TABLE if s is status] == []


@pytest.mark.parametrize("status", sorted(REDEMPTION_LIVE))
def test_redemption_live__status__can_still_end(status: RedemptionStatus) -> None:
    reached = {status}
    for _ in RedemptionStatus:
        reached |= {after for (s, _), after in REDEMPTION_TABLE.items() if s in reached}
    assert reached & REDEMPTION_ENDED


def test_redemption_statuses__each__is_live_or_ended_and_can_be_reached() -> None:
    reached = {RedemptionStatus.REQUESTED} | set(REDEMPTION_TABLE.values())
    assert set(RedemptionStatus) == reached == REDEMPTION_LIVE | REDEMPTION_ENDED
    assert REDEMPTION_LIVE & REDEMPTION_ENDED == frozenset()


@pytest.mark.parametrize("status", list(RedemptionStatus))
def test_cancellable__each_status__agrees_with_the_table(status: RedemptionStatus) -> None:
    may = (status, RedemptionFact.CANCELLATION_GIVEN) in REDEMPTION_TABLE
    assert may == (status in CANCELLABLE)


@pytest.mark.parametrize("status", [RedemptionStatus.SETTLING, RedemptionStatus.PAID])
def test_cancel__while_something_may_be_on_the_chain__is_impossible(
    status: RedemptionStatus,
) -> None:
    assert status not in CANCELLABLE


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
            f"    {status.value} --> {after.value}: {fact.value}"
            for (status, fact), after in table.items()  # type: ignore[attr-defined]
        ]
        assert ["stateDiagram-v2", *expected] == lines


def test_diagram__text__ends_with_one_newline() -> None:
    assert diagram(TRANSACTION_TABLE).endswith("displaced\n")
