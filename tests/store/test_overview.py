"""The reading side's counts and rows by id."""

from __future__ import annotations

from settlement_node.domain.attention import Alert, AlertKind, OfLane
from settlement_node.domain.lifecycle import TransactionFact
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.leases import take_lease
from settlement_node.store.tables import SettlementStatus
from settlement_node.store.telling import attention, overview, records
from tests_support.book import (
    CHAIN_ID,
    LANE,
    LANE_ADDRESS,
    add_fund,
    address,
    approve,
    block,
    booked_not_paid,
    hash32,
    plan,
    stranger,
)


def test_rows_by_id__some_unknown__gives_the_known_ones(store: Store) -> None:
    fund = add_fund(store)
    transaction, settlement = plan(store, fund, approve(store, fund, ["a"]), nonce=0)
    with store.read() as tx:
        assert {settlement.settlement_id: settlement} == overview.settlements_by_id(
            tx, [settlement.settlement_id, 999]
        )
        assert {transaction.transaction_id: transaction} == overview.transactions_by_id(
            tx, [transaction.transaction_id, 999]
        )
        assert overview.settlements_by_id(tx, []) == {}


def test_settlements_by_status__some__has_every_status(store: Store) -> None:
    fund = add_fund(store)
    made = [plan(store, fund, approve(store, fund, [str(n)]), nonce=n)[1] for n in range(3)]
    with store.transaction(actor="test") as tx:
        settlements.end_settlement(tx, made[0], SettlementStatus.VOID)
        assert overview.settlements_by_status(tx) == {
            SettlementStatus.LIVE: 2, SettlementStatus.SETTLED: 0, SettlementStatus.VOID: 1,
        }  # fmt: skip


def test_unfinal_by_lane__one_final__counts_the_rest(store: Store) -> None:
    fund = add_fund(store)
    rows = [plan(store, fund, approve(store, fund, [str(n)]), nonce=n)[0] for n in range(3)]
    with store.transaction(actor="test") as tx:
        row = transactions.record_fact(tx, rows[0], TransactionFact.ATTEMPT_SIGNED)
        row = transactions.record_fact(
            tx, row, TransactionFact.MINED, mined_attempt_hash=hash32("a"), block_number=1,
            block_hash=hash32("b"), evm_succeeded=True,
        )  # fmt: skip
        transactions.record_fact(tx, row, TransactionFact.FINALISED, outcome="succeeded")
        assert overview.unfinal_by_lane(tx) == {(CHAIN_ID, LANE_ADDRESS): 2}


def test_latest_reconciliations__several_runs__is_the_last_of_each_fund(store: Store) -> None:
    add_fund(store)
    add_fund(store, fund_id="beta", share_token_address=address("beta shares"))
    with store.transaction(actor="test") as tx:
        for fund_id, to_block in (("alpha", 10), ("beta", 15), ("alpha", 20)):
            records.add_reconciliation(
                tx, fund_id=fund_id, from_block=0, to_block=to_block, share_supply_base_units=1,
                treasury_base_units=1, settled_count=0, breaks_opened_count=0,
                breaks_open_count=0,
            )  # fmt: skip
        everything = overview.latest_reconciliations(tx)
        one = overview.latest_reconciliations(tx, fund_id="beta")
    assert [("alpha", 20), ("beta", 15)] == [(r["fund_id"], r["to_block"]) for r in everything]
    assert [("beta", 15)] == [(r["fund_id"], r["to_block"]) for r in one]


def test_open_attention__by_fund_and_kind__counts_what_is_open(store: Store) -> None:
    fund = add_fund(store)
    with store.transaction(actor="test") as tx:
        for name in ("1", "2"):
            attention.open_break(tx, fund, booked_not_paid(name))
        attention.open_lane_break(tx, stranger(nonce=3))
        number = attention.open_breaks(tx)[0]["break_id"]
        attention.resolve_break(tx, number, reason="mended")
        for nonce in (1, 2):
            subject = OfLane(CHAIN_ID, LANE_ADDRESS, nonce)
            attention.tell(tx, Alert(AlertKind.FEE_AT_CEILING, subject, "d"))
        assert overview.open_breaks_by_fund(tx) == {"alpha": 1, None: 1}
        assert overview.open_alerts_by_kind(tx) == {"fee_at_ceiling": 2}


def test_heads_by_lane__some_final__has_the_highest_of_both(store: Store) -> None:
    with store.transaction(actor="test") as tx:
        chain_book.remember_heads(tx, LANE, [block(n) for n in range(5, 9)])
        chain_book.mark_final(tx, LANE, up_to_number=6)
        chain_book.remember_heads(tx, "1:none final", [block(3)])
        heads = overview.heads_by_lane(tx)
    assert {LANE: (8, 6), "1:none final": (3, None)} == {
        lane: (row["block_number"], row["final_number"]) for lane, row in heads.items()
    }


def test_leases_by_name__one_taken__names_its_holder(store: Store) -> None:
    take_lease(store, name=LANE, holder="n1", seconds=30)
    with store.read() as tx:
        assert {LANE: "n1"} == {
            lane: row["holder"] for lane, row in overview.leases_by_name(tx).items()
        }
