"""Transactions, attempts and settlements: the engine's rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from settlement_node.domain.lifecycle import (
    Leg,
    TransactionFact,
    TransactionOutcome,
    TransactionStatus,
)
from settlement_node.errors import NotFound
from settlement_node.store.book import redemptions
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.rows import AttemptRow, SettlementRow, TransactionRow
from settlement_node.store.tables import AttemptKind, ItemOutcome, SettlementStatus
from settlement_node.store.telling import outbox, records
from settlement_node.units import Wei
from tests_support.book import (
    CHAIN_ID,
    LANE_ADDRESS,
    add_fund,
    address,
    approve,
    hash32,
    plan,
    plan_transaction,
)
from tests_support.clock import START_UTC


@pytest.fixture
def row(store: Store) -> TransactionRow:
    """A planned transaction at nonce 0."""
    add_fund(store)
    with store.transaction(actor="test") as tx:
        return plan_transaction(tx, nonce=0)


@pytest.fixture
def planned(store: Store) -> tuple[TransactionRow, SettlementRow]:
    """Three redemptions in a live settlement."""
    fund = add_fund(store)
    return plan(store, fund, approve(store, fund, ["a", "b", "c"]), nonce=0)


def sign(
    store: Store, row: TransactionRow, name: str, kind: AttemptKind = AttemptKind.ORIGINAL
) -> AttemptRow:
    with store.transaction(actor="test") as tx:
        return transactions.add_attempt(
            tx,
            row,
            attempt_hash=hash32(name),
            kind=kind,
            raw=name.encode(),
            max_fee_per_gas_wei=Wei(2**200),
            max_priority_fee_per_gas_wei=Wei(1),
            at_block=7,
        )


def record(
    store: Store, row: TransactionRow, fact: TransactionFact, **changes: Any
) -> TransactionRow:
    with store.transaction(actor="test") as tx:
        return transactions.record_fact(tx, row, fact, **changes)


def mine(store: Store, row: TransactionRow) -> TransactionRow:
    signed = record(store, row, TransactionFact.ATTEMPT_SIGNED)
    return record(
        store,
        signed,
        TransactionFact.MINED,
        mined_attempt_hash=hash32("one"),
        block_number=12,
        block_hash=hash32("block 12"),
        evm_succeeded=True,
    )


def test_plan_transaction__next_nonce__moves_the_lane(store: Store, row: TransactionRow) -> None:
    with store.transaction(actor="test") as tx:
        second = plan_transaction(tx, nonce=1)
    assert [(0, "planned"), (1, "planned")] == [(x.nonce, x.status.value) for x in (row, second)]


def test_record_fact__new_status__announces_it(store: Store, row: TransactionRow) -> None:
    signed = record(store, row, TransactionFact.ATTEMPT_SIGNED)
    with store.read() as tx:
        event = outbox.after(tx, 0)[-1]
    assert signed.status is TransactionStatus.SIGNED
    assert ("transaction.signed", 0) == (event["topic"], event["payload"]["nonce"])


def test_record_fact__same_status_again__announces_nothing(
    store: Store, row: TransactionRow
) -> None:
    signed = record(store, row, TransactionFact.ATTEMPT_SIGNED)
    with store.read() as tx:
        before = outbox.last_id(tx)
    record(store, signed, TransactionFact.ATTEMPT_SIGNED)
    with store.read() as tx:
        assert outbox.last_id(tx) == before


def test_record_fact__mined_then_final__keeps_where_and_what(
    store: Store, row: TransactionRow
) -> None:
    final = record(
        store,
        mine(store, row),
        TransactionFact.FINALISED,
        outcome=TransactionOutcome.SUCCEEDED.value,
    )
    assert (TransactionStatus.FINAL, TransactionOutcome.SUCCEEDED, 12, hash32("one")) == (
        final.status, final.outcome, final.block_number, final.mined_attempt_hash,
    )  # fmt: skip


def test_record_fact__mined_unmined_and_final__are_audited_with_their_block(
    store: Store, row: TransactionRow
) -> None:
    mined = mine(store, row)
    nowhere = dict.fromkeys(("mined_attempt_hash", "block_number", "block_hash", "evm_succeeded"))
    undone = record(store, mined, TransactionFact.UNMINED, **nowhere)
    again = record(
        store,
        undone,
        TransactionFact.MINED,
        **{name: getattr(mined, name) for name in nowhere},
    )
    record(store, again, TransactionFact.FINALISED, outcome="succeeded")
    with store.read() as tx:
        facts = records.audit_of(tx, "transaction", str(row.transaction_id))
    at = mined.block_number
    assert [("mined", at), ("unmined", None), ("mined", at), ("finalised", at)] == [
        (fact["action"], fact["detail"]["block_number"])
        for fact in facts
        if fact["action"] != "attempt_signed"
    ]
    assert "succeeded" == facts[-1]["detail"]["outcome"]


def test_unmined__some_final__is_the_rest_by_nonce(store: Store, row: TransactionRow) -> None:
    with store.transaction(actor="test") as tx:
        later = [plan_transaction(tx, nonce=n) for n in (1, 2)]
    record(
        store, mine(store, row), TransactionFact.FINALISED, outcome=TransactionOutcome.VOID.value
    )
    with store.read() as tx:
        assert transactions.unmined(tx, CHAIN_ID, LANE_ADDRESS) == later
        assert transactions.count_unfinal(tx, CHAIN_ID, LANE_ADDRESS) == 2
        assert transactions.unmined(tx, CHAIN_ID, address("other lane")) == []


def test_add_attempt__original_and_replacement__are_numbered_and_exact(
    store: Store, row: TransactionRow
) -> None:
    sign(store, row, "one")
    sign(store, row, "two", AttemptKind.REPLACEMENT)
    with store.read() as tx:
        attempts = transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id]
    assert [(1, b"one", "original", 2**200), (2, b"two", "replacement", 2**200)] == [
        (a.ordinal, a.raw, a.kind.value, a.max_fee_per_gas_wei) for a in attempts
    ]


def test_add_attempt__a_found_one_signed_again__is_filled_in_and_the_latest(
    store: Store, row: TransactionRow
) -> None:
    sign(store, row, "one")
    with store.transaction(actor="test") as tx:
        transactions.add_attempt(
            tx,
            row,
            attempt_hash=hash32("lost"),
            kind=AttemptKind.FOUND,
            raw=b"",
            max_fee_per_gas_wei=Wei(0),
            max_priority_fee_per_gas_wei=Wei(0),
            at_block=6,
        )
    sign(store, row, "two", AttemptKind.REPLACEMENT)
    again = sign(store, row, "lost", AttemptKind.REPLACEMENT)
    with store.read() as tx:
        attempts = transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id]
    assert attempts[-1] == again == sign(store, row, "lost", AttemptKind.REPLACEMENT)
    assert [(b"one", "original"), (b"two", "replacement"), (b"lost", "replacement")] == [
        (a.raw, a.kind.value) for a in attempts
    ]
    assert (2**200, 1, 7) == (
        again.max_fee_per_gas_wei, again.max_priority_fee_per_gas_wei, again.signed_at_block,
    )  # fmt: skip


def test_attempts_of__none_signed_or_none_asked__is_empty(
    store: Store, row: TransactionRow
) -> None:
    with store.read() as tx:
        assert transactions.attempts_of(tx, [row.transaction_id]) == {row.transaction_id: []}
        assert transactions.attempts_of(tx, []) == {}


def test_record_send__twice__counts_and_keeps_the_last_answer(
    store: Store, row: TransactionRow
) -> None:
    attempt = sign(store, row, "one")
    with store.transaction(actor="test") as tx:
        transactions.record_send(tx, attempt.attempt_hash, at_block=8, answer="accepted")
        transactions.record_send(tx, attempt.attempt_hash, at_block=9, answer="x" * 1000)
        sent = transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id][0]
    assert (2, 9, "x" * 300) == (sent.sends_count, sent.last_sent_block, sent.last_answer)


def test_by_attempt_hash__any_attempt__finds_its_transaction(
    store: Store, row: TransactionRow
) -> None:
    sign(store, row, "one")
    sign(store, row, "two", AttemptKind.REPLACEMENT)
    with store.read() as tx:
        found = [transactions.by_attempt_hash(tx, hash32(name)) for name in ("one", "two", "no")]
    assert found == [row, row, None]


def test_add_settlement__batch__has_its_items_in_order_and_their_sums(
    store: Store, planned: tuple[TransactionRow, SettlementRow]
) -> None:
    _, settlement = planned
    with store.read() as tx:
        items = settlements.items_of(tx, settlement.settlement_id)
        names = [
            row.external_id
            for item in items
            if (row := redemptions.get(tx, item.redemption_id)) is not None
        ]
    assert (Leg.BURN_AND_PAYOUT, 3, 3 * 10**18, 3_000_000, SettlementStatus.LIVE) == (
        settlement.leg, settlement.items_count, settlement.shares_base_units,
        settlement.payout_base_units, settlement.status,
    )  # fmt: skip
    assert names == ["a", "b", "c"]
    assert {(ItemOutcome.PENDING, True)} == {(item.outcome, item.live) for item in items}


def test_of_transaction__with_and_without_a_settlement__gives_it_or_none(
    store: Store, planned: tuple[TransactionRow, SettlementRow]
) -> None:
    transaction, settlement = planned
    with store.transaction(actor="test") as tx:
        bare = plan_transaction(tx, nonce=1)
        assert settlements.of_transaction(tx, transaction.transaction_id) == settlement
        assert settlements.of_transaction(tx, bare.transaction_id) is None
        assert settlements.get(tx, settlement.settlement_id) == settlement
        assert settlements.get(tx, 999) is None


@pytest.mark.parametrize(
    ("status", "live"), [(SettlementStatus.VOID, False), (SettlementStatus.SETTLED, True)]
)
def test_end_settlement__void_frees_its_items__settled_keeps_them(
    store: Store,
    planned: tuple[TransactionRow, SettlementRow],
    status: SettlementStatus,
    live: bool,
) -> None:
    _, settlement = planned
    with store.transaction(actor="test") as tx:
        settlements.end_settlement(tx, settlement, status)
    with store.read() as tx:
        after = settlements.get(tx, settlement.settlement_id)
        items = settlements.items_of(tx, settlement.settlement_id)
        still_live = settlements.last_live(tx, "alpha")
        event = outbox.after(tx, 0)[-1]
    assert after is not None
    assert (status, True) == (after.status, after.ended_at_utc is not None)
    assert {live} == {item.live for item in items}
    assert (still_live, event["topic"]) == (None, f"settlement.{status.value}")


def test_set_items__skipped__keeps_the_reason_and_leaves_the_others(
    store: Store, planned: tuple[TransactionRow, SettlementRow]
) -> None:
    _, settlement = planned
    with store.transaction(actor="test") as tx:
        first = settlements.items_of(tx, settlement.settlement_id)[0]
        skipped = replace(
            first,
            outcome=ItemOutcome.SKIPPED,
            live=False,
            skip_reason="burn_failed",
            skip_detail="0x" + "ff" * 1000,
        )
        settlements.set_items(tx, [skipped])
        items = settlements.items_of(tx, settlement.settlement_id)
    assert [(ItemOutcome.SKIPPED, False, "burn_failed"), (ItemOutcome.PENDING, True, None)] == [
        (item.outcome, item.live, item.skip_reason) for item in items[:2]
    ]
    assert len(items[0].skip_detail or "") == 1024


def test_page__of_settlements__newest_first_from_the_cursor(store: Store) -> None:
    fund = add_fund(store)
    made = [
        plan(store, fund, approve(store, fund, [f"r{n}"]), nonce=n)[1].settlement_id
        for n in range(4)
    ]
    with store.read() as tx:
        first = [s.settlement_id for s in settlements.page(tx, fund_id="alpha", limit=3)]
        rest = settlements.page(tx, status=SettlementStatus.LIVE, before_id=first[-1], limit=3)
        with pytest.raises(NotFound, match="no fund 'beta'"):
            settlements.page(tx, fund_id="beta")
    assert (made[:0:-1], made[:1]) == (first, [s.settlement_id for s in rest])


def test_set_broadcast__settlement_sent__marks_its_redemptions(
    store: Store, planned: tuple[TransactionRow, SettlementRow]
) -> None:
    _, settlement = planned
    with store.transaction(actor="test") as tx:
        redemptions.set_broadcast(tx, settlement.settlement_id)
        items = settlements.items_of(tx, settlement.settlement_id)
        rows = redemptions.get_many(tx, [item.redemption_id for item in items])
    assert {START_UTC} == {row.broadcast_at_utc for row in rows.values()}
