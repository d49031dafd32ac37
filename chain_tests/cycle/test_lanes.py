"""Two nodes, one lane: one acts, the other cannot commit, the chain refuses what slips past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from chain_tests.marks import both_chains, on_postgresql
from chain_tests.world import World
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionOutcome
from settlement_node.node.cycle import PassEnd
from settlement_node.store import tables as t
from settlement_node.store.database import Store
from settlement_node.store.engine.leases import take_lease

S = RedemptionStatus


def lapse(world: World) -> None:
    """What the database sees of a holder that has slept past its lease."""
    with world.store.transaction(actor="time") as tx:
        tx.connection.execute(
            t.leases.update().values(expires_at_utc=tx.now_utc - timedelta(seconds=1))
        )


@pytest.fixture
def two_nodes(new_world: Callable[..., World]) -> tuple[World, World]:
    world = new_world()
    return world, world.new_node(node_id="other")


@both_chains
@on_postgresql
def test_lane__two_nodes_on_one_book__only_the_holder_acts(two_nodes: tuple[World, World]) -> None:
    first, second = two_nodes
    names = first.enter(3)

    first.tick()
    assert second.node.tick() == []
    for _ in range(4):
        first.mine()
        assert second.node.tick() == []
        first.tick()
    assert first.statuses(names) == [S.SETTLED] * 3
    assert first.check_books().transactions == 1


@both_chains
@on_postgresql
def test_lane__holder_dies_with_a_batch_in_flight__taken_over_after_the_lapse_and_finished(
    two_nodes: tuple[World, World],
) -> None:
    first, second = two_nodes
    names = first.enter(3)
    first.tick()
    hashes = [a.attempt_hash for a in first.attempts_of(names[0])]
    assert second.node.tick() == []

    lapse(first)
    second.settle()
    assert second.statuses(names) == [S.SETTLED] * 3
    assert [a.attempt_hash for a in second.attempts_of(names[0])] == hashes
    assert second.check_books().transactions == 1


@on_postgresql
def test_lane__clean_stop__the_other_takes_over_at_once(two_nodes: tuple[World, World]) -> None:
    first, second = two_nodes
    names = first.enter(2)
    first.tick()
    first.node.stop()

    second.tick()
    second.settle()
    assert second.statuses(names) == [S.SETTLED] * 2


@on_postgresql
@pytest.mark.parametrize(
    "point",
    [
        "heads.before_commit",
        "plan.before_commit",
        "sign.before_commit",
        "send.before_broadcast",
        "send.after_broadcast",
        "track.before_commit",
        "finish.before_commit",
    ],
)
def test_lane__holder_sleeps_through_its_lease__its_commit_fails_and_the_other_pays_once(
    two_nodes: tuple[World, World], point: str
) -> None:
    """The classic zombie: stopped between deciding and committing, woken after the take-over."""
    first, second = two_nodes
    names = first.enter(3)
    slept: list[str] = []

    def sleep_at(name: str) -> None:
        if name == point and not slept:
            slept.append(name)
            lapse(first)
            second.tick()
            second.mine()
            second.tick()

    first.at_each_point(sleep_at)
    ends = set()
    for _ in range(8):
        if slept:
            break
        ends |= {result.end for result in first.node.tick()}
        first.mine()
    assert slept == [point]
    assert ends <= {PassEnd.DONE, PassEnd.LEASE_LOST}
    assert PassEnd.LEASE_LOST in ends
    assert first.node.lanes == {}

    second.settle()
    assert second.statuses(names) == [S.SETTLED] * 3
    assert second.check_books().transactions == 1


@on_postgresql
def test_lane__fence_lost_before_the_pass__nothing_is_planned_or_sent(
    two_nodes: tuple[World, World],
) -> None:
    first, second = two_nodes
    first.tick()
    names = first.enter(2)
    lapse(first)
    assert take_lease(second.store, name=first.lane.key, holder="other", seconds=60) is not None

    first.mine()
    (result,) = first.node.run_passes()
    assert result.end is PassEnd.LEASE_LOST
    assert first.statuses(names) == [S.APPROVED] * 2
    assert first.unfinal() == []


@both_chains
def test_lane__two_books_same_orders__same_bytes_and_paid_once(
    world: World, backup: Callable[[], Store]
) -> None:
    """The worst mistake of operation: two nodes, each with a database of its own, one key."""
    orders = world.orders(4)
    other = world.new_node(store=backup(), node_id="other")
    world.take_in(*orders)
    other.take_in(*orders)

    for _ in range(8):
        world.tick()
        other.tick()
        world.mine()
    names = [order.external_id for order in orders]
    assert world.statuses(names) == [S.SETTLED] * 4
    assert other.statuses(names) == [S.SETTLED] * 4
    assert world.check_books().transactions == 1
    other.check_chain()


@both_chains
def test_lane__two_books_with_other_batches__the_ratchet_refuses_and_nothing_is_paid_twice(
    world: World, backup: Callable[[], Store]
) -> None:
    """The second node has two batches in flight when the first one's batch takes its lower nonce.
    Its higher one is mined all the same, and follows a hash the settler never had."""
    orders = world.orders(4)
    other = world.new_node(
        store=backup(),
        node_id="other",
        policy=EnginePolicy(batch_items_max=2, replace_after_blocks=1_000),
    )
    world.take_in(*orders)
    other.take_in(*orders)
    names = [order.external_id for order in orders]
    other.tick()
    assert [row.nonce for row in other.unfinal()] == [0, 1]
    lower, upper = other.attempts_of(names[0])[0], other.attempts_of(names[3])[0]
    world.chain.drop(lower.attempt_hash)
    world.tick()
    (mine,) = world.attempts_of(names[0])
    assert mine.attempt_hash != lower.attempt_hash
    world.send_raw(upper.raw)  # anvil forgets what stood behind the one it was made to drop
    world.mine(2)

    receipts = world.client.receipts([mine.attempt_hash, lower.attempt_hash, upper.attempt_hash])
    assert receipts[lower.attempt_hash] is None
    refused, taken = receipts[upper.attempt_hash], receipts[mine.attempt_hash]
    assert taken is not None
    assert taken.succeeded
    assert refused is not None
    assert not refused.succeeded, "mined, and refused by the settler"
    world.tick()
    world.step(3)
    assert world.statuses(names) == [S.SETTLED] * 4
    ends = [other.node.tick()[0].end for _ in range(4)]
    assert ends[-1] is PassEnd.STOPPED
    assert other.breaks() == ["unknown_batch", "stranger_at_nonce"]
    found = world.audit()
    assert (found.settled_on_chain, found.double_paid, found.contradictions) == (4, 0, ())
    assert TransactionOutcome.SUCCEEDED is world.transaction_of(names[0]).outcome
