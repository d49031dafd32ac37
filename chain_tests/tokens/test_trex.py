"""The real T-REX suite as the share token: an agent's burn asks nothing, so the node asks first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_tests.marks import both_chains, both_databases
from chain_tests.tokens.trex import TrexStage, set_trex_stage
from chain_tests.world import SHARE, Chain, World, build_world
from settlement_node.chain.contracts.artifacts import Artifact
from settlement_node.cli.findings import Verdict
from settlement_node.cli.token_trials import try_fund
from settlement_node.demo.book import account
from settlement_node.desk.operators import release
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.token_checks import NO_CHECKS, FundChecks
from settlement_node.store.book.funds import set_checks
from settlement_node.store.database import Store
from settlement_node.store.telling.attention import open_alerts
from settlement_node.units import Shares

S = RedemptionStatus
CHECKS = FundChecks(share_token="erc3643")
RESTRICTED = HoldReason.INVESTOR_RESTRICTED.value


def staged(chain: Chain, book: Store, **words: object) -> tuple[TrexStage, World]:
    stage = set_trex_stage(chain, **{"checks": CHECKS, **words})  # type: ignore[arg-type]
    return stage, build_world(chain, stage, book)


def freeze(stage: TrexStage) -> None:
    stage.act("setAddressFrozen", account("bad"), True)


def freeze_partly(stage: TrexStage) -> None:
    stage.act("freezePartialTokens", account("bad"), SHARE)


def remove(stage: TrexStage) -> None:
    stage.register("deleteIdentity", account("bad"))


def revoke(stage: TrexStage) -> None:
    stage.revoke_claim(account("bad"))


def replace_identity(stage: TrexStage) -> None:
    """The holder's identity is a contract that does not answer: the registry's question reverts."""
    stage.register("updateIdentity", account("bad"), stage.fund.payout_token_address)


def set_endless_identity(stage: TrexStage) -> None:
    """The holder's identity is a contract that runs until its gas is used up."""
    endless = stage.deployer.deploy(Artifact("Endless", (), bytes.fromhex(ENDLESS)))
    stage.register("updateIdentity", account("bad"), endless)


ENDLESS = "635b600056600052" + "6004601cf3"
"""Creation code of JUMPDEST, PUSH 0, JUMP."""

RESTRICTIONS = {
    "isFrozen": freeze,
    "getFrozenTokens": freeze_partly,
    "identityRegistry().isVerified": remove,
    "claim revoked": revoke,
    "does not answer": replace_identity,
    "endless": set_endless_identity,
}
WORDS = {
    "claim revoked": "answers false to identityRegistry().isVerified",
    "endless": "does not answer identityRegistry().isVerified",
}


@both_chains
def test_trex__whole_cycle__burned_paid_and_reconciled(chain: Chain, book: Store) -> None:
    stage, world = staged(chain, book)
    names = world.enter(2)

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert [world.shares_of(account(name)) for name in names] == [0, 0]
    assert stage.client.token_view(stage.fund.share_token_address).total_supply_base_units == 0
    assert world.check_books().settled_on_chain == 2


@pytest.mark.parametrize("restriction", list(RESTRICTIONS))
def test_trex__holder_restricted__held_with_words_nothing_burned_and_the_other_paid(
    chain: Chain, book: Store, restriction: str
) -> None:
    stage, world = staged(chain, book)
    world.take_in(world.order("bad", 2 * SHARE), world.order("good", SHARE))
    RESTRICTIONS[restriction](stage)

    world.settle()
    assert world.statuses(["bad", "good"]) == [S.HELD, S.SETTLED]
    row = world.row("bad")
    assert row.hold_reason == RESTRICTED
    assert WORDS.get(restriction, restriction) in (row.hold_detail or "")
    assert account("bad") in (row.hold_detail or "")
    assert world.shares_of(account("bad")) == 2 * SHARE
    assert world.money_of(account("bad")) == 0
    assert "planning_refused" not in world.alerts()
    world.check_books()


def test_trex__without_checks__a_frozen_holder_is_burned_and_paid(
    chain: Chain, book: Store
) -> None:
    """What the checks are for: the token itself refuses nothing to an agent."""
    stage, world = staged(chain, book, checks=NO_CHECKS)
    world.take_in(world.order("bad", SHARE))
    freeze(stage)

    world.settle()
    assert world.status("bad") is S.SETTLED
    assert world.shares_of(account("bad")) == 0


