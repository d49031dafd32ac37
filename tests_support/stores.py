"""The `store` fixture: one suite, both databases, each test on a fresh migrated schema."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from settlement_node.store import tables as t
from settlement_node.store.database import Store, open_engine
from settlement_node.store.migrate import upgrade
from tests_support.clock import Clock

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def worker_name() -> str:
    """A name that no other process of tests has, for what they share."""
    return f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; tests work on copies."""
    path = tmp_path_factory.mktemp("template") / "node.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url: str) -> Iterator[Engine]:
    """The engine of this worker's migrated PostgreSQL database; tests empty its tables first."""
    engine = open_engine(postgresql_url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=DATABASES)
def database_name(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on; both, one after the other."""
    return str(request.param)


@pytest.fixture
def engine(database_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine on a fresh, migrated, empty schema."""
    if database_name == "postgresql":
        shared: Engine = request.getfixturevalue("migrated_postgresql")
        empty(shared)
        yield shared
        return
    path = tmp_path / "node.sqlite"
    shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
    own = open_engine(f"sqlite:///{path}")
    yield own
    own.dispose()


def empty(engine: Engine) -> None:
    """Remove every row of every table and start the row numbers again."""
    names = ", ".join(table.name for table in t.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY"))


@pytest.fixture
def clock() -> Clock:
    """The time written into rows; leases ask the database for its own."""
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Store:
    """A store on a fresh schema, once on SQLite in a file and once on PostgreSQL."""
    return Store(engine, clock=clock)
