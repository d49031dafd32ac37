"""A database that goes away, is busy or runs into another writer: nothing half-done, and tried
again; a database that is wrong is not tried again."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from settlement_node.errors import Transient
from settlement_node.store import tables as t
from settlement_node.store.database import Store, open_engine
from settlement_node.store.failures import DatabaseUnusable
from settlement_node.store.migrate import upgrade
from settlement_node.store.telling import outbox, records
from tests_support.book import add_fund

NOBODY = 65534
"""The user of no rights, on every Unix."""


def kill(store: Store, connection: Connection) -> None:
    """End the server process behind a connection, as a failover would."""
    pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with store.engine.connect() as other:
        other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


on_postgresql = pytest.mark.parametrize("database_name", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_name", ["sqlite"], indirect=True)


@on_postgresql
@pytest.mark.parametrize("then", ["another statement", "the commit"])
def test_transaction__backend_killed_in_the_middle__is_transient_and_nothing_is_done(
    store: Store, then: str
) -> None:
    add_fund(store)
    with pytest.raises(Transient), store.transaction(actor="a") as tx:
        tx.connection.execute(t.funds.update().values(name="half"))
        tx.audit("half", "thing", "1")
        tx.emit("half", "1", {})
        kill(store, tx.connection)
        if then == "another statement":
            tx.connection.execute(t.funds.update().values(name="other half"))
    with store.read() as tx:
        name = tx.connection.execute(sa.select(t.funds.c.name)).scalar_one()
        facts = records.audit_of(tx, "thing", "1")
        events = [e for e in outbox.after(tx, 0) if e["topic"] == "half"]
    assert (name, facts, events) == ("Alpha Income Fund", [], [])


@on_postgresql
def test_transaction__backend_killed__the_next_one_works(store: Store) -> None:
    with pytest.raises(Transient), store.transaction(actor="a") as tx:
        kill(store, tx.connection)
        tx.connection.execute(sa.text("SELECT 1"))
    with store.transaction(actor="a") as tx:
        tx.audit("again", "thing", "1")
    with store.read() as tx:
        assert [f["action"] for f in records.audit_of(tx, "thing", "1")] == ["again"]


@on_postgresql
def test_transaction__connection_lost_during_the_commit__says_that_it_may_have_happened(
    store: Store,
) -> None:
    with pytest.raises(Transient) as lost, store.transaction(actor="a") as tx:
        sa.event.listen(tx.connection, "commit", lambda connection: kill(store, connection))
        tx.audit("perhaps", "thing", "1")
    assert lost.value.details["reason"] == "commit_unanswered"


@on_postgresql
def test_transaction__backend_killed_while_reading__is_transient(store: Store) -> None:
    with pytest.raises(Transient), store.read() as tx:
        kill(store, tx.connection)
        tx.connection.execute(sa.text("SELECT 1"))


@on_postgresql
@pytest.mark.parametrize("default", ["repeatable read", "serializable"])
def test_transaction__server_keeps_a_first_view_by_default__sees_what_was_committed_since(
    store: Store, postgresql_url: str, default: str
) -> None:
    setting = "-c default_transaction_isolation=" + default.replace(" ", "\\ ")
    url = sa.make_url(postgresql_url).update_query_dict({"options": setting})
    engine = open_engine(url.render_as_string(hide_password=False))
    add_fund(store)
    with Store(engine).transaction(actor="a") as tx:
        tx.connection.execute(sa.text("SELECT 1 FROM funds")).all()
        with store.transaction(actor="b") as other:
            other.connection.execute(t.funds.update().values(name="changed since"))
        name = tx.connection.execute(sa.select(t.funds.c.name)).scalar_one()
    engine.dispose()
    assert name == "changed since"


@on_postgresql
def test_transaction__deadlock__one_goes_on_and_the_other_is_transient(store: Store) -> None:
    add_fund(store)
    add_fund(store, fund_id="beta", share_token_address="0x" + "2" * 40)
    first_locks = threading.Barrier(2)
    outcomes: list[str] = []

    def run(order: list[str]) -> None:
        try:
            with store.transaction(actor="a") as tx:
                for n, fund_id in enumerate(order):
                    tx.connection.execute(
                        t.funds.update().where(t.funds.c.fund_id == fund_id).values(name="x")
                    )
                    if n == 0:
                        first_locks.wait(60)
            outcomes.append("committed")
        except Transient as error:
            outcomes.append(str(error.details["reason"]))

    threads = [
        threading.Thread(target=run, args=(order,))
        for order in (["alpha", "beta"], ["beta", "alpha"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["40P01", "committed"]


@on_postgresql
def test_transaction__server_has_become_a_standby__is_transient(store: Store) -> None:
    with pytest.raises(Transient), store.transaction(actor="a") as tx:
        tx.connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        tx.audit("wrote", "thing", "1")


def test_transaction__no_database_there__is_transient(tmp_path: Path) -> None:
    for url in (
        f"postgresql://nobody@/none?host={tmp_path}",
        f"sqlite:///{tmp_path}/no/folder/node.sqlite",
    ):
        engine = open_engine(url)
        with pytest.raises(Transient), Store(engine).transaction(actor="a"):
            pass
        engine.dispose()


def test_transaction__every_connection_in_use__is_transient(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, pool_size=1).execution_options()
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with engine.connect(), engine.connect(), pytest.raises(Transient) as busy:
        Store(engine).transaction(actor="a").__enter__()
    engine.dispose()
    assert busy.value.details["reason"] == "pool"


@on_sqlite
def test_transaction__file_locked_by_another_program__is_transient(store: Store) -> None:
    other = sqlite3.connect(str(store.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    @sa.event.listens_for(store.engine, "connect")
    def _hasty(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=20")

    store.engine.dispose()
    with pytest.raises(Transient), store.transaction(actor="a"):
        pass
    other.execute("ROLLBACK")
    other.close()
    with store.transaction(actor="a") as tx:
        tx.audit("after", "thing", "1")


@on_sqlite
def test_transaction__disk_full__is_transient_and_nothing_is_done(store: Store) -> None:
    add_fund(store)
    with pytest.raises(Transient), store.transaction(actor="a") as tx:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        tx.connection.execute(t.funds.update().values(name="half"))
        for n in range(1000):
            tx.audit("filled", "disk", str(n), {"text": "x" * 4000})
        tx.flush()
    with store.read() as tx:
        assert tx.connection.execute(sa.select(t.funds.c.name)).scalar_one() != "half"
        assert records.audit_of(tx, "disk", "0") == []


@contextmanager
def without_privileges() -> Iterator[None]:
    """As somebody whom the rights of a file stop; root, whom they do not, is nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def own_file() -> Iterator[Path]:
    """A migrated database of a user whom its rights stop. Another connection to it stays open, so
    that the files beside it are there, and can be written."""
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name), Path(name) / "node.sqlite"
        engine = open_engine(f"sqlite:///{file}")
        upgrade(engine)
        engine.dispose()
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA user_version = 1")
            if os.geteuid() == 0:
                for path in (folder, *folder.iterdir()):
                    os.chown(path, NOBODY, NOBODY)
            with without_privileges():
                yield file


def test_transaction__opened_while_the_file_could_only_be_read__writes_once_it_can(
    own_file: Path,
) -> None:
    store = Store(open_engine(f"sqlite:///{own_file}"))
    own_file.chmod(0o444)
    with store.read() as tx:
        assert records.audit_of(tx, "thing", "1") == []
    own_file.chmod(0o644)
    with pytest.raises(Transient, match="can only be read"), store.transaction(actor="a") as tx:
        tx.audit("too early", "thing", "1")
    with store.transaction(actor="a") as tx:
        tx.audit("wrote", "thing", "1")
    with store.read() as tx:
        assert [f["action"] for f in records.audit_of(tx, "thing", "1")] == ["wrote"]
    store.engine.dispose()


def test_transaction__table_missing__is_an_error_to_mend_not_to_repeat(store: Store) -> None:
    with pytest.raises(DatabaseUnusable) as refused, store.transaction(actor="a") as tx:
        tx.connection.execute(sa.text("SELECT * FROM no_such_table"))
    assert "no_such_table" in refused.value.message
    assert refused.value.details["field"] == "database.url"
