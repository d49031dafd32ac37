"""Opening the database, and the unit of work: one commit with its audit rows and outbox events."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from settlement_node.errors import InvalidInput, Transient
from settlement_node.store import tables as t
from settlement_node.store.failures import FIELD, DatabaseUnusable, cause_of
from settlement_node.store.fence import Fence, check_fence
from settlement_node.store.types import SumAggregate

OUTBOX_LOCK = 0x5E771E
"""Advisory lock taken just before outbox rows are written, so that their ids commit in order."""
POOL_SIZE = 5
BUSY_TIMEOUT_MILLISECONDS = 10_000
TRANSIENT_STATES = ("40001", "40P01", "55P03", "25006", "08", "53", "57")
"""SQLSTATEs (or classes) after which the same work may be tried again; 25006 is what a server
answers that has just become a standby."""
SQLITE_MISUSE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Primary result codes that trying again cannot mend: a missing table, a damaged file."""


def open_engine(url: str, *, pool_size: int = POOL_SIZE) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://…`; nothing is connected yet.

    Raises InvalidInput for a URL that is neither.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise InvalidInput(
            "database.url is not a database address; write sqlite:///node.sqlite or"
            " postgresql://user:password@host/name",
            field="database.url",
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _open_sqlite(parsed)
    if backend == "postgresql":
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            # Whatever the server's default is: what a commit reads once it has its locks must be
            # what those who had them before have written.
            isolation_level="READ COMMITTED",
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={"connect_timeout": 10},
        )
    raise InvalidInput(
        f"database.url names {backend}; this node knows sqlite and postgresql",
        field="database.url",
    )


