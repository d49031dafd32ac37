"""Each query that a stage runs every few seconds finds its rows by an index, on both databases.

The statement is taken as it goes to the database, and the database is asked for its plan. On
PostgreSQL sequential scans are made dear first, since its planner rightly scans a small table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.postings import Account
from settlement_node.domain.waiting import WaitingFor
from settlement_node.store import tables as t
from settlement_node.store.book import ledger, payments, redemptions
from settlement_node.store.book.redemptions import RedemptionFilter
from settlement_node.store.book.waits import Told
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store, Tx, open_engine
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.migrate import upgrade
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.telling import attention, consumers, outbox, records
from settlement_node.units import Wei
from tests_support.book import (
    CHAIN_ID,
    LANE,
    LANE_ADDRESS,
    NEW_FUND,
    add_fund,
    address,
    approve,
    batch_event,
    block,
    booked_not_paid,
    hash32,
    place,
    plan,
    settled_event,
)
from tests_support.clock import START_UTC, Clock
from tests_support.ledger import post
from tests_support.postgresql import database

SETTLER = NEW_FUND.settler_address
HASH = hash32("x")

QUERIES: dict[str, tuple[Callable[[Tx], Any], str]] = {
    "due": (
        lambda tx: redemptions.due(tx, "alpha", at_utc=START_UTC, limit=5), "ix_redemptions_plan",
    ),
    "due_smallest": (
        lambda tx: redemptions.due_smallest(tx, "alpha", at_utc=START_UTC, limit=5),
        "ix_redemptions_small",
    ),
    "next_date": (
        lambda tx: redemptions.next_date(tx, "alpha", at_utc=START_UTC), "ix_redemptions_date",
    ),
    "waits_of": (lambda tx: redemptions.waits_of(tx, "alpha"), "ix_redemptions_waiting"),
    "shares_in_flight": (
        lambda tx: settlements.shares_in_flight(tx, "alpha"), "ix_redemptions_plan",
    ),
    "in_flight_payout": (
        lambda tx: redemptions.in_flight_payout(tx, "alpha"), "ix_redemptions_plan",
    ),
    "get_many": (lambda tx: redemptions.get_many(tx, [HASH]), "pk_redemptions"),
    "times_settled": (
        lambda tx: payments.times_settled(tx, CHAIN_ID, [HASH]),
        "ix_settler_events_redemption",
    ),
    "booked_paid_between": (
        lambda tx: payments.booked_paid_between(tx, "alpha", from_block=1, to_block=2),
        "ix_transactions_block",
    ),
    "found_paid_between": (
        lambda tx: payments.found_paid_between(tx, "alpha", from_block=1, to_block=2),
        "ix_redemptions_found",
    ),
    "page": (
        lambda tx: redemptions.page(
            tx, RedemptionFilter(), limit=5, after=(START_UTC, HASH)
        ),
        "ix_redemptions_page",
    ),
    "page of what waits": (
        lambda tx: redemptions.page(
            tx,
            RedemptionFilter(waiting_for=WaitingFor.LIMITS),
            limit=5,
            told=Told({}, START_UTC),
        ),
        "ix_redemptions_unfinished|ix_redemptions_plan",
    ),
    "page of a status": (
        lambda tx: redemptions.page(
            tx, RedemptionFilter(status=RedemptionStatus.HELD), limit=5
        ),
        "ix_redemptions_unfinished|ix_redemptions_plan",
    ),
    "page of an investor": (
        lambda tx: redemptions.page(
            tx, RedemptionFilter(investor_address=address("investor 1")), limit=5
        ),
        "ix_redemptions_investor|ix_redemptions_page",
    ),
    "unmined": (
        lambda tx: transactions.unmined(tx, CHAIN_ID, LANE_ADDRESS), "ix_transactions_unfinal",
    ),
    "mined": (
        lambda tx: transactions.mined(tx, CHAIN_ID, LANE_ADDRESS, to_block=9, limit=5),
        "ix_transactions_unfinal|ix_transactions_block",
    ),
    "highest_unfinal_nonce": (
        lambda tx: transactions.highest_unfinal_nonce(tx, CHAIN_ID, LANE_ADDRESS),
        "ix_transactions_unfinal",
    ),
    "count_unfinal": (
        lambda tx: transactions.count_unfinal(tx, CHAIN_ID, LANE_ADDRESS),
        "ix_transactions_unfinal",
    ),
    "by_attempt_hash": (lambda tx: transactions.by_attempt_hash(tx, HASH), "pk_attempts"),
    "attempts_of": (
        lambda tx: transactions.attempts_of(tx, [1]), "uq_attempts_transaction_id_ordinal",
    ),
    "last_live": (
        lambda tx: settlements.last_live(tx, "alpha"), "ix_settlements_live|ix_settlements_fund",
    ),
    "undecided": (
        lambda tx: settlements.undecided(tx, "alpha"), "ix_settlements_live|ix_settlements_fund",
    ),
    "of_transaction": (
        lambda tx: settlements.of_transaction(tx, 1), "uq_settlements_transaction_id",
    ),
    "items_of": (lambda tx: settlements.items_of(tx, 1), "pk_settlement_items"),
    "items_of_redemption": (
        lambda tx: settlements.items_of_redemption(tx, HASH), "ix_settlement_items_redemption",
    ),
    "remembered_heads": (lambda tx: chain_book.remembered_heads(tx, LANE), "pk_heads"),
    "latest_head": (lambda tx: chain_book.latest_head(tx, LANE), "pk_heads"),
    "highest_final": (lambda tx: chain_book.highest_final(tx, LANE), "pk_heads"),
    "settled_events": (
        lambda tx: chain_book.settled_events(tx, CHAIN_ID, [HASH]),
        "ix_settler_events_redemption",
    ),
    "ratchet_tip": (
        lambda tx: chain_book.ratchet_tip(tx, CHAIN_ID, SETTLER), "ix_settler_events_place",
    ),
    "batch_event": (
        lambda tx: chain_book.batch_event(tx, CHAIN_ID, SETTLER, HASH), "ix_settler_events_batch",
    ),
    "batch_after": (
        lambda tx: chain_book.batch_after(tx, CHAIN_ID, SETTLER, HASH),
        "ix_settler_events_previous",
    ),
    "postings_of": (
        lambda tx: ledger.postings_of(tx, HASH), "ix_ledger_postings_redemption",
    ),
    "list_consumers": (consumers.list_consumers, "pk_outbox"),
    "outbox after": (lambda tx: outbox.after(tx, 3), "pk_outbox"),
    "open_breaks": (attention.open_breaks, "uq_breaks_open|pk_breaks"),
    "audit_of": (
        lambda tx: records.audit_of(tx, "redemption", HASH), "ix_audit_events_subject",
    ),
    "last_reconciliation": (
        lambda tx: records.last_reconciliation(tx, "alpha"), "ix_reconciliations_fund",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_name: str
) -> Iterator[Store]:
    """A book of some years: nearly everything in it is done, and little is still to do."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/node.sqlite"
        else:
            url = stack.enter_context(database(f"plans_{worker_name}"))
        engine = open_engine(url)
        stack.callback(engine.dispose)
        upgrade(engine)
        store = Store(engine, clock=Clock())
        fill(store)
        yield store


