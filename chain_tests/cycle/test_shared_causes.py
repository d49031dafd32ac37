"""A cause that all items share is a wait with one alert, which goes on by itself; and one fund's
trouble keeps to that fund."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from chain_tests.cycle.test_whole_cycle import second_fund
from chain_tests.marks import both_chains
from chain_tests.world import SHARE, World, new_client
from settlement_node.chain.wire.transport import (
    RpcError,
    RpcRequest,
    RpcResult,
    Transport,
)
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason, RedemptionOrder
from settlement_node.node.cycle import PassEnd
from settlement_node.units import Shares

S = RedemptionStatus
BURNER_ROLE = keccak(text="BURNER_ROLE")


def share_token(world: World, function: str, *arguments: Any) -> None:
    """The token's admin does something."""
    fund = world.stage.fund
    world.stage.deployer.transact(fund.share_token_address, "FundToken", function, [*arguments])


@both_chains
def test_shared_cause__right_to_burn_away__all_wait_with_one_alert_and_go_on(world: World) -> None:
    world.tick()
    names = world.enter(4)
    share_token(world, "revokeRole", BURNER_ROLE, world.stage.fund.settler_address)
    world.step(2)
    assert world.statuses(names) == [S.APPROVED] * 4
    assert {row.waiting_on for row in world.rows()} == {"burn_right"}
    assert world.alerts() == {"burn_refused"}

    share_token(world, "grantRole", BURNER_ROLE, world.stage.fund.settler_address)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 4
    assert world.alerts() == set()
    world.check_books()


def test_shared_cause__one_who_has_no_shares_alone__is_held_and_not_waited_for(
    world: World,
) -> None:
    world.take_in(RedemptionOrder("none", account("none"), account("none"), Shares(SHARE)))
    world.settle()
    assert world.status("none") is S.HELD
    assert world.row("none").hold_reason == HoldReason.BURN_FAILED.value


def test_shared_cause__right_to_burn_away_once_sent__is_planned_again_when_it_is_back(
    world: World,
) -> None:
    world.tick()
    names = world.enter(3)
    world.tick()
    world.drop_pending()
    share_token(world, "revokeRole", BURNER_ROLE, world.stage.fund.settler_address)
    world.step(6)
    assert world.statuses(names) == [S.APPROVED] * 3

    share_token(world, "grantRole", BURNER_ROLE, world.stage.fund.settler_address)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    world.check_books()


def test_shared_cause__price_outside_the_band__all_wait_and_go_on_at_a_price_inside(
    new_world: Callable[..., World],
) -> None:
    world = new_world(ceiling_price=100 * 10**6)  # below the NAV of 104.25
    names = world.enter(2)
    world.step(2)
    assert world.statuses(names) == [S.APPROVED] * 2
    assert {row.waiting_on for row in world.rows()} == {"price_band"}

    world.set_fund(nav_per_share=99_000_000, fee_bps=0)
    world.settle()
    assert world.money_of(account(names[0])) == 99_000_000
    world.check_books()


@dataclass(slots=True)
class Selective:
    """The chain's endpoint, which answers no call of one contract."""

    inner: Transport
    contract: str
    is_failing: bool = True

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        return [
            RpcError(-32005, "too many requests") if self._is_about(request) else answer
            for request, answer in zip(requests, self.inner.request(requests), strict=True)
        ]

    def _is_about(self, request: RpcRequest) -> bool:
        return (
            self.is_failing
            and request.method == "eth_call"
            and self.contract.lower() in str(request.params).lower()
        )


def test_trouble__calls_of_the_first_fund_fail__the_second_is_planned_and_the_pass_says_so(
    world: World,
) -> None:
    second = second_fund(world)
    world.node.stop()
    first_in_order, other = sorted([world, second], key=lambda one: one.fund_id)
    endpoint = Selective(
        world.chain.transport("selective"), first_in_order.stage.fund.payout_token_address
    )
    node = world.new_node(client=new_client(world.chain, [endpoint]), node_id="node")
    late = first_in_order.enter(2, "late")
    quick = other.enter(2, "quick")

    (result,) = node.node.tick()
    assert result.end is PassEnd.LATER
    assert first_in_order.fund_id in (result.reason or "")
    assert other.statuses(quick) == [S.SETTLING] * 2
    assert first_in_order.statuses(late) == [S.APPROVED] * 2

    endpoint.is_failing = False
    node.tick()
    assert first_in_order.statuses(late) == [S.SETTLING] * 2