def test_trex__released_hold__asked_again(chain: Chain, book: Store) -> None:
    stage, world = staged(chain, book)
    world.take_in(world.order("bad", SHARE))
    freeze(stage)
    world.settle()

    def let_go() -> None:
        with world.store.transaction(actor="person") as tx:
            release(tx, world.row("bad").redemption_id, reason="cleared")

    let_go()
    world.settle()
    assert world.row("bad").hold_reason == RESTRICTED

    stage.act("setAddressFrozen", account("bad"), False)
    let_go()
    world.settle()
    assert world.status("bad") is S.SETTLED
    world.check_books()


@both_databases
def test_trex__free_shares_cover_one_of_two_orders__the_frozen_ones_stay(
    chain: Chain, book: Store
) -> None:
    """Held 4, frozen 2, two orders of 2: each alone is covered, both together are not."""
    stage, world = staged(chain, book)
    first, second = world.order("bad", 2 * SHARE), world.order("bad", 2 * SHARE)
    stage.act("freezePartialTokens", account("bad"), 2 * SHARE)
    world.take_in(first)
    world.tick()
    other = type(second)("second", second.investor_address, second.payee_address, Shares(2 * SHARE))
    world.take_in(other)
    world.tick()

    assert world.statuses(["bad", "second"]) == [S.SETTLING, S.APPROVED]
    assert world.row("second").waiting_on == "earlier_batch"
    world.settle()
    assert world.statuses(["bad", "second"]) == [S.SETTLED, S.HELD]
    assert "of 2 shares held 2 are frozen" in (world.row("second").hold_detail or "")
    assert world.shares_of(account("bad")) == 2 * SHARE
    world.check_books()


def pause(stage: TrexStage) -> Callable[[], None]:
    stage.act("pause")
    return lambda: stage.act("unpause")


def dismiss_agent(stage: TrexStage) -> Callable[[], None]:
    settler = stage.fund.settler_address
    stage.act("removeAgent", settler)
    return lambda: stage.act("addAgent", settler)


@pytest.mark.parametrize(
    ("stop", "words"), [(pause, "is paused"), (dismiss_agent, "answers false to isAgent")]
)
def test_trex__nobody_can_be_burned__all_wait_with_one_alert_and_go_on_by_themselves(
    chain: Chain, book: Store, stop: Callable[[TrexStage], Callable[[], None]], words: str
) -> None:
    stage, world = staged(chain, book)
    names = world.enter(2)
    lift = stop(stage)

    world.step(3)
    assert world.statuses(names) == [S.APPROVED] * 2
    assert {row.waiting_on for row in world.rows()} == {"token_paused"}
    with world.store.read() as tx:
        (alert,) = [a for a in open_alerts(tx) if a["kind"] == "token_stopped"]
    assert words in alert["detail"]

    lift()
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert "token_stopped" not in world.alerts()


def test_trex__checks_of_another_kind_of_token__nothing_planned_and_an_alert(
    chain: Chain, book: Store
) -> None:
    stage, world = staged(chain, book, checks=FundChecks(share_token="cmtat"))
    names = world.enter(1)
    found = [f.words for f in try_fund(stage.client, stage.fund) if f.verdict is Verdict.WRONG]
    assert ["cannot be asked deactivated()" in words for words in found] == [True]

    world.step(3)
    assert world.statuses(names) == [S.APPROVED]
    assert "planning_refused" in world.alerts()
    with world.store.transaction(actor="person") as tx:
        set_checks(tx, world.fund_id, CHECKS)
    world.settle()
    assert world.statuses(names) == [S.SETTLED]
    assert "planning_refused" not in world.alerts()


def test_try_fund__settler_is_no_agent__says_who_mends_it(chain: Chain, book: Store) -> None:
    stage = set_trex_stage(chain, checks=NO_CHECKS, agent=False)
    stage.client.refresh()

    found = {f.words: f.verdict for f in try_fund(stage.client, stage.fund)}
    assert [v for w, v in found.items() if "is no agent of the share token" in w] == [Verdict.WRONG]
    assert [v for w, v in found.items() if 'share_token = "erc3643"' in w] == [Verdict.NOTE]


def test_try_fund__settler_is_an_agent__right_though_a_burn_of_nothing_is_refused(
    chain: Chain, book: Store
) -> None:
    stage = set_trex_stage(chain, checks=CHECKS)
    stage.give_shares({account("holder"): Shares(SHARE)})
    stage.client.refresh()

    for holders in ([], [account("holder")]):
        found = list(try_fund(stage.client, stage.fund, holders))
        assert {f.verdict for f in found} == {Verdict.RIGHT}, found
