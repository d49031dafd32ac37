"""Fixtures of every chain test: a chain, a book, and `new_world` that puts a node between them.

Without further words a test runs on py-evm and SQLite, the cheapest pair on which everything here
is real. `both_chains` and `both_databases` widen that where the program or the database matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from chain_tests.copies import Copies
from chain_tests.world import Chain, World, build_world
from settlement_node.demo.stage import set_stage
from settlement_node.store.database import Store
from settlement_node.units import Payout
from tests_support.anvil import AnvilProcess
from tests_support.embedded import EmbeddedChain

TREASURY = Payout(10**15)
FIGURE = "figure"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The network stays blocked but for this machine, where anvil listens."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


class Figures:
    """Figures tests measured, shown at the end of the run; they decide nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.lines += [str(value) for name, value in report.user_properties if name == FIGURE]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in sorted(self.lines):
            terminalreporter.write_line(f"measured: {line}")


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("chain-figures"):
        config.pluginmanager.register(Figures(), "chain-figures")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Call it with a line that belongs into the summary."""
    return lambda line: record_property(FIGURE, line)


@pytest.fixture(params=["pyevm"])
def chain_name(request: pytest.FixtureRequest) -> str:
    """Which chain program a test runs on; parametrise it indirectly for another."""
    return str(request.param)


@pytest.fixture(params=["sqlite"])
def database_name(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on; parametrise it indirectly for another."""
    return str(request.param)


@pytest.fixture
def chain_options() -> dict[str, Any]:
    """Arguments of the chain program; a test overrides them by parametrisation."""
    return {}


@pytest.fixture
def chain(chain_name: str, chain_options: dict[str, Any]) -> Iterator[Chain]:
    """A fresh chain without blocks of its own accord."""
    if chain_name == "pyevm":
        yield EmbeddedChain(**chain_options)
        return
    with AnvilProcess(**chain_options) as anvil:
        yield anvil


@pytest.fixture
def book(engine: Engine) -> Store:
    """A fresh book whose times are real ones."""
    return Store(engine)


@pytest.fixture
def copies(tmp_path: Path, worker_name: str) -> Iterator[Copies]:
    """Backups of any book, gone at the end of the test."""
    with Copies(tmp_path, worker_name) as made:
        yield made


@pytest.fixture
def backup(copies: Copies, book: Store) -> Callable[[], Store]:
    """Take a backup of the book as it stands now; gives a store on what was restored."""
    return lambda: copies.of(book)


@pytest.fixture
def new_world(chain: Chain, book: Store) -> Callable[..., World]:
    """Set the stage and put a node on it; words for the stage and for the node alike."""

    def make(
        *,
        treasury: int = TREASURY,
        daily_limit: int | None = None,
        ceiling_price: int | None = None,
        **node_words: Any,
    ) -> World:
        stage_words: dict[str, Any] = {}
        if daily_limit is not None:
            stage_words["daily_payout_limit_base_units"] = Payout(daily_limit)
        if ceiling_price is not None:
            stage_words["ceiling_price"] = ceiling_price
        stage = set_stage(chain, treasury_base_units=Payout(treasury), **stage_words)
        return build_world(chain, stage, book, **node_words)

    return make


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """The plain world."""
    return new_world()
