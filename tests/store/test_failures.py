"""What is said of a database that fails: its setting and the cause, and never its password."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from settlement_node.errors import SettlementError, Transient
from settlement_node.store.database import Store, open_engine
from settlement_node.store.failures import DatabaseUnusable, cause_of
from settlement_node.store.migrate import pending, upgrade

SECRET = "pass-word-1"


def refusal(url: str) -> SettlementError:
    """How the first look at a database fails."""
    engine = open_engine(url)
    try:
        with pytest.raises(SettlementError) as failed:
            pending(engine)
    finally:
        engine.dispose()
    assert failed.value.details["field"] == "database.url"
    assert SECRET not in f"{failed.value.message}{failed.value.details}"
    return failed.value


@pytest.mark.enable_socket
def test_server__nobody_listens__is_transient_and_said() -> None:
    away = refusal(f"postgresql://u:{SECRET}@127.0.0.1:1/x")
    assert isinstance(away, Transient)
    assert away.message == "database.url: cannot be reached: connection refused"


def test_server__unknown_database_or_role__is_named(postgresql_url: str) -> None:
    url = sa.make_url(postgresql_url)
    nowhere = url.set(database="nowhere").render_as_string(hide_password=False)
    assert refusal(nowhere).message == 'database.url: database "nowhere" does not exist'
    stranger = url.set(username="stranger", password=SECRET).render_as_string(hide_password=False)
    assert "stranger" in refusal(stranger).message


def test_server__a_role_that_may_not_write__is_refused_with_the_table(
    postgresql_url: str,
) -> None:
    owner = open_engine(postgresql_url)
    upgrade(owner)
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE looker LOGIN"))
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
    url = sa.make_url(postgresql_url).set(username="looker")
    engine = open_engine(url.render_as_string(hide_password=False))
    try:
        with pytest.raises(DatabaseUnusable) as refused, Store(engine).transaction(actor="a") as tx:
            tx.audit("wrote", "thing", "1")
        assert refused.value.message == ("database.url: permission denied for table audit_events")
    finally:
        engine.dispose()
        with psycopg.connect(postgresql_url, autocommit=True) as admin:
            admin.execute("DROP OWNED BY looker")
            admin.execute("DROP ROLE looker")
        owner.dispose()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            'connection to server at "h", port 5432 failed: FATAL:  password authentication'
            ' failed for user "u"\nconnection to server failed: more',
            'password authentication failed for user "u"',
        ),
        (
            f"failed to resolve host '{SECRET}': Name or service not known",
            "cannot be reached: failed to resolve host '***': Name or service not known",
        ),
        ("connection timeout expired", "cannot be reached: connection timeout expired"),
        ("", "cannot be reached: no reason was given"),
    ],
)
def test_cause__of_a_refused_connection__is_one_line_without_the_password(
    said: str, cause: str
) -> None:
    error = sa.exc.OperationalError(None, None, psycopg.OperationalError(said))
    assert cause_of(error, sa.make_url(f"postgresql://u:{SECRET}@h/x")) == cause


def test_file__in_no_folder_or_a_folder__is_said(tmp_path: Path) -> None:
    missing = refusal(f"sqlite:///{tmp_path}/no/x.sqlite")
    assert isinstance(missing, Transient)
    assert missing.message == f"database.url: the folder {tmp_path}/no does not exist"
    assert "is a folder, not a file" in refusal(f"sqlite:///{tmp_path}").message


def test_file__of_something_else__is_not_tried_again(tmp_path: Path) -> None:
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"no database" * 500)
    refused = refusal(f"sqlite:///{junk}")
    assert isinstance(refused, DatabaseUnusable)
    assert refused.message == f"database.url: {junk} is not an SQLite database"


def test_file__full_or_read_only__is_transient_and_said(migrated_sqlite: Path) -> None:
    engine = open_engine(f"sqlite:///{migrated_sqlite}")
    causes = []
    for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY):
        fault = sqlite3.OperationalError("words of the driver")
        fault.sqlite_errorcode = code
        with pytest.raises(Transient) as failed, Store(engine).transaction(actor="a"):
            raise sa.exc.OperationalError("UPDATE", None, fault)
        causes.append(failed.value.message)
    engine.dispose()
    assert "the disk is full" in causes[0]
    assert "can only be read" in causes[1]
    assert "another program is writing" in causes[2]
