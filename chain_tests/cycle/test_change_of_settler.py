"""A fund changes its settler: what the old one paid is known to the new, in any book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_tests.marks import both_chains, each_program
from chain_tests.world import World
from settlement_node.desk.succession import (
    add_settlers,
    check_successor,
    find_settlers,
    first_block,
    switch_settler,
    with_predecessors,
)
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import Conflict, NotFound, Refused
from settlement_node.methods.deploy import SettlerSettings
from settlement_node.store import tables as t
from settlement_node.store.book.funds import NewFund, add_fund
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.database import Store
from settlement_node.units import ZERO_ADDRESS, Address, Payout
from tests_support.deploying import deploy_settler, grant_fund_role

S = RedemptionStatus
REASON = "the fund moves to a new settler"


def new_settler(
    world: World, predecessor: Address | None = None, *, operator: Address | None = None
) -> Address:
    """Another settler of the fund, allowed to burn and to take payouts."""
    stage, fund = world.stage, world.stage.fund
    settler = deploy_settler(
        stage.deployer,
        SettlerSettings(
            share_token_address=fund.share_token_address,
            payout_token_address=fund.payout_token_address,
            treasury_address=fund.treasury_address,
            burn_style=fund.burn_style,
            daily_payout_limit_base_units=Payout(10**15),
            ceiling_price=200 * 10**6,
            predecessor_address=predecessor or ZERO_ADDRESS,
        ),
        owner_address=stage.deployer.address,
        operator_address=operator or stage.operator.address,
        guardian_address=stage.deployer.address,
    )
    grant_fund_role(stage.deployer, fund.share_token_address, "BURNER_ROLE", settler)
    stage.treasury.transact(
        fund.payout_token_address, "TestStablecoin", "approve", [settler, Payout(10**15)]
    )
    world.client.refresh()
    return settler


def close_present(world: World) -> None:
    """The present settler's guardian dismisses its operator."""
    settler = world.fund_row().settler_address
    world.stage.deployer.transact(settler, "RedemptionSettler", "revokeOperator")
    world.client.refresh()


def add(world: World, settler: Address) -> list[Address]:
    found = find_settlers(world.client, world.fund_row(), settler, from_block=None)
    with world.store.transaction(actor="test") as tx:
        return add_settlers(tx, world.fund_id, found)


def switch(world: World, settler: Address) -> None:
    check_successor(world.client, world.fund_row(), settler)
    with world.store.transaction(actor="test") as tx:
        switch_settler(tx, world.fund_id, settler, reason=REASON)


def known(world: World) -> set[Address]:
    with world.store.read() as tx:
        return {Address(row["settler_address"]) for row in settlers_of(tx, world.fund_id)}


def changed(world: World) -> tuple[Address, list[RedemptionOrder]]:
    """Two orders paid by the first settler and two by a second; all orders."""
    first, second = world.orders(2, "first"), world.orders(2, "second")
    world.take_in(*first)
    world.settle()
    settler = new_settler(world, world.fund_row().settler_address)
    add(world, settler)
    close_present(world)
    switch(world, settler)
    world.take_in(*second)
    world.settle()
    return settler, [*first, *second]


@each_program
def test_switch__orders_before_and_after__each_paid_once_and_the_book_agrees(world: World) -> None:
    old = world.fund_row().settler_address
    settler, orders = changed(world)

    assert world.statuses([order.external_id for order in orders]) == [S.SETTLED] * 4
    assert world.fund_row().settler_address == settler
    assert known(world) == {old, settler}
    assert world.client.batch_hash(old) != world.client.batch_hash(settler)
    assert [0, 1, 2, 3] == [row.redemption_index for row in world.rows()]
    assert world.check_books().settled_on_chain == 4


def lost_book(world: World, settler: Address, empty: Store, *, entered: bool) -> World:
    """The book is lost, and only the new settler's fund file is left. `entered` as `fund add` does
    it, which asks the chain; otherwise the node has to find out by itself."""
    fund: NewFund = replace(
        world.stage.fund,
        settler_address=settler,
        settler_from_block=first_block(world.client, settler),
    )
    fund = with_predecessors(world.client, fund) if entered else fund
    with empty.transaction(actor="test") as tx:
        for table in (t.fund_settlers, t.fund_terms, t.redemption_counts, t.funds):
            tx.connection.execute(table.delete())
        add_fund(tx, fund)
    return world.new_node(store=empty, node_id=world.context().node_id)


def check_lost_book(world: World, empty: Store, *, entered: bool) -> None:
    """A book begun anew with the new settler finds what both paid, and pays none again."""
    old = world.fund_row().settler_address
    settler, orders = changed(world)
    sent = world.client.nonce(world.stage.operator.address)

    again = lost_book(world, settler, empty, entered=entered)
    again.take_in(*orders)
    again.settle()

    assert again.statuses([order.external_id for order in orders]) == [S.SETTLED] * 4
    assert known(again) == {old, settler}
    assert again.client.nonce(again.stage.operator.address) == sent, "nothing was sent"
    later = again.enter(1, "later")
    again.settle()
    assert again.statuses(later) == [S.SETTLED]
    assert again.check_books().settled_on_chain == 5


