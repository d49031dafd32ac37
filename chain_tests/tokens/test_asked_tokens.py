"""Tokens that are asked before paying: the real USDC and OpenZeppelin 4.9.6 from their packages,
and our own with the questions of USDT and CMTAT, which no package ships."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog
from eth_utils.crypto import keccak
from sqlalchemy import RowMapping
from structlog.testing import capture_logs

from chain_tests.marks import both_chains
from chain_tests.tokens.packages import OPENZEPPELIN_4, STABLECOIN, packaged
from chain_tests.tokens.stage import TREASURY, OddStage, fund_of, hands, set_odd_stage
from chain_tests.tokens.test_burn_styles import order_of_key
from chain_tests.world import SHARE, Chain, World, build_world
from settlement_node.cli.findings import Verdict
from settlement_node.cli.token_trials import other_burn_style, try_fund
from settlement_node.demo.book import account
from settlement_node.demo.stage import Stage
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.token_checks import (
    NO_CHECKS,
    CheckAbout,
    CheckedToken,
    FundChecks,
    own_check,
)
from settlement_node.store.database import Store
from settlement_node.store.telling.attention import open_alerts
from settlement_node.units import Address
from tests_support.deploying import grant_fund_role

S = RedemptionStatus
CHECKER = "contracts/util/SignatureChecker.sol"


def set_usdc_stage(chain: Chain, checks: FundChecks) -> OddStage:
    """FiatTokenV2_2 as Circle's stablecoin-evm compiles it, without its proxy."""
    on = hands(chain)
    checker = on.deployer.deploy(
        packaged(f"{STABLECOIN}/util/SignatureChecker.sol/SignatureChecker")
    )
    usdc = packaged(
        f"{STABLECOIN}/v2/FiatTokenV2_2.sol/FiatTokenV2_2",
        libraries={f"{CHECKER}:SignatureChecker": checker},
    )
    payout, me = on.deployer.deploy(usdc), on.deployer.address
    for function, arguments in (
        ("initialize", ["USD Coin", "USDC", "USD", 6, me, me, me, me]),
        ("initializeV2", ["USD Coin"]),
        ("initializeV2_1", [me]),
        ("initializeV2_2", [[], "USDC"]),
        ("configureMinter", [me, TREASURY]),
    ):
        on.deployer.transact(payout, usdc, function, arguments)
    share = on.deployer.deploy("FundToken", ["Example Fund", "EXF", 18, me])
    fund = fund_of(on, share_address=share, payout_address=payout, checks=checks)
    grant_fund_role(on.deployer, share, "BURNER_ROLE", fund.settler_address)
    stage = OddStage(
        chain, on.client, on.deployer, on.operator, on.treasury, fund, "FundToken", usdc
    )
    stage.give_money([on.treasury.address], TREASURY)
    stage.approve(TREASURY)
    return stage


def set_openzeppelin_4_stage(chain: Chain, burn_style: BurnStyle) -> OddStage:
    """ERC20PresetMinterPauser (AccessControl, Pausable, Burnable) as both tokens."""
    on = hands(chain)
    preset = packaged(f"{OPENZEPPELIN_4}/ERC20PresetMinterPauser")
    share = on.deployer.deploy(preset, ["Old Shares", "OLD"])
    payout = on.deployer.deploy(preset, ["Old Dollar", "OUSD"])
    fund = fund_of(on, share_address=share, payout_address=payout, burn_style=burn_style)
    stage = OddStage(chain, on.client, on.deployer, on.operator, on.treasury, fund, preset, preset)
    stage.give_money([on.treasury.address], TREASURY)
    stage.approve(TREASURY)
    return stage


def wrongs(stage: Stage) -> list[str]:
    """What trying the fund finds wrong."""
    stage.client.refresh()
    return [f.words for f in try_fund(stage.client, stage.fund) if f.verdict is Verdict.WRONG]


def advice(stage: Stage) -> list[str]:
    stage.client.refresh()
    return [f.words for f in try_fund(stage.client, stage.fund) if f.verdict is Verdict.NOTE]


def alerts(world: World) -> list[RowMapping]:
    with world.store.read() as tx:
        return list(open_alerts(tx))


def assert_waits_and_goes_on(world: World, lift: Callable[[], None], words: str, kind: str) -> None:
    """All wait with one alert that has the words, and none is held; lifted, they are settled."""
    names = world.enter(2)
    world.step(3)
    assert world.statuses(names) == [S.APPROVED] * 2
    assert world.unfinal() == []
    assert [a["kind"] for a in alerts(world) if words in a["detail"]] == [kind]
    lift()
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    assert kind not in world.alerts()
    world.check_books()


