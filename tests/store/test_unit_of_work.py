"""One commit or nothing; events in commit order; a wake after each commit that announced any."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from settlement_node.domain.postings import Account
from settlement_node.errors import InvalidInput, Transient
from settlement_node.store import tables as t
from settlement_node.store.database import Store, open_engine
from settlement_node.store.telling import outbox, records
from tests_support import ledger
from tests_support.book import add_fund, request
from tests_support.clock import START_UTC, Clock


class Broken(Exception):
    pass


def write_everything(store: Store, *, fail: bool) -> None:
    fund = add_fund(store)
    row = request(store, fund, ["a"])[0]
    with store.transaction(actor="someone") as tx:
        tx.audit("tried", "thing", "1")
        tx.emit("thing.tried", "1", {"n": 1})
        ledger.post(tx, "j", row.redemption_id, Account.FEES_RETAINED, Account.TREASURY, 5)
        tx.connection.execute(t.funds.update().values(name="changed"))
        if fail:
            raise Broken


def test_transaction__ended_well__commits_rows_facts_postings_and_events(store: Store) -> None:
    write_everything(store, fail=False)
    with store.read() as tx:
        name = tx.connection.execute(sa.select(t.funds.c.name)).scalar_one()
        facts = records.audit_of(tx, "thing", "1")
        events = [e for e in outbox.after(tx, 0) if e["topic"] == "thing.tried"]
        balance = ledger.balance(tx, fund_id="alpha", account=Account.FEES_RETAINED)
    assert (name, [f["actor"] for f in facts], [e["payload"] for e in events], balance) == (
        "changed",
        ["someone"],
        [{"n": 1}],
        5,
    )


def test_transaction__ended_by_an_error__leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(Broken):
        write_everything(store, fail=True)
    with store.read() as tx:
        name = tx.connection.execute(sa.select(t.funds.c.name)).scalar_one()
        facts = records.audit_of(tx, "thing", "1")
        events = [e for e in outbox.after(tx, 0) if e["topic"] == "thing.tried"]
        balance = ledger.balance(tx, fund_id="alpha", account=Account.FEES_RETAINED)
    assert (name, facts, events, balance) == ("Alpha Income Fund", [], [], 0)


def test_transaction__any__carries_the_clock_and_the_actor(store: Store, clock: Clock) -> None:
    clock.advance(seconds=90)
    with store.transaction(actor="ops@fund") as tx:
        tx.audit("looked", "thing", "1")
    with store.read() as tx:
        fact = records.audit_of(tx, "thing", "1")[0]
    assert (fact["actor"], (fact["at_utc"] - START_UTC).total_seconds()) == ("ops@fund", 90.0)


def test_on_commit__events_announced__is_called_after_the_commit(store: Store) -> None:
    seen: list[int] = []

    def look() -> None:
        with store.read() as tx:
            seen.append(outbox.last_id(tx))

    store.on_commit = look
    with store.transaction(actor="a") as tx:
        tx.emit("x", "1", {})
        tx.emit("x", "2", {})
    assert seen == [2]


@pytest.mark.parametrize("fail", [True, False], ids=["rolled back", "no events"])
def test_on_commit__nothing_announced__is_not_called(store: Store, fail: bool) -> None:
    calls: list[None] = []
    store.on_commit = lambda: calls.append(None)
    try:
        with store.transaction(actor="a") as tx:
            if fail:
                tx.emit("x", "1", {})
                raise Broken
            tx.audit("looked", "thing", "1")
    except Broken:
        pass
    assert calls == []


def test_read__while_a_writer_commits__sees_one_moment(store: Store) -> None:
    add_fund(store)
    names = []
    with store.read() as reader:
        names.append(reader.connection.execute(sa.select(t.funds.c.name)).scalar_one())
        with store.transaction(actor="w") as tx:
            tx.connection.execute(t.funds.update().values(name="later"))
        names.append(reader.connection.execute(sa.select(t.funds.c.name)).scalar_one())
    with store.read() as reader:
        names.append(reader.connection.execute(sa.select(t.funds.c.name)).scalar_one())
    assert names == ["Alpha Income Fund", "Alpha Income Fund", "later"]


def test_read__that_writes__is_refused(store: Store) -> None:
    add_fund(store)
    with pytest.raises(Transient), store.read() as tx:
        tx.connection.execute(t.funds.update().values(name="by a reader"))
    with store.transaction(actor="w") as tx:
        assert tx.connection.execute(sa.select(t.funds.c.name)).scalar_one() != "by a reader"
        tx.connection.execute(t.funds.update().values(name="by a writer"))


def test_read__what_it_hands_out__has_nothing_to_write_with(store: Store) -> None:
    with store.read() as reader:
        assert [] == [n for n in ("audit", "emit", "post", "flush") if hasattr(reader, n)]


def test_outbox__concurrent_writers__is_read_in_commit_order(store: Store) -> None:
    """A reader that follows the ids never meets one that commits behind it."""
    writers, each = 4, 12
    done = threading.Event()
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for n in range(each):
                with store.transaction(actor=name) as tx:
                    tx.emit("n", name, {"n": n})
                    tx.emit("n", name, {"n": n})
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            failures.append(error)

    followed: list[int] = []

    def follow() -> None:
        last = 0
        while True:
            finished = done.is_set()
            with store.read() as tx:
                batch = [row["event_id"] for row in outbox.after(tx, last)]
            followed.extend(batch)
            last = followed[-1] if followed else 0
            if finished:
                return

    threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(writers)]
    reader = threading.Thread(target=follow)
    for thread in [*threads, reader]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    with store.read() as tx:
        everything = [row["event_id"] for row in outbox.after(tx, 0)]
    assert failures == []
    assert len(everything) == writers * each * 2
    assert followed == everything


def test_outbox__a_writer_that_is_slow_to_commit__makes_later_events_wait(store: Store) -> None:
    """The first to take ids is the first to commit, however long its commit takes."""
    flushed, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with store.transaction(actor="slow") as tx:
            tx.emit("n", "slow", {})
            tx.flush()
            flushed.set()
            finish.wait(60)

    def quick() -> None:
        with store.transaction(actor="quick") as tx:
            tx.emit("n", "quick", {})

    first, second = threading.Thread(target=slow), threading.Thread(target=quick)
    first.start()
    assert flushed.wait(60)
    second.start()
    time.sleep(0.2)
    with store.read() as tx:
        seen_early = outbox.last_id(tx)
    finish.set()
    first.join()
    second.join()
    with store.read() as tx:
        order = [row["subject_id"] for row in outbox.after(tx, 0)]
    assert (seen_early, order) == (0, ["slow", "quick"])


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("mysql://host/name", "sqlite and postgresql"),
        ("not a url", "sqlite:///node.sqlite"),
        ("", "sqlite:///node.sqlite"),
    ],
)
def test_open_engine__no_database_of_ours__says_what_to_write(url: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint) as refused:
        open_engine(url)
    assert refused.value.details["field"] == "database.url"


@pytest.mark.parametrize("database_name", ["sqlite"], indirect=True)
def test_open_engine__sqlite_file__commits_to_the_disk_before_it_returns(store: Store) -> None:
    with store.engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_store__in_memory__works(clock: Clock) -> None:
    engine = open_engine("sqlite://")
    t.metadata.create_all(engine)
    store = Store(engine, clock=clock)
    fund = add_fund(store)
    with store.read() as tx:
        assert tx.connection.execute(sa.select(t.funds.c.fund_id)).scalar_one() == fund.fund_id
    engine.dispose()
