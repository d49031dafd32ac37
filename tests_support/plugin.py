"""The pytest plugin of every suite in this repository; `conftest.py` at the root names it."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

from tests_support.postgresql import PostgresqlOwner, is_owned, postgresql_url
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


LONGEST_FIRST = (
    "chain_tests/benchmarks",
    "chain_tests/crash",
    "chain_tests/docs",
    "tests/simulation",
    "tests/defences",
    "tests/setup",
    "tests/docs",
    "chain_tests",
    "tests/cli",
)
"""Folders by how long a test of theirs takes; whatever is not named comes last."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no worker is left with one at the end."""

    def place(item: pytest.Item) -> int:
        folder = item.nodeid.partition("::")[0]
        named = (n for n, name in enumerate(LONGEST_FIRST) if folder.startswith(f"{name}/"))
        return next(named, len(LONGEST_FIRST))

    items.sort(key=place)


GARBAGE_THRESHOLDS = (20_000, 20, 100)
"""Young objects before a collection, and collections before one of older objects."""


def pytest_collection_finish() -> None:
    """Let the garbage collector pass by what is there for good: five thousand tests, web3, an EVM.
    Walking over it again and again took a quarter of the simulator's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def pytest_configure(config: pytest.Config) -> None:
    """Count what ran where; in the first process also own the PostgreSQL server."""
    config.pluginmanager.register(ProgramCount(), "settlement-programs")
    # A busy machine is no failure: properties have no deadline.
    settings.register_profile("settlement", deadline=None)
    settings.load_profile("settlement")
    if not is_owned():
        config.pluginmanager.register(PostgresqlOwner(), "settlement-postgresql")
