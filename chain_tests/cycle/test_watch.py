"""Watching: alerts come up by what is so, and go by themselves when it is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from chain_tests.world import SHARE, World
from settlement_node.node.watch import HALTED_AFTER_SECONDS, watch
from settlement_node.store.database import Store

PER_SHARE = 103_989_375


def look(world: World) -> None:
    watch(world.context(), [world.lane])


def test_watch__nothing_wrong__raises_nothing(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.tick()
    look(world)
    assert set() == world.alerts()


def test_watch__no_new_block_for_long__says_so_until_one_comes(
    new_world: Callable[..., World], book: Store
) -> None:
    world = new_world()
    world.tick()
    plain = book.clock
    book.clock = lambda: plain() + timedelta(seconds=HALTED_AFTER_SECONDS + 1)
    look(world)
    assert {"chain_halted"} == world.alerts()
    world.step(1)
    world.tick()
    look(world)
    assert set() == world.alerts()


def test_watch__settler_paused_on_the_chain__says_so_until_lifted(
    new_world: Callable[..., World],
) -> None:
    world = new_world()
    world.tick()
    settler = world.stage.fund.settler_address
    world.stage.deployer.transact(settler, "RedemptionSettler", "pause")
    look(world)
    assert {"settler_paused"} == world.alerts()
    world.stage.deployer.transact(settler, "RedemptionSettler", "unpause")
    look(world)
    assert set() == world.alerts()


def test_watch__what_waited_for_money_is_cancelled__clears_the_alert(
    new_world: Callable[..., World],
) -> None:
    from settlement_node.node.intake import cancel

    world = new_world(treasury=PER_SHARE)
    world.take_in(world.order("large", 10 * SHARE))
    world.tick()
    assert {"treasury_short"} == world.alerts()
    with world.store.transaction(actor="test") as tx:
        cancel(tx, world.row("large").redemption_id, reason="withdrawn")
    look(world)
    assert set() == world.alerts()
