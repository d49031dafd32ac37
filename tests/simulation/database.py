"""The real store on SQLite in memory, with a virtual clock, and a connection that fails on order.

One engine serves all runs of a process: each run starts from the same serialised, migrated schema.
The database outlives the node's crashes, since it is another machine's in real life.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from settlement_node.store.database import Store, Tx, open_engine
from settlement_node.store.fence import Fence
from settlement_node.store.migrate import upgrade

LANE_TABLES = frozenset({"transactions", "attempts", "settlements", "settlement_items", "heads"})
"""Written under the lane's fence only (invariant 10)."""
_WRITE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")


class Trouble:
    """What the connection is to do wrong in the transaction at hand, and what it saw."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.statements_left = 0
        self.written: set[str] = set()
        self.watching = False

    def clear(self) -> None:
        """Nothing wrong from here on."""
        self.kind = None

    def at_statement(self, statement: str) -> None:
        """Called before each statement."""
        if self.watching:
            match = _WRITE.match(statement)
            if match:
                self.written.add(match.group(1))
        if self.kind is None:
            return
        if self.kind == "database_busy" and statement.startswith("BEGIN"):
            self.kind = None
            raise sqlite3.OperationalError("database is locked")
        if self.kind == "statement_failed" and not statement.startswith(("BEGIN", "PRAGMA")):
            self.statements_left -= 1
            if self.statements_left < 0:
                self.kind = None
                raise sqlite3.OperationalError("disk I/O error")


TROUBLE = Trouble()
"""Of the one connection of this process."""


class _Cursor(sqlite3.Cursor):
    def execute(self, statement: str, parameters: Any = ()) -> _Cursor:
        TROUBLE.at_statement(statement)
        super().execute(statement, parameters)
        return self

    def executemany(self, statement: str, parameters: Any) -> _Cursor:
        TROUBLE.at_statement(statement)
        super().executemany(statement, parameters)
        return self


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def commit(self) -> None:
        if TROUBLE.kind == "commit_refused":
            TROUBLE.clear()
            raise sqlite3.OperationalError("disk I/O error")
        super().commit()
        if TROUBLE.kind == "commit_unanswered":
            TROUBLE.clear()
            raise sqlite3.OperationalError("disk I/O error")


@cache
def shared_engine() -> Engine:
    """This process's engine; its compiled statements serve every run."""
    engine = open_engine("sqlite://")

    @sa.event.listens_for(engine, "do_connect")
    def _ours(_dialect: Any, _record: Any, _cargs: Any, cparams: dict[str, Any]) -> None:
        cparams["factory"] = _Connection

    # The store's own listener does the same through the dialect, at ten times the cost: a tenth
    # of a run's time.
    engine.dispatch.begin.clear()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        read_only = connection.get_execution_options().get("settlement_read_only", False)
        raw = raw_connection()
        sqlite3.Connection.execute(raw, f"PRAGMA query_only={int(read_only)}")
        begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        if TROUBLE.kind == "database_busy":
            connection.exec_driver_sql(begin)
        else:
            sqlite3.Connection.execute(raw, begin)

    return engine


@cache
def empty_schema() -> bytes:
    """A migrated database without rows, serialised."""
    engine = shared_engine()
    upgrade(engine)
    return raw_connection().serialize()


@cache
def raw_connection() -> sqlite3.Connection:
    """The driver's own connection: for the checker, which must not disturb what it looks at."""
    pooled = shared_engine().raw_connection()
    raw = cast(sqlite3.Connection, pooled.dbapi_connection)
    pooled.close()
    return raw


def start_afresh() -> None:
    """Put the empty schema into the database."""
    restore(empty_schema())


def snapshot() -> bytes:
    """A backup."""
    return raw_connection().serialize()


def restore(backup: bytes) -> None:
    """Put a backup in the database's place."""
    # Not by deserialising into the connection itself: a statement it has prepared about json_each
    # would then be about freed memory.
    with closing(sqlite3.connect(":memory:")) as restored:
        restored.deserialize(backup)
        restored.backup(raw_connection())


class SimStore(Store):
    """The real store for one user of it (a node or the people), with points where things happen.

    `around` is called with "begin", "commit.before" and "commit.after"; it may raise to crash the
    caller there. `trouble` says what the database does wrong this time.
    """

    def __init__(
        self,
        *,
        wall_seconds: Callable[[], float],
        database_seconds: Callable[[], float],
        around: Callable[[str, Fence | None], None],
        trouble: Callable[[], str | None],
        statement: Callable[[], int],
    ) -> None:
        super().__init__(
            shared_engine(),
            clock=lambda: datetime.fromtimestamp(wall_seconds(), UTC),
            database_clock=lambda: datetime.fromtimestamp(database_seconds(), UTC),
        )
        self._around = around
        self._trouble = trouble
        self._statement = statement

    @contextmanager
    def transaction(self, *, actor: str, fence: Fence | None = None) -> Iterator[Tx]:
        """The real unit of work, with something going wrong now and then."""
        self._around("begin", fence)
        TROUBLE.kind = self._trouble()
        TROUBLE.statements_left = self._statement() if TROUBLE.kind == "statement_failed" else 0
        TROUBLE.written.clear()
        TROUBLE.watching = True
        try:
            with super().transaction(actor=actor, fence=fence) as tx:
                yield tx
                self._around("commit.before", fence)
        finally:
            TROUBLE.watching = False
            TROUBLE.clear()
        self._around("commit.after", fence)
