"""Batches that fail as a whole are halved until the one that spoils them stands alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from chain_tests.marks import both_chains, on_anvil
from chain_tests.world import World
from settlement_node.demo.book import account
from settlement_node.domain import batching
from settlement_node.domain.batching import Outlook
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionOutcome
from settlement_node.domain.redemption import HoldReason
from settlement_node.store.engine import settlements, transactions
from settlement_node.units import Payout
from tests_support.anvil import AnvilProcess

S = RedemptionStatus
Starve = Callable[[World, str], None]


@pytest.fixture
def starve(monkeypatch: pytest.MonkeyPatch) -> Starve:
    """Every batch with the culprit gets too little gas and reverts whole: as if the chain needed
    more for it than the preview had shown."""
    real = batching.batch_gas_limit

    def start(world: World, culprit: str) -> None:
        culprit_id = world.row(culprit).redemption_id

        def too_little(
            previews: Sequence[Outlook], *, data: bytes, item_gas_limit: int, margin_bps: int
        ) -> int:
            limit = real(previews, data=data, item_gas_limit=item_gas_limit, margin_bps=margin_bps)
            has_culprit = culprit_id in {p.redemption_id_hex for p in previews}
            # The settler wants a whole item's gas before each item, and reverts without it.
            return item_gas_limit if has_culprit else limit

        monkeypatch.setattr(batching, "batch_gas_limit", too_little)

    return start


@both_chains
def test_revert__one_item_spoils_every_batch__halved_until_it_stands_alone_and_is_held(
    world: World, starve: Starve
) -> None:
    names = world.enter(6)
    culprit = names[2]
    starve(world, culprit)

    world.settle()
    assert world.status(culprit) is S.HELD
    assert world.row(culprit).hold_reason == HoldReason.BATCH_REVERTED.value
    others = [name for name in names if name != culprit]
    assert world.statuses(others) == [S.SETTLED] * 5
    assert world.shares_of(account(culprit)) == 3 * 10**18
    with world.store.read() as tx:
        sizes = [
            found.items_count
            for found in settlements.page(tx, fund_id=world.fund_id)
            if found.status.value == "void"
        ]
    assert sorted(sizes)[0] == 1
    assert sorted(sizes)[-1] == 6
    assert len(sizes) <= 6, "halved, not tried one by one"
    world.check_books()


def test_revert__batches_behind_a_reverted_one__fail_by_the_ratchet_and_are_not_at_fault(
    new_world: Callable[..., World], starve: Starve
) -> None:
    world = new_world(policy=EnginePolicy(batch_items_max=2))
    names = world.enter(6)
    starve(world, names[0])

    world.settle()
    assert world.statuses(names) == [S.HELD] + [S.SETTLED] * 5
    assert {world.row(name).reverted_batch_size for name in names[2:]} == {None}
    world.check_books()


def test_revert__not_final_yet__nothing_is_freed(world: World, starve: Starve) -> None:
    names = world.enter(2)
    starve(world, names[0])
    world.tick()

    world.step(2)
    row = world.transaction_of(names[0])
    assert row.evm_succeeded is False
    assert row.outcome is None
    assert world.statuses(names) == [S.SETTLING] * 2
    assert len(world.unfinal()) == 1
    world.step()
    with world.store.read() as tx:
        final = transactions.get(tx, row.transaction_id)
    assert final is not None
    assert final.outcome is TransactionOutcome.REVERTED


def test_revert__undone_by_a_reorganisation_and_mined_well__paid(
    world: World,
) -> None:
    """A revert is taken back like a success: here the batch reverted only because the settler was
    paused in its block."""
    names = world.enter(2)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.drop_pending()
    settler = world.stage.fund.settler_address
    world.stage.deployer.transact(settler, "RedemptionSettler", "pause")
    world.send_raw(attempt.raw)
    world.step()
    assert world.transaction_of(names[0]).evm_succeeded is False

    world.remine(2, [(attempt.raw, 0)])
    world.tick()
    assert world.statuses(names) == [S.PAID] * 2
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


def test_revert__the_spoiled_item_is_too_large_to_go_on__does_not_stop_the_others(
    new_world: Callable[..., World], starve: Starve
) -> None:
    """Out of a reverted batch the first item waits for money now; the rest must not wait for it."""
    per_share = 103_989_375
    world = new_world(treasury=9 * per_share)
    world.take_in(world.order("large", 8 * 10**18), world.order("small", 10**18))
    starve(world, "small")
    world.tick()
    world.stage.approve(Payout(2 * per_share))
    later = world.enter(1, "later")
    world.until(lambda: world.status(later[0]) is S.SETTLED)
    assert world.status("large") is S.APPROVED
    assert world.row("large").waiting_on == "liquidity"


@on_anvil
def test_revert__block_gas_limit_below_the_batch__split_not_stuck(world: World) -> None:
    names = world.enter(8)
    assert isinstance(world.chain, AnvilProcess)
    world.chain.rpc("evm_setBlockGasLimit", 1_500_000)
    world.mine()

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 8
    assert {world.transaction_of(name).gas_limit <= 1_500_000 for name in names} == {True}
    assert world.check_books().transactions > 1
