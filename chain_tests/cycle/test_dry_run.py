"""A dry run goes through the whole book once, says what would come of it, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from chain_tests.world import SHARE, World
from settlement_node.demo.book import account
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason, RedemptionOrder
from settlement_node.node.dry_run import run_dry
from settlement_node.store.telling.overview import leases_by_name
from settlement_node.units import Shares

S = RedemptionStatus
Entry = MutableMapping[str, Any]


@pytest.fixture
def logged() -> Iterator[list[Entry]]:
    """What the node logs, whatever the process' own settings are."""
    structlog.reset_defaults()
    with capture_logs() as entries:
        yield entries


def said(logged: list[Entry], event: str) -> list[Entry]:
    return [entry for entry in logged if entry["event"] == event]


def without_shares(name: str) -> RedemptionOrder:
    """An order that cannot burn: its investor has nothing."""
    return RedemptionOrder(name, account(name), account(name), Shares(SHARE))


def dry(world: World) -> World:
    """The same world with a node that plans only."""
    return world.new_node(rehearsals={})


def test_dry_run__the_oldest_cannot_burn__those_behind_are_judged_and_all_once(
    new_world: Callable[..., World], logged: list[Entry]
) -> None:
    world = dry(new_world(policy=EnginePolicy(batch_items_max=2)))
    bad = [f"bad-{n}" for n in range(5)]
    world.take_in(*(without_shares(name) for name in bad), *world.orders(3))
    logged.clear()

    for _ in range(10):
        world.tick()
    assert [e["redemption_id"] for e in said(logged, "would_hold")] == [
        world.row(name).redemption_id for name in bad
    ]
    assert {e["reason"] for e in said(logged, "would_hold")} == {"burn_failed"}
    assert [e["items"] for e in said(logged, "would_settle")] == [1, 2]
    assert all(e["gas_limit"] > 0 for e in said(logged, "would_settle"))
    (through,) = said(logged, "dry_run_through")
    assert (through["would_settle"], through["would_hold"], through["would_wait"]) == (3, 5, 0)
    assert {row.status for row in world.rows()} == {S.APPROVED}
    assert world.unfinal() == []


def test_run_dry__from_beginning_to_end__names_each_order_it_would_hold(
    new_world: Callable[..., World],
) -> None:
    world = dry(new_world(policy=EnginePolicy(batch_items_max=2)))
    bad = [f"bad-{n}" for n in range(5)]
    world.take_in(*(without_shares(name) for name in bad), *world.orders(3))

    (found,) = run_dry(world.node.context, Event())

    assert found.unjudged_because is None
    assert [hold.external_id for hold in found.state.would_hold] == bad
    assert {hold.reason for hold in found.state.would_hold} == {HoldReason.BURN_FAILED}
    assert found.state.would_settle_count == 3
    assert found.state.would_pay_base_units > 0
    assert {row.status for row in world.rows()} == {S.APPROVED}
    with world.store.read() as tx:
        assert {lease["holder"] for lease in leases_by_name(tx).values()} == {None}


def test_run_dry__nothing_can_go_on__ends_and_says_why(world: World) -> None:
    world = dry(world)
    world.enter(2)
    world.stage.deployer.transact(world.stage.fund.settler_address, "RedemptionSettler", "pause")

    (found,) = run_dry(world.node.context, Event(), patience_seconds=0.1)

    assert found.unjudged_because is not None
    assert found.unjudged_because.startswith("settler")
    assert found.state.would_settle_count == 0


def test_run_dry__another_node_holds_the_lane__ends_at_once_and_says_so(world: World) -> None:
    world.enter(1)
    world.tick()
    other = replace(world.node.context, node_id="other", rehearsals={})

    (found,) = run_dry(other, Event())

    assert found.unjudged_because is not None
    assert "another node holds the lane" in found.unjudged_because


def test_dry_run__money_for_some__the_others_would_wait(
    new_world: Callable[..., World], logged: list[Entry]
) -> None:
    world = dry(new_world(treasury=2 * 104 * 10**6))
    world.take_in(world.order("large", 10 * SHARE), world.order("small", SHARE))
    for _ in range(3):
        world.tick()
    (waiting,) = said(logged, "would_wait")
    assert (waiting["waiting_on"], waiting["items"]) == ("liquidity", 1)
    assert [e["items"] for e in said(logged, "would_settle")] == [1]


def test_dry_run__a_paused_settler__is_said_once_and_judged_when_it_goes_on(
    world: World, logged: list[Entry]
) -> None:
    world = dry(world)
    world.enter(2)
    settler = world.stage.fund.settler_address
    world.stage.deployer.transact(settler, "RedemptionSettler", "pause")
    for _ in range(3):
        world.tick()
    assert [e["waiting_on"] for e in said(logged, "would_wait")] == ["settler"]
    assert said(logged, "dry_run_through") == []
    world.stage.deployer.transact(settler, "RedemptionSettler", "unpause")
    world.tick()
    assert [e["items"] for e in said(logged, "would_settle")] == [2]
