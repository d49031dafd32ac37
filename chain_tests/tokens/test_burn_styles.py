"""Every way a fund token burns, through the whole cycle and its reconciliation."""

from __future__ import annotations

import pytest

from chain_tests.marks import both_chains
from chain_tests.tokens.stage import OddStage, set_odd_stage
from chain_tests.world import SHARE, Chain, build_world
from settlement_node.chain.signers.local import KeySigner
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.redemption import HoldReason, RedemptionOrder
from settlement_node.store.database import Store
from settlement_node.units import Shares

S = RedemptionStatus
STYLES = {
    BurnStyle.BURN: "BurnShare",
    BurnStyle.BURN_WITH_REASON: "BurnWithReasonShare",
    BurnStyle.BURN_WITH_DATA: "BurnWithDataShare",
    BurnStyle.BURN_FROM: "BurnFromShare",
    BurnStyle.ADMIN_BURN: "AdminBurnShare",
    BurnStyle.ESCROW: "EscrowShare",
}
NEEDS_ALLOWANCE = (BurnStyle.BURN_FROM, BurnStyle.ESCROW)


def order_of_key(stage: OddStage, number: int, shares: int, *, allowed: bool) -> RedemptionOrder:
    """An order of a holder who has a key, and has allowed the settler to take the shares or not."""
    key = stage.chain.funded_keys[number]
    holder = KeySigner(key).address
    stage.give_shares({holder: Shares(shares)})
    if allowed:
        stage.allow_shares(key, Shares(shares))
    return RedemptionOrder(f"order-{number}", holder, account(f"payee {number}"), Shares(shares))


@both_chains
@pytest.mark.parametrize("style", list(BurnStyle))
def test_burn_style__whole_cycle__burned_paid_and_reconciled(
    chain: Chain, book: Store, style: BurnStyle
) -> None:
    stage = set_odd_stage(chain, share=STYLES[style], burn_style=style)
    world = build_world(chain, stage, book)
    orders = [
        order_of_key(stage, n, (n - 2) * SHARE, allowed=style in NEEDS_ALLOWANCE) for n in (3, 4)
    ]
    world.take_in(*orders)

    world.settle()
    assert world.statuses([order.external_id for order in orders]) == [S.SETTLED] * 2
    assert [world.shares_of(order.investor_address) for order in orders] == [0, 0]
    token = stage.fund.share_token_address
    assert stage.client.token_view(token).total_supply_base_units == 0
    assert world.shares_of(stage.fund.settler_address) == 0
    assert world.check_books().settled_on_chain == 2


@pytest.mark.parametrize("style", NEEDS_ALLOWANCE)
def test_burn_style__holder_allowed_nothing__held_and_the_other_paid(
    chain: Chain, book: Store, style: BurnStyle
) -> None:
    stage = set_odd_stage(chain, share=STYLES[style], burn_style=style)
    world = build_world(chain, stage, book)
    orders = [
        order_of_key(stage, 3, SHARE, allowed=False),
        order_of_key(stage, 4, SHARE, allowed=True),
    ]
    world.take_in(*orders)

    world.settle()
    assert world.statuses([order.external_id for order in orders]) == [S.HELD, S.SETTLED]
    row = world.row(orders[0].external_id)
    assert row.hold_reason == HoldReason.BURN_FAILED.value
    assert "ERC20InsufficientAllowance" in (row.hold_detail or "")
    assert world.shares_of(orders[0].investor_address) == SHARE
    world.check_books()


def test_burn_style__settler_of_another_style_than_the_token__waits_with_an_alert_unpaid(
    chain: Chain, book: Store
) -> None:
    """A fund set up wrongly: the token has no such function, so every order would fail alike."""
    stage = set_odd_stage(chain, share="AdminBurnShare", burn_style=BurnStyle.BURN)
    world = build_world(chain, stage, book)
    world.take_in(world.order("one", SHARE))

    world.tick()
    world.step(3)
    assert world.row("one").waiting_on == "burn_right"
    assert "burn_refused" in world.alerts()
    assert world.money_of(account("one")) == 0
    assert world.reconcile() == []
    assert world.audit().contradictions == ("one is still approved",)


def test_burn_style__token_burns_more_than_asked__held_and_nothing_moved(
    chain: Chain, book: Store
) -> None:
    stage = set_odd_stage(chain, share="FeeTakingToken")
    world = build_world(chain, stage, book)
    order = world.order("one", SHARE)
    stage.give_shares({order.investor_address: Shares(SHARE)})
    world.take_in(order)

    world.settle()
    assert world.row("one").hold_reason == HoldReason.BURN_NOT_EXACT.value
    assert world.shares_of(account("one")) == 2 * SHARE
    assert world.money_of(account("one")) == 0


def test_burn_style__token_answers_false__held_and_nothing_paid(chain: Chain, book: Store) -> None:
    stage = set_odd_stage(chain, share="ReturnsFalseToken")
    world = build_world(chain, stage, book)
    world.take_in(world.order("one", SHARE))

    world.settle()
    assert world.row("one").hold_reason == HoldReason.BURN_FAILED.value
    assert world.money_of(account("one")) == 0
