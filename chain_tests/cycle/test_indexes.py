"""Whoever holds the operator's key cannot use up the indexes that the book gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chain_tests.marks import both_chains
from chain_tests.world import CONFIRMATIONS_BLOCKS, SHARE, World
from settlement_node.chain.contracts.settler import encode_settle
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import SettleItem
from settlement_node.methods.deploy import Deployer
from settlement_node.store.database import Store
from settlement_node.units import Payout, Shares, redemption_id_of
from tests_support.deploying import send

S = RedemptionStatus


def thief_settles(world: World, items: Sequence[SettleItem]) -> None:
    """A batch under the operator's key that no book knows of."""
    fund = world.stage.fund
    world.client.refresh()
    previous = world.client.settler_view(fund.settler_address).batch_hash
    operator = Deployer(world.client, world.stage.operator, advance=world.mine)
    send(operator, fund.settler_address, encode_settle(previous, items), gas_limit=2_000_000)
    world.mine(CONFIRMATIONS_BLOCKS)


def item(world: World, name: str, index: int) -> SettleItem:
    """What the settler would pay: one share of that investor, at one coin."""
    world.order(name, SHARE)
    fund = world.stage.fund
    return SettleItem(
        redemption_id_hex=redemption_id_of(
            chain_id=fund.chain_id,
            share_token_address=fund.share_token_address,
            external_id=name,
        ),
        redemption_index=index,
        investor_address=account(name),
        payee_address=account(name),
        shares_base_units=Shares(SHARE),
        payout_base_units=Payout(10**6),
    )


@both_chains
def test_lost_book__indexes_that_were_only_skipped__are_given(
    world: World, backup: Callable[[], Store]
) -> None:
    empty = backup()  # the fund is in it, no order is
    refused = replace(item(world, "refused", 2**62 - 1), shares_base_units=Shares(2 * SHARE))
    near = replace(refused, redemption_index=500)
    beyond = replace(item(world, "beyond", 0), redemption_index=2**255)
    thief_settles(world, [refused, near, beyond])

    again = world.new_node(store=empty, node_id=world.context().node_id)
    again.tick()
    again.enter(3)
    assert [0, 1, 2] == [row.redemption_index for row in again.rows()]
    again.settle()
    assert {S.SETTLED} == {row.status for row in again.rows()}


@both_chains
def test_lost_book__one_index_settled_far_ahead__the_others_are_left_for_orders(
    world: World, backup: Callable[[], Store]
) -> None:
    empty = backup()
    thief_settles(world, [item(world, "near", 4), item(world, "far", 2**62 - 1)])

    again = world.new_node(store=empty, node_id=world.context().node_id)
    again.tick()
    names = again.enter(2)
    assert [5, 6] == [row.redemption_index for row in again.rows()]
    again.settle()
    assert again.statuses(names) == [S.SETTLED] * 2