def fill(store: Store) -> None:
    fund = add_fund(store)
    rows = [row for batch in range(2) for row in approve_many(store, fund, f"b{batch}", count=500)]
    add_fund(store, fund_id="beta", share_token_address=address("beta shares"), next_nonce=None)
    for nonce in range(150):
        plan(store, fund, rows[nonce * 5 : nonce * 5 + 5], nonce=nonce)
    r, x, s, b = t.redemptions, t.transactions, t.settlements, t.breaks
    with store.transaction(actor="fill") as tx:
        run = tx.connection.execute
        for n, transaction in enumerate(transactions.unmined(tx, CHAIN_ID, LANE_ADDRESS)):
            for attempt in range(2):
                transactions.add_attempt(
                    tx,
                    transaction,
                    attempt_hash=hash32(f"{n}.{attempt}"),
                    kind=t.AttemptKind.ORIGINAL,
                    raw=b"",
                    max_fee_per_gas_wei=Wei(1),
                    max_priority_fee_per_gas_wei=Wei(1),
                    at_block=n,
                )
            run(
                x.update()
                .where(x.c.transaction_id == transaction.transaction_id, x.c.nonce < 147)
                .values(
                    status="final", outcome="succeeded", mined_attempt_hash=hash32(f"{n}.0"),
                    block_number=10 + n, block_hash=HASH, evm_succeeded=True,
                )
            )  # fmt: skip
        run(s.update().where(s.c.settlement_id < 148).values(status="settled"))
        run(r.update().where(r.c.redemption_index < 735).values(status="settled"))
        run(
            r.update()
            .where(r.c.status == "approved", r.c.redemption_index < 975)
            .values(status="cancelled")
        )
        chain_book.record_events(
            tx, CHAIN_ID, [settled_event(r, place(10 + n)) for n, r in enumerate(rows[:700])]
        )
        chain_book.record_events(
            tx, CHAIN_ID, [batch_event(place(10 + n, log_index=9), number=n) for n in range(300)]
        )
        chain_book.remember_heads(tx, LANE, [block(n) for n in range(300)])
        chain_book.mark_final(tx, LANE, up_to_number=250)
        for n, row in enumerate(rows[:300]):
            for debit, credit in pairwise(Account):
                post(tx, f"{debit.value}:{n}", row.redemption_id, debit, credit, 1)
        for n in range(400):
            attention.open_break(tx, fund, booked_not_paid(str(n)))
        run(b.update().where(b.c.break_id < 398).values(status="resolved"))
        for n in range(300):
            records.add_reconciliation(
                tx, fund_id="beta" if n % 50 else "alpha", from_block=n, to_block=n + 1,
                share_supply_base_units=1, treasury_base_units=1, settled_count=1,
                breaks_opened_count=0, breaks_open_count=0,
            )  # fmt: skip
    with store.transaction(actor="fill") as tx:
        consumers.enter(tx, "log", from_now=True)
        tx.connection.execute(sa.text("ANALYZE"))


