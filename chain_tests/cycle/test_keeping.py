"""What is sent and not mined: sent again, replaced, kept at the ceiling, cancelled by a no-op."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_tests.marks import both_chains, on_anvil
from chain_tests.world import World
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionOutcome, TransactionStatus
from settlement_node.store.engine import transactions
from settlement_node.store.tables import AttemptKind
from settlement_node.units import Wei
from tests_support.anvil import AnvilProcess

S = RedemptionStatus
GWEI = 10**9
NEVER = 1_000
"""More blocks than any test mines."""


def spike(world: World, base_fee_wei: int) -> None:
    """An empty block at this base fee; the following ones fall by an eighth each."""
    assert isinstance(world.chain, AnvilProcess)
    world.chain.set_next_base_fee(base_fee_wei)


@both_chains
def test_keeping__dropped_from_every_mempool__same_bytes_are_sent_again(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=NEVER))
    names = world.enter(2)
    world.tick()
    (dropped,) = world.drop_pending()
    assert not world.is_pending(dropped)

    world.step()
    assert world.is_pending(dropped)
    (attempt,) = world.attempts_of(names[0])
    assert (attempt.attempt_hash, attempt.sends_count) == (dropped, 2)
    world.settle()
    assert world.transaction_of(names[0]).mined_attempt_hash == dropped
    world.check_books()


def test_keeping__several_in_flight_dropped__all_sent_again_in_nonce_order(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=NEVER, batch_items_max=1))
    names = world.enter(4)
    world.tick()
    assert len(world.drop_pending()) == 4

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 4
    assert {len(world.attempts_of(name)) for name in names} == {1}
    assert world.check_books().transactions == 4


@both_chains
def test_keeping__dropped_and_old__replaced_with_both_fees_an_eighth_up(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=2, rebroadcast_after_blocks=NEVER))
    names = world.enter(2)
    world.tick()
    (original,) = world.drop_pending()

    world.step(3)
    first, second = world.attempts_of(names[0])
    assert (first.attempt_hash, second.kind) == (original, AttemptKind.REPLACEMENT)
    assert second.max_fee_per_gas_wei > first.max_fee_per_gas_wei * 1125 // 1000
    assert second.max_priority_fee_per_gas_wei > first.max_priority_fee_per_gas_wei * 1125 // 1000
    world.settle()
    row = world.transaction_of(names[0])
    assert (row.mined_attempt_hash, row.outcome) == (
        second.attempt_hash,
        TransactionOutcome.SUCCEEDED,
    )
    world.check_books()


@on_anvil
def test_keeping__base_fee_spike__the_replacement_is_mined(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=1))
    names = world.enter(2)
    world.tick()
    (first,) = world.attempts_of(names[0])
    spike(world, first.max_fee_per_gas_wei * 2)

    world.step(2)
    assert world.status(names[0]) is S.SETTLING
    attempts = world.attempts_of(names[0])
    assert [a.kind for a in attempts] == [AttemptKind.ORIGINAL, AttemptKind.REPLACEMENT]
    assert not world.is_pending(first.attempt_hash)
    world.settle()
    assert world.transaction_of(names[0]).mined_attempt_hash == attempts[1].attempt_hash
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


@on_anvil
def test_keeping__original_mined_after_the_replacement_was_sent__the_original_is_booked(
    new_world: Callable[..., World],
) -> None:
    """A miner that never saw the replacement."""
    world = new_world(policy=EnginePolicy(replace_after_blocks=1))
    names = world.enter(2)
    world.tick()
    (first,) = world.attempts_of(names[0])
    spike(world, first.max_fee_per_gas_wei * 2)
    world.step(2)
    first, second = world.attempts_of(names[0])
    world.chain.drop(second.attempt_hash)
    spike(world, first.max_fee_per_gas_wei // 2)
    world.mine()
    world.send_raw(first.raw)

    world.step()
    row = world.transaction_of(names[0])
    assert (row.status, row.mined_attempt_hash) == (TransactionStatus.MINED, first.attempt_hash)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert world.check_books().transactions == 1


@on_anvil
def test_keeping__fee_at_the_ceiling__sent_again_with_an_alert_and_recovers(
    new_world: Callable[..., World],
) -> None:
    ceiling = 4 * GWEI
    world = new_world(
        policy=EnginePolicy(replace_after_blocks=1, batch_items_max=1),
        fees=FeePolicy(tip_ceiling_wei=Wei(GWEI), cap_ceiling_wei=Wei(ceiling)),
    )
    names = world.enter(3)
    world.tick()
    spike(world, 100 * GWEI)

    world.step(3)
    assert world.statuses(names) == [S.SETTLING] * 3
    lowest = world.attempts_of(names[0])
    assert all(a.max_fee_per_gas_wei <= ceiling for a in lowest)
    assert world.alerts() == {"fee_at_ceiling"}
    sends = lowest[-1].sends_count
    world.step(2)
    assert len(world.attempts_of(names[0])) == len(lowest)
    assert world.attempts_of(names[0])[-1].sends_count == sends + 2

    spike(world, GWEI)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    assert world.alerts() == set()
    world.check_books()


@both_chains
def test_keeping__cancelled__noop_mined_void_and_planned_anew(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=NEVER))
    names = world.enter(2)
    world.tick()
    world.drop_pending()
    first = world.transaction_of(names[0])
    with world.store.transaction(actor="a person") as tx:
        transactions.set_fields(tx, first.transaction_id, cancel_requested=True)

    world.tick()
    attempts = world.attempts_of(names[0])
    assert [a.kind for a in attempts] == [AttemptKind.ORIGINAL, AttemptKind.CANCEL]
    world.step()
    assert world.statuses(names) == [S.SETTLING] * 2, "not before the no-op is final"
    world.step(2)
    with world.store.read() as tx:
        cancelled = transactions.get(tx, first.transaction_id)
    assert cancelled is not None
    assert cancelled.outcome is TransactionOutcome.VOID
    assert cancelled.mined_attempt_hash == attempts[1].attempt_hash

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert world.transaction_of(names[0]).nonce == first.nonce + 1
    world.check_books()


@both_chains
def test_keeping__original_mined_although_cancelled__it_counts_and_is_paid_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=NEVER))
    names = world.enter(2)
    world.tick()
    (first,) = world.attempts_of(names[0])
    with world.store.transaction(actor="a person") as tx:
        transactions.set_fields(
            tx, world.transaction_of(names[0]).transaction_id, cancel_requested=True
        )
    world.tick()
    first, noop = world.attempts_of(names[0])
    assert noop.kind is AttemptKind.CANCEL
    world.chain.drop(noop.attempt_hash)
    world.send_raw(first.raw)

    world.settle()
    row = world.transaction_of(names[0])
    assert (row.mined_attempt_hash, row.outcome) == (
        first.attempt_hash,
        TransactionOutcome.SUCCEEDED,
    )
    assert world.check_books().transactions == 1


@both_chains
def test_keeping__deadline_passed_with_batches_behind__cancelled_and_all_planned_anew(
    new_world: Callable[..., World],
) -> None:
    """The batches behind the cancelled one follow a hash the settler never had: they revert, by no
    fault of their items."""
    world = new_world(
        policy=EnginePolicy(
            replace_after_blocks=NEVER,
            rebroadcast_after_blocks=NEVER,
            batch_items_max=1,
            cancel_after_blocks=2,
        )
    )
    names = world.enter(3)
    world.tick()
    lowest = world.attempts_of(names[0])[0].attempt_hash
    world.chain.drop(lowest)
    world.step(4)
    kinds = [a.kind for a in world.attempts_of(names[0])]
    assert kinds[:2] == [AttemptKind.ORIGINAL, AttemptKind.CANCEL]

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    assert {row.hold_reason for row in world.rows()} == {None}
    assert {row.reverted_batch_size for row in world.rows()} == {None}
    world.check_books()


@on_anvil
def test_keeping__person_asks_to_speed_up__replaced_at_once(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=NEVER))
    names = world.enter(1)
    world.tick()
    row = world.transaction_of(names[0])
    with world.store.transaction(actor="a person") as tx:
        transactions.set_fields(tx, row.transaction_id, speed_up_requested=True)

    world.tick()
    world.tick()
    first, second = world.attempts_of(names[0])
    assert second.max_fee_per_gas_wei > first.max_fee_per_gas_wei
    world.settle()
    assert world.transaction_of(names[0]).mined_attempt_hash == second.attempt_hash
    world.check_books()


@on_anvil
def test_keeping__sent_below_the_base_fee__refused_or_waiting_and_replaced(
    new_world: Callable[..., World],
) -> None:
    """The base fee rises between signing and sending."""
    world = new_world(policy=EnginePolicy(replace_after_blocks=2))
    names = world.enter(1)
    world.tick()
    (first,) = world.attempts_of(names[0])
    world.chain.drop(first.attempt_hash)
    spike(world, first.max_fee_per_gas_wei * 3)

    world.settle()
    assert world.statuses(names) == [S.SETTLED]
    assert world.transaction_of(names[0]).mined_attempt_hash != first.attempt_hash
    world.check_books()


@pytest.mark.parametrize("which", ["original", "replacement"])
@on_anvil
def test_keeping__either_attempt_mined__receipt_found_by_whichever_hash(
    new_world: Callable[..., World], which: str
) -> None:
    """Mined while the node sleeps, after both attempts were out."""
    world = new_world(policy=EnginePolicy(replace_after_blocks=1))
    names = world.enter(2)
    world.tick()
    (first,) = world.attempts_of(names[0])
    spike(world, first.max_fee_per_gas_wei * 2)
    world.step(2)
    first, second = world.attempts_of(names[0])
    mined = first if which == "original" else second
    if which == "original":
        world.chain.drop(second.attempt_hash)
        spike(world, first.max_fee_per_gas_wei // 2)
        world.mine()
        world.send_raw(first.raw)
    world.mine(6)

    node = world.new_node(lease_seconds=30.0, node_id=world.context().node_id)
    node.settle()
    assert node.transaction_of(names[0]).mined_attempt_hash == mined.attempt_hash
    assert node.statuses(names) == [S.SETTLED] * 2
    node.check_books()
