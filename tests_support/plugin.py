"""The pytest plugin of every suite in this repository; `conftest.py` at the root names it."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests_support.postgresql import PostgresqlOwner, postgresql_url
from tests_support.programs import ProgramCount
from tests_support.stores import (
    clock,
    database_name,
    engine,
    migrated_postgresql,
    migrated_sqlite,
    store,
    worker_name,
)

__all__ = [
    "clock",
    "database_name",
    "engine",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_url",
    "store",
    "worker_name",
]


def pytest_configure(config: pytest.Config) -> None:
    """Count what ran where; in the first process also own the PostgreSQL server."""
    config.pluginmanager.register(ProgramCount(), "settlement-programs")
    # A busy machine is no failure: properties have no deadline.
    settings.register_profile("settlement", deadline=None)
    settings.load_profile("settlement")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(PostgresqlOwner(), "settlement-postgresql")
