"""A folder with settings and a migrated book, and commands run in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from settlement_node.cli import app
from settlement_node.domain.capacity import FundCapacity
from settlement_node.store.book.funds import get_fund, note_capacity
from settlement_node.store.database import Store, open_engine
from settlement_node.store.rows import FundRow
from settlement_node.units import UINT256_MAX, Payout, Shares
from tests_support.book import add_fund

SETTINGS = """
[database]
url = "sqlite:///node.sqlite"

[[chains]]
chain_id = 31337
name = "local"
agreement_endpoints = 1

[[chains.endpoints]]
name = "away"
url = "http://127.0.0.1:9"
timeout_seconds = 1

[logging]
level = "error"
"""


@dataclass
class Desk:
    """Where commands are run."""

    folder: Path
    store: Store

    def run(self, *arguments: str | Path, **environment: str) -> Result:
        config = str(self.folder / "settlement-node.toml")
        try:
            return CliRunner().invoke(
                app,
                [str(argument) for argument in arguments],
                env={"SETTLEMENT_NODE_CONFIG": config} | environment,
            )
        finally:
            # The command logs to an output that ends with it; a later test's logs may not.
            structlog.reset_defaults()

    def json(self, *arguments: str | Path, code: int = 0, **environment: str) -> dict[str, Any]:
        result = self.run(*arguments, "--json", **environment)
        assert result.exit_code == code, result.output
        told: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
        return told

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def desk(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Desk]:
    shutil.copyfile(migrated_sqlite, tmp_path / "node.sqlite")
    (tmp_path / "settlement-node.toml").write_text(SETTINGS)
    engine = open_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    yield Desk(tmp_path, Store(engine))
    engine.dispose()


@pytest.fixture
def fund(desk: Desk) -> FundRow:
    """A fund that was watched: an order within what was noted asks no chain."""
    made = add_fund(desk.store)
    with desk.store.transaction(actor="test") as tx:
        note_capacity(tx, made, FundCapacity(Shares(UINT256_MAX), Payout(UINT256_MAX)))
        return get_fund(tx, made.fund_id)