def approve_many(store: Store, fund: FundRow, prefix: str, *, count: int) -> list[RedemptionRow]:
    return approve(store, fund, [f"{prefix}-{n}" for n in range(count)])


def plan_of(store: Store, query: Callable[[Tx], Any]) -> str:
    """The database's plan of the last statement a query sends."""
    sent: list[tuple[str, Any]] = []

    def keep(_c: Connection, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        sent.append((statement, values))

    with store.read() as tx:
        sa.event.listen(tx.connection, "before_cursor_execute", keep)
        query(tx)
        sa.event.remove(tx.connection, "before_cursor_execute", keep)
        statement, values = sent[-1]
        explain = "EXPLAIN QUERY PLAN "
        if store.engine.dialect.name == "postgresql":
            tx.connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
            explain = "EXPLAIN "
        rows = tx.connection.exec_driver_sql(explain + statement, values).all()
    return "\n".join(str(row[-1]) for row in rows)


SQLITE_KEYS = ("pk_", "uq_attempts_transaction_id_ordinal", "uq_settlements_transaction_id")
"""Indexes that SQLite makes by itself for a key, under a name of its own."""


@pytest.mark.parametrize("name", QUERIES)
def test_query__of_a_stage__finds_its_rows_by_its_index(filled: Store, name: str) -> None:
    query, indexes = QUERIES[name]
    shown = plan_of(filled, query)
    names = indexes.split("|")
    if filled.engine.dialect.name == "sqlite" and any(n.startswith(SQLITE_KEYS) for n in names):
        names += ["sqlite_autoindex", "USING INTEGER PRIMARY KEY"]
    assert any(index in shown for index in names), shown
    assert "Seq Scan" not in shown


def test_plan_of__a_query_without_an_index__shows_none(filled: Store) -> None:
    """The check above can fail."""
    shown = plan_of(filled, lambda tx: tx.connection.execute(sa.select(t.funds.c.name)).all())
    assert "ix_" not in shown


def test_unmined__statement__names_the_status_so_that_the_partial_index_fits(
    filled: Store,
) -> None:
    sent: list[str] = []
    with filled.read() as tx:
        sa.event.listen(
            tx.connection, "before_cursor_execute", lambda _c, _k, text, *_: sent.append(text)
        )
        transactions.unmined(tx, CHAIN_ID, LANE_ADDRESS)
    assert "status != 'final'" in sent[-1]
