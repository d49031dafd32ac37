"""The migrated schema is exactly the tables' own, by the databases' catalogues."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from settlement_node.errors import InvalidInput, Transient
from settlement_node.store import migrate
from settlement_node.store import tables as t
from settlement_node.store.database import open_engine
from settlement_node.store.failures import DatabaseUnusable
from tests_support.postgresql import database

CATALOGUE_QUERIES = {
    "columns": """
        SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length,
               numeric_precision, numeric_scale, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "comments": """
        SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'""",
}


@pytest.fixture
def bare(
    database_name: str, tmp_path: Path, worker_name: str, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    """An engine on a database without any table."""
    if database_name == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path}/bare.sqlite")
        yield engine
        engine.dispose()
        return
    with database(f"bare_{worker_name}") as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


def catalogue(engine: Engine) -> dict[str, list[str]]:
    """What the database itself says it holds, Alembic's own table left out."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.execute(sa.text("SELECT type, name, sql FROM sqlite_master"))
            listed = {"sqlite_master": [f"{r.type} {r.name} {normalised(r.sql)}" for r in rows]}
        else:
            listed = {
                name: [repr(tuple(row)) for row in connection.execute(sa.text(query))]
                for name, query in CATALOGUE_QUERIES.items()
            }
    return {
        name: sorted(line for line in lines if "alembic_version" not in line)
        for name, lines in listed.items()
    }


def normalised(sql: str | None) -> str:
    return re.sub(r"\s+", " ", sql or "").replace("( ", "(").replace(" )", ")").strip()


def test_upgrade__empty_database__makes_exactly_the_tables(bare: Engine) -> None:
    t.metadata.create_all(bare)
    expected = catalogue(bare)
    t.metadata.drop_all(bare)
    migrate.upgrade(bare)
    migrated = catalogue(bare)
    for part, lines in expected.items():
        assert len(lines) >= len(t.metadata.tables)
        assert lines == migrated[part]


def test_upgrade__run_again__changes_nothing(bare: Engine) -> None:
    assert migrate.pending(bare) == migrate.upgrade(bare) != ()
    before = catalogue(bare)
    assert migrate.pending(bare) == migrate.upgrade(bare) == ()
    assert before == catalogue(bare)


def test_current_revision__before_and_after_an_upgrade__is_none_then_head(bare: Engine) -> None:
    before = migrate.current_revision(bare)
    migrate.upgrade(bare)
    assert (before, migrate.current_revision(bare)) == (None, migrate.HEAD_REVISION)


def test_upgrade__two_nodes_at_once__one_does_it_and_the_other_waits(bare: Engine) -> None:
    done: list[tuple[str, ...]] = []
    failures: list[BaseException] = []
    ready = threading.Barrier(3)

    def start() -> None:
        try:
            ready.wait()
            done.append(migrate.upgrade(bare))
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(done) == [(), (), (migrate.HEAD_REVISION,)]


def test_upgrade__database_of_a_newer_version__is_refused_unchanged(bare: Engine) -> None:
    migrate.upgrade(bare)
    with bare.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    before = catalogue(bare)
    for look in (migrate.upgrade, migrate.pending):
        with pytest.raises(InvalidInput, match="9999"):
            look(bare)
    assert before == catalogue(bare)


def test_upgrade__that_fails_half_way__leaves_no_table(bare: Engine) -> None:
    with bare.begin() as connection:
        connection.execute(sa.text("CREATE TABLE workers (n integer)"))
    before = catalogue(bare)
    with pytest.raises(DatabaseUnusable, match="workers"):
        migrate.upgrade(bare)
    assert (before, None) == (catalogue(bare), migrate.current_revision(bare))


def test_upgrade__database_out_of_reach__is_transient(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/no/such/folder/node.sqlite")
    with pytest.raises(Transient):
        migrate.upgrade(engine)


def test_scripts__all__are_declared_as_package_data() -> None:
    """An installed wheel carries every file a migration reads."""
    versions = Path(migrate.__file__).parent / "migrations" / "versions"
    kinds = {path.suffix for path in versions.iterdir() if path.is_file()}
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert kinds == {".py", ".sql"}
    assert '"store/migrations/versions/*.sql"' in pyproject
    assert (versions / "__init__.py").exists()