def _open_sqlite(url: sa.URL) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    engine = sa.create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MILLISECONDS / 1000},
        poolclass=sa.pool.StaticPool if in_memory else sa.pool.QueuePool,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own BEGIN comes too late for a writer; ours is sent on "begin" below.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
        if not in_memory:
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL: a commit is on the disk before the send it orders (invariant 3).
            connection.execute("PRAGMA synchronous=FULL")
        connection.create_aggregate("sum_base_units", 1, SumAggregate)  # type: ignore[arg-type]

    @sa.event.listens_for(engine, "handle_error")
    def _throw_away(context: sa.engine.ExceptionContext) -> None:
        # Opened while the file could only be read, a connection can only read for ever: the pool
        # is emptied, and the next unit of work opens a new one.
        code = getattr(context.original_exception, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_READONLY and not in_memory:
            context.is_disconnect = True

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("settlement_read_only", False)
        # A reader that writes is refused here as it is on PostgreSQL.
        connection.exec_driver_sql(f"PRAGMA query_only={int(read_only)}")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


_COUNT = (
    t.redemption_counts.update()
    .where(
        t.redemption_counts.c.fund_id == sa.bindparam("of_fund_id"),
        t.redemption_counts.c.status == sa.bindparam("of_status"),
    )
    .values(
        redemptions_count=t.redemption_counts.c.redemptions_count + sa.bindparam("change"),
        moves_count=t.redemption_counts.c.moves_count + sa.bindparam("moves"),
    )
)


@dataclass(slots=True)
class ReadTx:
    """A consistent view for reading only: what takes one changes nothing. Whoever has a whole unit
    of work may hand it on as one."""

    connection: Connection
    now_utc: datetime


@dataclass(slots=True)
class Tx(ReadTx):
    """One open unit of work. Audit facts, ledger postings and outbox events are gathered and
    written together just before the commit, which makes a batch of a hundred facts three
    statements instead of hundreds."""

    actor: str
    _events: list[dict[str, Any]] = field(default_factory=list)
    _facts: list[dict[str, Any]] = field(default_factory=list)
    _postings: list[dict[str, Any]] = field(default_factory=list)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _moves: Counter[tuple[str, str]] = field(default_factory=Counter)

    def emit(self, topic: str, subject_id: str, payload: dict[str, Any]) -> None:
        """Announce something in the outbox, in the same commit. Amounts are decimal strings."""
        self._events.append({"topic": topic, "subject_id": subject_id, "payload": payload})

    def audit(
        self, action: str, subject_kind: str, subject_id: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Record an operation or a fact of a subject, in the same commit."""
        self._facts.append(
            {
                "at_utc": self.now_utc,
                "actor": self.actor,
                "action": action,
                "subject_kind": subject_kind,
                "subject_id": subject_id,
                "detail": detail or {},
            }
        )

    def post(self, posting: dict[str, Any]) -> None:
        """Book one ledger movement in the same commit; use `ledger.post`."""
        self._postings.append(posting)

    def count(self, fund_id: str, status: str, change: int) -> None:
        """Keep the count of a fund's redemptions in a status, in the same commit."""
        self._counts[fund_id, status] += change
        self._moves[fund_id, status] += abs(change)

    def flush(self) -> int:
        """Write what was gathered; returns how many events were announced."""
        self.spill()
        self._flush_counts()
        return self.flush_events()

    def _flush_counts(self) -> None:
        """Every commit of a fund waits for these rows: they are taken last but for the outbox, and
        in one order, so that they are held briefly and no two commits wait for one another."""
        changes = [
            {
                "of_fund_id": fund_id,
                "of_status": status,
                "change": self._counts[fund_id, status],
                "moves": moves,
            }
            for (fund_id, status), moves in sorted(self._moves.items())
        ]
        if changes:
            self.connection.execute(_COUNT, changes)
        self._counts.clear()
        self._moves.clear()

    def spill(self) -> None:
        """Write the gathered facts and postings now, so that a very large unit of work does not
        keep them all. Events wait for the end: their lock holds up every other commit."""
        if self._facts:
            self.connection.execute(t.audit_events.insert(), self._facts)
            self._facts = []
        if self._postings:
            self.connection.execute(t.ledger_postings.insert(), self._postings)
            self._postings = []

    def flush_events(self) -> int:
        """Write the announced events; returns how many."""
        if not self._events:
            return 0
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(sa.select(sa.func.pg_advisory_xact_lock(OUTBOX_LOCK)))
        self.connection.execute(
            t.outbox.insert(),
            [{**event, "created_at_utc": self.now_utc} for event in self._events],
        )
        count = len(self._events)
        self._events.clear()
        return count


class Store:
    """The database behind its units of work.

    `clock` gives the time written into rows; leases ask the database for its own time unless
    `database_clock` is given (the simulator's virtual one). `on_commit` is called after each
    commit that announced events, so that waiting stages and streams wake at once.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        database_clock: Callable[[], datetime] | None = None,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.database_clock = database_clock
        self.on_commit = on_commit

    @contextmanager
    def transaction(self, *, actor: str, fence: Fence | None = None) -> Iterator[Tx]:
        """One commit, or nothing. With a fence the commit fails with LeaseLost when the lane has
        another holder by now.

        Raises Transient when the database could not do it this time. Its `reason` is
        `commit_unanswered` when the connection broke during the commit itself, which may then
        have happened: every unit of work decides by what it reads, so it is safe to run again.
        """
        step = _Step()
        with database_errors(self.engine, step), self.engine.begin() as connection:
            tx = Tx(connection, self.clock(), actor)
            if fence is not None:
                check_fence(connection, fence, now_utc=self.database_now(connection))
            yield tx
            emitted = tx.flush()
            step.committing = True
        if emitted:
            self.on_commit()

    @contextmanager
    def read(self) -> Iterator[ReadTx]:
        """A consistent view; the database refuses what would write all the same."""
        options: dict[str, Any] = {"settlement_read_only": True}
        if self.engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with database_errors(self.engine), self.engine.connect() as plain:
            connection = plain.execution_options(**options)
            with connection.begin():
                yield ReadTx(connection, self.clock())

    def database_now(self, connection: Connection) -> datetime:
        """The database's own time, which every node of it shares."""
        if self.database_clock is not None:
            return self.database_clock()
        if connection.dialect.name == "postgresql":
            value = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
            return value.astimezone(UTC)  # type: ignore[no-any-return]
        seconds = connection.execute(
            sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0")
        ).scalar_one()
        return datetime.fromtimestamp(float(seconds), UTC)


@dataclass(slots=True)
class _Step:
    """How far a unit of work has come."""

    committing: bool = False


@contextmanager
def database_errors(engine: Engine, step: _Step | None = None) -> Iterator[None]:
    """Turn what the database may get over by itself into Transient, the rest into
    DatabaseUnusable; both say the cause. A constraint's IntegrityError passes unchanged."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise Transient("every connection to the database is busy", reason="pool") from error
    except sa.exc.IntegrityError:
        raise
    except sa.exc.DBAPIError as error:
        cause = cause_of(error, engine.url)
        if not _passing(error):
            raise DatabaseUnusable(f"{FIELD}: {cause}", field=FIELD, cause=cause) from error
        if step is not None and step.committing:
            raise Transient(
                "the database did not answer a commit; read again before acting",
                reason="commit_unanswered",
                field=FIELD,
                cause=cause,
            ) from error
        raise Transient(
            f"{FIELD}: {cause}",
            reason=str(getattr(error.orig, "sqlstate", None) or type(error).__name__),
            field=FIELD,
            cause=cause,
        ) from error


def _passing(error: sa.exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(TRANSIENT_STATES)
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in SQLITE_MISUSE:
        return False
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
