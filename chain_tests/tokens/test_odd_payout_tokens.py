"""Payout tokens with other manners than the standard's: handled, refused, never half done."""

from __future__ import annotations

import pytest

from chain_tests.marks import both_chains
from chain_tests.tokens.stage import set_odd_stage
from chain_tests.world import SHARE, Chain, build_world
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.store.database import Store

S = RedemptionStatus


@both_chains
def test_payout_token__returns_nothing__handled_and_paid(chain: Chain, book: Store) -> None:
    world = build_world(chain, set_odd_stage(chain, payout="ReturnsNothingToken"), book)
    names = world.enter(3)

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    world.check_books()


@both_chains
def test_payout_token__returns_false__nothing_burned_and_it_waits_for_the_treasury(
    chain: Chain, book: Store
) -> None:
    """Such a token pays nobody: it is no fault of the redemption, and none is held for it."""
    world = build_world(chain, set_odd_stage(chain, payout="ReturnsFalseToken"), book)
    names = world.enter(2)

    world.tick()
    world.step(4)
    assert world.statuses(names) == [S.APPROVED] * 2
    assert {row.waiting_on for row in world.rows()} == {"liquidity"}
    assert world.shares_of(account(names[0])) == SHARE
    assert world.unfinal() == []


@both_chains
def test_payout_token__takes_a_fee__held_and_nothing_burned(chain: Chain, book: Store) -> None:
    world = build_world(chain, set_odd_stage(chain, payout="FeeTakingToken"), book)
    names = world.enter(2)

    world.settle()
    assert world.statuses(names) == [S.HELD] * 2
    assert {row.hold_reason for row in world.rows()} == {HoldReason.PAYOUT_NOT_EXACT.value}
    assert world.shares_of(account(names[0])) == SHARE
    assert world.money_of(account(names[0])) == 0
    world.check_books()


@both_chains
@pytest.mark.parametrize("after_planning", [False, True], ids=["before", "after"])
def test_payout_token__burns_all_gas_for_one_payee__that_one_held_and_the_others_paid(
    chain: Chain, book: Store, after_planning: bool
) -> None:
    stage = set_odd_stage(chain, payout="GasBurningToken")
    world = build_world(chain, stage, book)
    names = world.enter(3)
    attempt = None
    if after_planning:
        world.tick()
        world.drop_pending()
        (attempt,) = world.attempts_of(names[1])
    stage.deployer.transact(
        stage.fund.payout_token_address,
        "GasBurningToken",
        "setWasteful",
        [account(names[1]), True],
    )
    if attempt is not None:
        world.send_raw(attempt.raw)

    world.settle()
    assert world.statuses(names) == [S.SETTLED, S.HELD, S.SETTLED]
    assert world.row(names[1]).hold_reason == HoldReason.ITEM_OUT_OF_GAS.value
    assert world.shares_of(account(names[1])) == 2 * SHARE
    world.check_books()


@both_chains
def test_payout_token__calls_back_into_the_settler__paid_once(chain: Chain, book: Store) -> None:
    """On every movement the token tries to settle again; the settler lets nobody in."""
    from settlement_node.chain.contracts.artifacts import load_artifact

    stage = set_odd_stage(chain, payout="ReentrantToken")
    world = build_world(chain, stage, book)
    names = world.enter(2)
    preview = load_artifact("RedemptionSettler").encode_call("settle", [b"\0" * 32, []])
    stage.deployer.transact(
        stage.fund.payout_token_address,
        "ReentrantToken",
        "setCallback",
        [stage.fund.settler_address, preview],
    )

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()
