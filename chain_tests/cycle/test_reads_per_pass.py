"""How often a pass opens the database: the open work is read once and handed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from chain_tests.marks import both_databases
from chain_tests.world import World
from settlement_node.domain.engine.fees import FeeHistory
from settlement_node.node.cycle import PassEnd, run_pass


@dataclass(slots=True)
class Counted:
    """What a pass began and asked: database transactions, each as whether it only reads, and
    questions for the market's fees."""

    begun: list[bool] = field(default_factory=list)
    fees_asked: int = 0


def run_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """One pass that ends well."""
    counted = Counted()
    fee_history = world.lane.chain.client.fee_history

    def note(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        counted.begun.append(bool(options.get("settlement_read_only", False)))

    def ask(**words: Any) -> FeeHistory:
        counted.fees_asked += 1
        return fee_history(**words)

    sa.event.listen(world.store.engine, "begin", note)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(world.lane.chain.client, "fee_history", ask)
            assert PassEnd.DONE is run_pass(world.lane).end
    finally:
        sa.event.remove(world.store.engine, "begin", note)
    return counted


@pytest.fixture
def settled(world: World) -> World:
    """A world with a settled redemption behind it, and nothing to do."""
    world.enter(1)
    world.settle()
    world.step(2)
    return world


@both_databases
def test_pass__nothing_to_do__two_reads_and_no_commit(
    settled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open, and what is due of the one fund."""
    assert [True, True] == run_counted(settled, monkeypatch).begun


@both_databases
def test_pass__nothing_but_a_block__its_head_and_its_page_are_committed(
    settled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.mine()
    begun = run_counted(settled, monkeypatch).begun
    assert (2, 3) == (begun.count(False), begun.count(True))


def test_pass__that_plans_and_sends__reads_again_only_after_its_own_commits(
    settled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five commits: a block's head and page, then planned, signed and sent. What may have changed
    by them is read again, once before it is needed."""
    settled.enter(3, "more")
    begun = run_counted(settled, monkeypatch).begun
    assert (5, 6) == (begun.count(False), begun.count(True))


def test_pass__that_plans_and_sends__asks_for_the_fees_once(
    settled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.enter(3, "more")
    assert 1 == run_counted(settled, monkeypatch).fees_asked
