"""Bringing a database to this version's schema. The scripts are package data, so an installed
wheel carries them; nodes that start together take turns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from settlement_node.errors import InvalidInput
from settlement_node.store.database import database_errors

if TYPE_CHECKING:
    from alembic.config import Config

HEAD_REVISION = "0001"
"""The newest script, which this version of the program works with."""
MIGRATION_LOCK = 0x5E771F
"""Advisory lock of a PostgreSQL upgrade; SQLite's single writer needs none."""


def upgrade(engine: Engine) -> tuple[str, ...]:
    """Run every pending script in one transaction; returns their revisions, oldest first.

    A node that comes second waits for the first and then finds nothing to do. Raises InvalidInput
    when the database belongs to a newer version of this program.
    """
    with database_errors(engine), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        due = _pending(connection)
        if due:
            from alembic import command

            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return due


def current_revision(engine: Engine) -> str | None:
    """The database's revision; None when it has no schema of ours."""
    with database_errors(engine), _reading(engine) as connection:
        return _current(connection)


def pending(engine: Engine) -> tuple[str, ...]:
    """Revisions `upgrade` would run, oldest first. Raises InvalidInput as `upgrade` does."""
    with database_errors(engine), _reading(engine) as connection:
        return _pending(connection)


def _reading(engine: Engine) -> Connection:
    return engine.connect().execution_options(settlement_read_only=True)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    location = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", location.replace("%", "%%"))
    return config


def _current(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _pending(connection: Connection) -> tuple[str, ...]:
    current = _current(connection)
    if current == HEAD_REVISION:
        return ()  # as nearly always, and without alembic, which takes long to import
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    scripts = ScriptDirectory.from_config(_config())
    try:
        steps = list(scripts.iterate_revisions("head", current or "base"))
    except (CommandError, RevisionError) as error:
        raise InvalidInput(
            f"the database has revision {current}, which this version does not know;"
            " run the version that made it, or a newer one",
            field="database.url",
            revision=current,
        ) from error
    return tuple(step.revision for step in reversed(steps))