# USDC


@both_chains
def test_usdc__payee_blacklisted__held_with_words_and_the_other_paid(
    chain: Chain, book: Store
) -> None:
    stage = set_usdc_stage(chain, FundChecks(payout_token="usdc"))
    world = build_world(chain, stage, book)
    names = world.enter(2)
    stage.money("blacklist", account(names[0]))

    world.settle()
    assert world.statuses(names) == [S.HELD, S.SETTLED]
    row = world.row(names[0])
    assert row.hold_reason == HoldReason.PAYEE_RESTRICTED.value
    assert f"answers true to isBlacklisted({account(names[0])})" in (row.hold_detail or "")
    assert world.shares_of(account(names[0])) == SHARE
    world.check_books()


def test_usdc__treasury_blacklisted__all_wait_and_go_on_by_themselves(
    chain: Chain, book: Store
) -> None:
    stage = set_usdc_stage(chain, FundChecks(payout_token="usdc"))
    world = build_world(chain, stage, book)
    treasury = stage.treasury.address
    stage.money("blacklist", treasury)
    (payment, check) = wrongs(stage)[-2:]
    assert "lets the treasury" in payment
    assert f"isBlacklisted({treasury})" in check

    assert_waits_and_goes_on(
        world,
        lambda: stage.money("unBlacklist", treasury),
        f"answers true to isBlacklisted({treasury})",
        "treasury_short",
    )


def test_usdc__not_asked__advised_and_not_chosen(chain: Chain, book: Store) -> None:
    stage = set_usdc_stage(chain, NO_CHECKS)

    assert ['payout_token = "usdc"' in words for words in advice(stage)] == [True]
    assert stage.fund.checks == NO_CHECKS


# OpenZeppelin 4.9.6


@both_chains
def test_openzeppelin_4__whole_cycle__burned_paid_and_reconciled(chain: Chain, book: Store) -> None:
    stage = set_openzeppelin_4_stage(chain, BurnStyle.BURN_FROM)
    world = build_world(chain, stage, book)
    orders = [order_of_key(stage, n, SHARE, allowed=True) for n in (3, 4)]
    world.take_in(*orders)

    world.settle()
    assert [world.status(order.external_id) for order in orders] == [S.SETTLED] * 2
    assert [world.shares_of(order.investor_address) for order in orders] == [0, 0]
    world.check_books()


@pytest.mark.parametrize("which", ["share", "payout"])
def test_openzeppelin_4__token_paused__found_wrong_all_wait_and_go_on_by_themselves(
    chain: Chain, book: Store, which: str
) -> None:
    stage = set_openzeppelin_4_stage(chain, BurnStyle.BURN_FROM)
    world = build_world(chain, stage, book)
    order = order_of_key(stage, 3, SHARE, allowed=True)
    world.take_in(order)
    token = getattr(stage.fund, f"{which}_token_address")
    stage.deployer.transact(token, stage.share_artifact, "pause")
    assert f"its {which} token {token} is paused" in " ".join(wrongs(stage))

    world.step(3)
    assert world.status(order.external_id) is S.APPROVED
    assert world.row(order.external_id).waiting_on == "token_paused"
    (alert,) = [a for a in alerts(world) if a["kind"] == "token_stopped"]
    assert f"the {which} token {token} is paused" in alert["detail"]
    stage.deployer.transact(token, stage.share_artifact, "unpause")
    world.settle()
    assert world.status(order.external_id) is S.SETTLED
    world.check_books()


def test_burn_style__token_has_another_ones_function__said_with_the_style_that_fits(
    chain: Chain, book: Store
) -> None:
    stage = set_openzeppelin_4_stage(chain, BurnStyle.ADMIN_BURN)
    stage.client.refresh()

    words = other_burn_style(stage.client, stage.fund) or ""
    assert "seems to have no adminBurn(address,uint256)" in words
    assert "a settler of burn style burn_from fits it" in words
    assert words in wrongs(stage)


def test_burn_right__role_missing__found_wrong_with_who_mends_it(chain: Chain, book: Store) -> None:
    stage = set_odd_stage(chain)
    assert wrongs(stage) == []
    stage.shares("revokeRole", keccak(text="BURNER_ROLE"), stage.fund.settler_address)

    (words,) = wrongs(stage)
    assert "AccessControlUnauthorizedAccount" in words
    assert f"grantRole(BURNER_ROLE, {stage.fund.settler_address})" in words


# USDT