@both_chains
def test_lost_book__entered_with_the_new_settler_only__pays_none_again(
    world: World, backup: Callable[[], Store]
) -> None:
    check_lost_book(world, backup(), entered=True)


@both_chains
def test_lost_book__node_knows_the_new_settler_only__finds_the_old_and_pays_none_again(
    world: World, backup: Callable[[], Store]
) -> None:
    check_lost_book(world, backup(), entered=False)


def test_switch__batch_in_flight_or_not_final__refused(world: World) -> None:
    old = world.fund_row().settler_address
    settler = new_settler(world, old)
    add(world, settler)
    world.enter(1)
    world.tick()
    for _ in range(2):  # sent, then mined and not final
        with (
            pytest.raises(Conflict, match="is not final"),
            world.store.transaction(actor="test") as tx,
        ):
            switch_settler(tx, world.fund_id, settler, reason=REASON)
        world.step()
    assert world.fund_row().settler_address == old


def test_switch__present_settler_can_still_pay__refused_until_it_is_closed(world: World) -> None:
    old, stage = world.fund_row().settler_address, world.stage
    settler = new_settler(world, old)
    add(world, settler)
    with pytest.raises(Refused, match="can still pay"):
        switch(world, settler)

    stage.deployer.transact(old, "RedemptionSettler", "pause")
    check_successor(world.client, world.fund_row(), settler)
    stage.deployer.transact(old, "RedemptionSettler", "unpause")
    stage.treasury.transact(
        stage.fund.payout_token_address, "TestStablecoin", "approve", [old, Payout(0)]
    )
    check_successor(world.client, world.fund_row(), settler)


def test_new_book__predecessor_can_still_pay__refused_until_it_is_closed(world: World) -> None:
    old, fund = world.fund_row().settler_address, world.stage.fund
    new = replace(fund, settler_address=new_settler(world, old))
    with pytest.raises(Refused, match=f"predecessor {old} can still pay"):
        with_predecessors(world.client, new)

    close_present(world)
    assert old in {s.settler_address for s in with_predecessors(world.client, new).former_settlers}


def test_switch__not_one_of_the_funds_settlers__refused(world: World) -> None:
    fund = world.fund_row()
    stranger = new_settler(world, operator=world.stage.deployer.address)
    close_present(world)
    for address, words in (
        (fund.treasury_address, "is not a settler"),
        (stranger, "its operator is"),
    ):
        with pytest.raises(Refused, match=words):
            check_successor(world.client, fund, address)
    for address, error in ((stranger, NotFound), (fund.settler_address, Conflict)):
        with pytest.raises(error), world.store.transaction(actor="test") as tx:
            switch_settler(tx, world.fund_id, address, reason=REASON)
    assert world.fund_row() == fund


def test_add__named_twice_or_no_settler__refused(world: World) -> None:
    settler = new_settler(world, world.fund_row().settler_address)
    assert add(world, settler) == [settler]
    with pytest.raises(Conflict, match="already"):
        add(world, settler)
    with pytest.raises(Refused, match="is not a settler"):
        add(world, world.stage.fund.share_token_address)


def test_add__a_chain_of_settlers__all_are_added_from_where_they_began(world: World) -> None:
    first = world.fund_row().settler_address
    world.enter(1)
    world.settle()
    second = new_settler(world, first)
    third = new_settler(world, second)
    found = {
        one.settler_address: one.from_block
        for one in find_settlers(world.client, world.fund_row(), third, from_block=None)
    }
    assert list(found) == [third, second, first]
    assert found[first] < found[second] <= found[third]
    assert add(world, third) == [third, second]
    world.step()
    assert known(world) == {first, second, third}


@both_chains
def test_restored_book__last_batches_were_the_old_settlers__nonces_are_known_as_ours(
    world: World, backup: Callable[[], Store]
) -> None:
    """The book comes back from before the switch's last batch, and the switch is made again."""
    names = world.enter(1, "before")
    world.settle()
    settler = new_settler(world, world.fund_row().settler_address)
    add(world, settler)
    world.step()
    old_book = backup()
    lost = world.orders(1, "lost")
    world.take_in(*lost)
    world.settle()
    close_present(world)

    again = world.new_node(store=old_book, node_id=world.context().node_id)
    switch(again, settler)
    again.step(3)
    again.take_in(*lost)
    later = again.enter(1, "later")
    again.settle()
    assert again.breaks() == ["book_was_behind"]
    assert again.statuses([*names, lost[0].external_id, *later]) == [S.SETTLED] * 3
