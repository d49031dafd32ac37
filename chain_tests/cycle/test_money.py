"""Too little money, too little allowance, a limit reached: some wait, the rest go, all resume."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_tests.marks import both_chains, on_anvil
from chain_tests.world import SHARE, World
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.store.telling.attention import open_alerts
from settlement_node.units import Payout
from tests_support.anvil import AnvilProcess

S = RedemptionStatus
PER_SHARE = 103_989_375
"""What one share pays: 104.25 less 25 basis points, rounded up."""
SECONDS_A_DAY = 86_400


def settled_order(world: World, names: list[str]) -> list[str]:
    """Names in the order in which the chain paid them."""
    by_id = {world.row(name).redemption_id: name for name in names}
    head = world.client.refresh().head.number
    events = world.client.settler_events(
        [world.stage.fund.settler_address], from_block=0, to_block=head
    )
    from settlement_node.domain.observations import RedemptionSettledEvent

    return [by_id[e.redemption_id_hex] for e in events if isinstance(e, RedemptionSettledEvent)]


def missing(world: World) -> tuple[str, str, int]:
    """What the one alert says: needed, available, decimals."""
    with world.store.read() as tx:
        (alert,) = open_alerts(tx)
    told = alert["shortfall"]
    return told["needed_base_units"], told["available_base_units"], told["decimals"]


@both_chains
def test_money__treasury_short__smaller_orders_go_the_large_one_waits_with_an_alert(
    new_world: Callable[..., World],
) -> None:
    world = new_world(treasury=5 * PER_SHARE)
    world.take_in(
        world.order("a", SHARE), world.order("large", 10 * SHARE), world.order("c", 2 * SHARE)
    )

    world.tick()
    world.step(3)
    assert world.statuses(["a", "large", "c"]) == [S.SETTLED, S.APPROVED, S.SETTLED]
    assert world.row("large").waiting_on == "liquidity"
    assert world.alerts() == {"treasury_short"}
    assert missing(world) == (str(10 * PER_SHARE), str(2 * PER_SHARE), 6)

    fund_treasury(world, 20 * PER_SHARE)
    world.settle()
    assert world.status("large") is S.SETTLED
    assert world.alerts() == set()
    world.check_books()


def fund_treasury(world: World, payout_base_units: int) -> None:
    world.stage.give_money([world.stage.treasury.address], Payout(payout_base_units))
    world.stage.approve(Payout(10**15))


def test_money__treasury_short_then_funded__resumes_in_the_order_of_the_book(
    new_world: Callable[..., World],
) -> None:
    world = new_world(treasury=PER_SHARE // 2, policy=EnginePolicy(batch_items_max=2))
    names = world.enter(5)
    world.tick()
    world.step(2)
    assert world.statuses(names) == [S.APPROVED] * 5
    fund_treasury(world, 100 * PER_SHARE)

    world.settle()
    assert settled_order(world, names) == names
    world.check_books()


def test_money__many_large_orders_wait_at_the_head__a_small_one_behind_them_is_paid(
    new_world: Callable[..., World],
) -> None:
    world = new_world(treasury=2 * PER_SHARE, policy=EnginePolicy(batch_items_max=2))
    large = [world.order(f"large-{n}", 10 * SHARE) for n in range(6)]
    world.take_in(*large, world.order("small", SHARE))

    world.tick()
    world.until(lambda: world.status("small") is S.SETTLED)
    assert world.status("small") is S.SETTLED
    assert {row.status for row in world.rows()} == {S.SETTLED, S.APPROVED}


def test_money__in_flight_payouts__are_not_promised_twice(
    new_world: Callable[..., World],
) -> None:
    """The treasury has enough for one of two orders; the second is not planned on money that the
    first, sent and not mined, will take."""
    world = new_world(treasury=3 * PER_SHARE, policy=EnginePolicy(batch_items_max=1))
    world.take_in(world.order("a", 2 * SHARE), world.order("b", 2 * SHARE))

    world.tick()
    world.tick()
    assert world.statuses(["a", "b"]) == [S.SETTLING, S.APPROVED]
    world.step(4)
    assert world.statuses(["a", "b"]) == [S.SETTLED, S.APPROVED]
    assert world.row("b").waiting_on == "liquidity"


@both_chains
def test_money__allowance_short__waits_and_resumes_when_it_is_raised(world: World) -> None:
    world.stage.approve(Payout(PER_SHARE))
    names = world.enter(3)

    world.tick()
    world.step(3)
    assert world.statuses(names) == [S.SETTLED, S.APPROVED, S.APPROVED]
    assert world.alerts() == {"treasury_short"}
    world.stage.approve(Payout(10**15))
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    assert world.alerts() == set()
    world.check_books()


@both_chains
def test_money__treasury_blocked__nobody_is_held_and_all_resume_when_lifted(world: World) -> None:
    names = world.enter(3)
    world.stage.set_blocked(world.stage.treasury.address, blocked=True)

    world.tick()
    world.step(3)
    assert world.statuses(names) == [S.APPROVED] * 3
    assert {row.waiting_on for row in world.rows()} == {"liquidity"}
    world.stage.set_blocked(world.stage.treasury.address, blocked=False)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    world.check_books()


@pytest.mark.parametrize("cause", ["blocked", "emptied", "allowance_taken"])
def test_money__treasury_cannot_pay_after_sending__nothing_is_burned_and_all_resume(
    world: World, cause: str
) -> None:
    names = world.enter(3)
    world.tick()
    assert len(world.drop_pending()) == 1
    (attempt,) = world.attempts_of(names[0])
    treasury = world.stage.treasury
    balance = world.money_of(treasury.address)
    if cause == "blocked":
        world.stage.set_blocked(treasury.address, blocked=True)
    elif cause == "emptied":
        treasury.transact(
            world.stage.fund.payout_token_address,
            "TestStablecoin",
            "transfer",
            [world.stage.deployer.address, balance],
        )
    else:
        world.stage.approve(Payout(0))
    world.send_raw(attempt.raw)

    world.step(6)
    assert world.statuses(names) == [S.APPROVED] * 3
    assert {row.waiting_on for row in world.rows()} == {"liquidity"}
    if cause == "blocked":
        world.stage.set_blocked(treasury.address, blocked=False)
    elif cause == "emptied":
        fund_treasury(world, balance)
    else:
        world.stage.approve(Payout(10**15))
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    world.check_books()


@both_chains
def test_money__daily_limit_reached__the_rest_waits_for_the_next_day(
    new_world: Callable[..., World],
) -> None:
    world = new_world(daily_limit=4 * PER_SHARE)
    names = world.enter(3)  # of one, two and three shares

    world.tick()
    world.step(4)
    assert world.statuses(names) == [S.SETTLED, S.SETTLED, S.APPROVED]
    assert world.row(names[2]).waiting_on == "limits"
    assert world.alerts() == {"payout_limit_reached"}
    assert missing(world) == (str(3 * PER_SHARE), str(PER_SHARE), 6)

    world.chain.skip_time(2 * SECONDS_A_DAY)
    world.mine()
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 3
    assert world.alerts() == set()
    world.check_books()


def test_money__order_above_the_whole_daily_limit__waits_and_holds_up_nobody(
    new_world: Callable[..., World],
) -> None:
    world = new_world(daily_limit=2 * PER_SHARE)
    world.take_in(world.order("large", 5 * SHARE), world.order("small", SHARE))

    world.tick()
    world.step(3)
    assert world.statuses(["large", "small"]) == [S.APPROVED, S.SETTLED]
    assert world.row("large").waiting_on == "limits"


def test_money__no_nav__waits_for_it_and_then_settles(world: World) -> None:
    names = world.enter(2)
    world.set_fund(nav_per_share=None)

    world.tick()
    world.step()
    assert {row.waiting_on for row in world.rows()} == {"nav"}
    world.set_fund(nav_per_share=104_250_000)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2


@on_anvil
def test_money__operator_cannot_pay_for_gas__waits_with_an_alert_and_resumes(
    world: World,
) -> None:
    assert isinstance(world.chain, AnvilProcess)  # which can take coins away
    names = world.enter(2)
    operator = world.stage.operator.address
    world.chain.set_balance(operator, 10**12)

    world.tick()
    world.step(2)
    assert world.statuses(names) == [S.APPROVED] * 2
    assert {row.waiting_on for row in world.rows()} == {"gas"}
    assert world.alerts() == {"gas_low"}
    needed, available, decimals = missing(world)
    assert (int(needed) > 10**12, available, decimals) == (True, str(10**12), 18)
    world.chain.set_balance(operator, 10**21)
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert world.alerts() == set()
    world.check_books()
