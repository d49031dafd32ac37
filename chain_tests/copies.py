"""Backups of a book: a real copy of the database as it stands, restored beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from sqlalchemy.engine import Engine

from settlement_node.store.database import Store, open_engine


@dataclass(slots=True)
class Copies:
    """Makes copies and removes them at the end. `name` keeps parallel tests apart."""

    folder: Path
    name: str
    _engines: list[Engine] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for engine in self._engines:
            engine.dispose()
            if engine.dialect.name == "postgresql":
                run_sql(engine, f'DROP DATABASE "{engine.url.database}" WITH (FORCE)')

    def of(self, store: Store) -> Store:
        """A store on a copy of this one's database as it is now."""
        copy = f"restored_{self.name}_{len(self._engines)}"
        engine = store.engine
        if engine.dialect.name == "postgresql":
            # A template must have no other connection; the pool opens new ones by itself.
            engine.dispose()
            run_sql(engine, f'CREATE DATABASE "{copy}" TEMPLATE "{engine.url.database}"')
            made = open_engine(address_of(engine, database=copy))
        else:
            path = self.folder / f"{copy}.sqlite"
            with (
                closing(sqlite3.connect(str(engine.url.database))) as source,
                closing(sqlite3.connect(path)) as target,
            ):
                source.backup(target)
            made = open_engine(f"sqlite:///{path}")
        self._engines.append(made)
        return Store(made)


def address_of(engine: Engine, *, database: str | None = None) -> str:
    """The database's address as a settings file has it."""
    url = engine.url
    if engine.dialect.name == "postgresql":
        url = url.set(drivername="postgresql", database=database or url.database)
    return url.render_as_string(hide_password=False)


def run_sql(engine: Engine, statement: str) -> None:
    """One statement outside any transaction, on the server's own database."""
    with psycopg.connect(address_of(engine, database="postgres"), autocommit=True) as admin:
        admin.execute(statement.encode())