def set_usdt_stage(chain: Chain, checks: FundChecks) -> OddStage:
    return set_odd_stage(chain, payout="UsdtLikeToken", checks=checks)


def block(stage: OddStage, blocked: Address, *, value: bool = True) -> None:
    stage.money("setBlackListed", blocked, value)


@pytest.mark.parametrize(
    ("checks", "asked"),
    [
        (FundChecks(payout_token="usdt"), "isBlackListed"),
        (
            FundChecks(
                more=(
                    own_check(
                        token=CheckedToken.PAYOUT,
                        about=CheckAbout.PAYEE,
                        function="getBlackListStatus(address)",
                        good=False,
                    ),
                )
            ),
            "getBlackListStatus",
        ),
    ],
    ids=["preset", "own"],
)
def test_usdt__payee_blacklisted__held_though_the_token_would_pay(
    chain: Chain, book: Store, checks: FundChecks, asked: str
) -> None:
    stage = set_usdt_stage(chain, checks)
    world = build_world(chain, stage, book)
    names = world.enter(2)
    block(stage, account(names[0]))

    world.settle()
    assert world.statuses(names) == [S.HELD, S.SETTLED]
    assert f"answers true to {asked}({account(names[0])})" in (
        world.row(names[0]).hold_detail or ""
    )
    assert world.money_of(account(names[0])) == 0
    world.check_books()


def test_usdt__treasury_blacklisted__all_wait_and_go_on_by_themselves(
    chain: Chain, book: Store
) -> None:
    stage = set_usdt_stage(chain, FundChecks(payout_token="usdt"))
    treasury = stage.treasury.address
    block(stage, treasury)

    assert_waits_and_goes_on(
        build_world(chain, stage, book),
        lambda: block(stage, treasury, value=False),
        f"isBlackListed({treasury})",
        "treasury_short",
    )


# CMTAT


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("cmtat", "answers false to canTransfer"),
        ("cmtat_v2", "answers 2 to detectTransferRestriction"),
    ],
)
def test_cmtat__holder_frozen__held_with_words_and_the_other_paid(
    chain: Chain, book: Store, preset: str, said: str
) -> None:
    stage = set_odd_stage(chain, share="CmtatLikeShare", checks=FundChecks(share_token=preset))
    world = build_world(chain, stage, book)
    names = world.enter(2)
    stage.shares("setAddressFrozen", account(names[0]), True)

    world.settle()
    assert world.statuses(names) == [S.HELD, S.SETTLED]
    assert said in (world.row(names[0]).hold_detail or "")
    assert world.shares_of(account(names[0])) == SHARE
    world.check_books()


def test_cmtat__deactivated__all_wait_with_one_alert(chain: Chain, book: Store) -> None:
    stage = set_odd_stage(chain, share="CmtatLikeShare", checks=FundChecks(share_token="cmtat"))
    world = build_world(chain, stage, book)
    names = world.enter(2)
    stage.shares("deactivateContract")

    world.step(3)
    assert world.statuses(names) == [S.APPROVED] * 2
    (alert,) = [a for a in alerts(world) if a["kind"] == "token_stopped"]
    assert "answers true to deactivated()" in alert["detail"]


def test_checks__dry_run__logs_what_would_be_held(chain: Chain, book: Store) -> None:
    stage = set_usdt_stage(chain, FundChecks(payout_token="usdt"))
    world = build_world(chain, stage, book)
    names = world.enter(2)
    block(stage, account(names[0]))
    rehearsing = world.new_node(rehearsals={})
    structlog.reset_defaults()
    with capture_logs() as logs:
        rehearsing.tick()

    (held,) = [line for line in logs if line["event"] == "would_hold"]
    assert held["reason"] == "payee_restricted"
    assert f"isBlackListed({account(names[0])})" in held["detail"]
    assert world.statuses(names) == [S.APPROVED] * 2


def test_checks__a_batch_of_many__asked_in_one_round_trip(chain: Chain, book: Store) -> None:
    """Not one round trip an item: the batch's questions go out together."""
    stage = set_usdt_stage(chain, FundChecks(payout_token="usdt"))
    world = build_world(chain, stage, book)
    world.enter(12)
    client = world.context().chains[chain.chain_id].client
    rounds: list[int] = []
    plain = client.calls

    def counted(requests: list[object], **words: object) -> object:
        rounds.append(len(requests))
        return plain(requests, **words)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "calls", counted)
        world.tick()
    # Two about the whole fund, one about each payee and one that only asks whether it is answered.
    assert 12 + 3 in rounds
