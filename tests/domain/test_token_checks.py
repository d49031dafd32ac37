"""What a fund's tokens may be asked, and what counts as a good answer."""

from __future__ import annotations

import pytest

from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.token_checks import (
    CHECKS_MAX,
    HOLDS,
    NO_CHECKS,
    PRESETS,
    WAITS,
    CheckAbout,
    CheckedToken,
    FundChecks,
    SharesNeeded,
    TokenCheck,
    own_check,
    read_checks,
)
from settlement_node.domain.waiting import WaitingFor
from settlement_node.errors import InvalidInput

OWN = own_check(
    token=CheckedToken.PAYOUT, about=CheckAbout.PAYEE, function="isBlocked(address)", good=False
)
PRESET_CHECKS = [
    check for presets in PRESETS.values() for checks in presets.values() for check in checks
]


@pytest.mark.parametrize("check", PRESET_CHECKS, ids=lambda check: check.function)
def test_presets__every_question__is_one_this_node_can_ask(check: TokenCheck) -> None:
    good = 0 if check.good is None else check.good
    asked = own_check(token=check.token, about=check.about, function=check.function, good=good)
    assert check.arguments is asked.arguments


@pytest.mark.parametrize("token", list(CheckedToken))
def test_presets__every_check_of_a_token__asks_that_token(token: CheckedToken) -> None:
    assert {check.token for checks in PRESETS[token].values() for check in checks} == {token}


def test_about__each__either_holds_one_redemption_or_stops_the_fund() -> None:
    assert {*HOLDS} | {*WAITS} == set(CheckAbout)
    assert {*HOLDS} & {*WAITS} == set()
    assert HOLDS[CheckAbout.PAYEE] is HoldReason.PAYEE_RESTRICTED
    assert WAITS[CheckAbout.TREASURY] is WaitingFor.LIQUIDITY


def test_fund_checks__all__presets_first_then_its_own() -> None:
    checks = FundChecks(share_token="erc3643", payout_token="usdt", more=(OWN,))
    assert checks.all() == (
        *PRESETS[CheckedToken.SHARE]["erc3643"],
        *PRESETS[CheckedToken.PAYOUT]["usdt"],
        OWN,
    )
    assert checks.words() == "erc3643, usdt, 1 of its own"
    assert (NO_CHECKS.all(), NO_CHECKS.words()) == ((), "none")


def test_fund_checks__document__is_read_back_alike() -> None:
    checks = FundChecks(share_token="cmtat", more=(OWN,))
    assert read_checks(checks.document()) == checks
    assert read_checks({}) == NO_CHECKS


@pytest.mark.parametrize(
    "wrong", [{"share_token": "usdc"}, {"payout_token": "erc3643"}, {"share_token": "ERC3643"}]
)
def test_fund_checks__preset_of_another_token__is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=r"checks\.\w+ must be one of "):
        read_checks(wrong)


def test_fund_checks__too_many_of_its_own__are_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 10"):
        FundChecks(more=(OWN,) * (CHECKS_MAX + 1))


@pytest.mark.parametrize(
    ("function", "about"),
    [
        ("isBlocked", CheckAbout.PAYEE),
        ("isBlocked(address) view", CheckAbout.PAYEE),
        ("isBlocked(uint256)", CheckAbout.PAYEE),
        ("paused()", CheckAbout.PAYEE),
        ("isBlocked(address)", CheckAbout.TOKEN),
        ("canTransfer(address,address,uint256)", CheckAbout.PAYEE),
    ],
)
def test_own_check__function_that_does_not_fit__is_refused(
    function: str, about: CheckAbout
) -> None:
    with pytest.raises(InvalidInput):
        own_check(token=CheckedToken.SHARE, about=about, function=function, good=True)


@pytest.mark.parametrize(
    ("good", "answer", "expected", "shown"),
    [(True, 1, True, "true"), (False, 1, False, "true"), (0, 0, True, "0"), (0, 2, False, "2")],
)
def test_is_good__one_answer_only(
    good: bool | int, answer: int, expected: bool, shown: str
) -> None:
    check = TokenCheck(CheckedToken.SHARE, CheckAbout.INVESTOR, "asked(address)", good)
    assert (check.is_good(answer), check.shown(answer)) == (expected, shown)


@pytest.mark.parametrize(
    ("held", "frozen", "shares", "earlier", "are_free", "are_left"),
    [
        (10, 4, 6, 0, True, True),
        (10, 4, 7, 0, False, False),
        (10, 4, 3, 3, True, True),
        (10, 4, 3, 4, True, False),
        (4, 10, 1, 0, False, False),
    ],
)
def test_shares_needed__frozen_ones_and_promised_ones__do_not_count(
    held: int, frozen: int, shares: int, earlier: int, are_free: bool, are_left: bool
) -> None:
    needed = SharesNeeded(held, frozen, shares, earlier)
    assert (needed.are_free, needed.are_left) == (are_free, are_left)
