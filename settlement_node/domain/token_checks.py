"""What a fund's tokens are asked about holder, payee and payer before anything is planned.

An agent's burn of a regulated share token passes over the token's own rules, and some stablecoins
pay an account they have blocked; nothing on the chain refuses either. So the node asks first. What
is asked is a table: a fund names a preset for each of its tokens, or single questions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.waiting import WaitingFor
from settlement_node.errors import InvalidInput

CHECKS_MAX = 10
"""Single questions of one fund; each is asked about every item of a batch."""


class CheckedToken(StrEnum):
    """Which of the fund's tokens is asked; the words are the fund file's keys."""

    SHARE = "share_token"
    PAYOUT = "payout_token"


class CheckAbout(StrEnum):
    """Whom a question is about. The last three are of the whole fund, not of one redemption."""

    INVESTOR = "investor"
    PAYEE = "payee"
    TREASURY = "treasury"
    SETTLER = "settler"
    TOKEN = "token"


class Arguments(StrEnum):
    """What a question may take, as in its function's signature."""

    NOTHING = "()"
    ACCOUNT = "(address)"
    BURN = "(address,address,uint256)"
    """A transfer of the order's shares from the account to nobody, which is what a burn is."""


HOLDS = {
    CheckAbout.INVESTOR: HoldReason.INVESTOR_RESTRICTED,
    CheckAbout.PAYEE: HoldReason.PAYEE_RESTRICTED,
}
"""A bad answer about one redemption's own accounts holds that redemption."""

WAITS = {
    CheckAbout.TREASURY: WaitingFor.LIQUIDITY,
    CheckAbout.SETTLER: WaitingFor.TOKEN_PAUSED,
    CheckAbout.TOKEN: WaitingFor.TOKEN_PAUSED,
}
"""A bad answer that every redemption of the fund shares is waited for, and holds none."""

_FUNCTION = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}(\((?:address(?:,address,uint256)?)?\))")


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """One question: `function` is its signature, `good` the one answer that is good.

    Without `good` the answer is how many of the holder's shares are frozen, and the rest must cover
    the order. `asked_of` is a function of the token that names the contract to ask in its place.
    """

    token: CheckedToken
    about: CheckAbout
    function: str
    good: bool | int | None
    asked_of: str | None = None

    @property
    def arguments(self) -> Arguments:
        """What the function takes."""
        return Arguments(self.function[self.function.index("(") :])

    @property
    def counts_shares(self) -> bool:
        """Whether the answer is how many shares are frozen."""
        return self.good is None

    def is_good(self, answer: int) -> bool:
        """Judge the word that was answered; questions that count shares are not judged by it."""
        return answer == self.good

    def shown(self, answer: int) -> str:
        """The answer as a person writes it."""
        return ("false", "true")[answer] if isinstance(self.good, bool) else str(answer)


_SHARE, _PAYOUT = CheckedToken.SHARE, CheckedToken.PAYOUT
_INVESTOR, _PAYEE = CheckAbout.INVESTOR, CheckAbout.PAYEE
_TREASURY, _SETTLER, _TOKEN = CheckAbout.TREASURY, CheckAbout.SETTLER, CheckAbout.TOKEN
PRESETS: Mapping[CheckedToken, Mapping[str, tuple[TokenCheck, ...]]] = {
    CheckedToken.SHARE: {
        # https://eips.ethereum.org/EIPS/eip-3643
        "erc3643": (
            TokenCheck(_SHARE, _TOKEN, "paused()", False),
            TokenCheck(_SHARE, _SETTLER, "isAgent(address)", True),
            TokenCheck(_SHARE, _INVESTOR, "isFrozen(address)", False),
            TokenCheck(_SHARE, _INVESTOR, "getFrozenTokens(address)", None),
            TokenCheck(_SHARE, _INVESTOR, "isVerified(address)", True, "identityRegistry()"),
        ),
        # https://github.com/CMTA/CMTAT, version 3
        "cmtat": (
            TokenCheck(_SHARE, _TOKEN, "paused()", False),
            TokenCheck(_SHARE, _TOKEN, "deactivated()", False),
            TokenCheck(_SHARE, _INVESTOR, "canTransfer(address,address,uint256)", True),
        ),
        # Its version 2, and other tokens with ERC-1404's question.
        "cmtat_v2": (
            TokenCheck(_SHARE, _TOKEN, "paused()", False),
            TokenCheck(_SHARE, _TOKEN, "deactivated()", False),
            TokenCheck(_SHARE, _INVESTOR, "detectTransferRestriction(address,address,uint256)", 0),
        ),
    },
    CheckedToken.PAYOUT: {
        # https://github.com/circlefin/stablecoin-evm: transferFrom looks at all three.
        "usdc": (
            TokenCheck(_PAYOUT, _TOKEN, "paused()", False),
            TokenCheck(_PAYOUT, _PAYEE, "isBlacklisted(address)", False),
            TokenCheck(_PAYOUT, _TREASURY, "isBlacklisted(address)", False),
            TokenCheck(_PAYOUT, _SETTLER, "isBlacklisted(address)", False),
        ),
        # TetherToken on Ethereum, which stops a blocked payer and pays a blocked payee.
        "usdt": (
            TokenCheck(_PAYOUT, _TOKEN, "paused()", False),
            TokenCheck(_PAYOUT, _PAYEE, "isBlackListed(address)", False),
            TokenCheck(_PAYOUT, _TREASURY, "isBlackListed(address)", False),
        ),
    },
}
"""What each kind of token is asked; a preset asks its whole list, and every answer must be good."""


@dataclass(frozen=True, slots=True)
class FundChecks:
    """A fund's choice: a preset for each token or none, and questions of its own."""

    share_token: str | None = None
    payout_token: str | None = None
    more: tuple[TokenCheck, ...] = ()

    def __post_init__(self) -> None:
        for token in CheckedToken:
            chosen, known = getattr(self, token.value), PRESETS[token]
            if chosen is not None and chosen not in known:
                raise InvalidInput(
                    f"checks.{token.value} must be one of {', '.join(known)}",
                    field=f"checks.{token.value}",
                )
        if len(self.more) > CHECKS_MAX:
            raise InvalidInput(f"checks.more has more than {CHECKS_MAX} checks", field="checks")

    def all(self) -> tuple[TokenCheck, ...]:
        """Every question, presets first."""
        chosen = [
            PRESETS[token][preset]
            for token in CheckedToken
            if (preset := getattr(self, token.value)) is not None
        ]
        return (*(check for checks in chosen for check in checks), *self.more)

    def document(self) -> dict[str, Any]:
        """As the book and the API have it, which is how the fund file writes it."""
        return {
            "share_token": self.share_token,
            "payout_token": self.payout_token,
            "more": [
                {
                    "token": check.token.value,
                    "about": check.about.value,
                    "function": check.function,
                    "good": check.good,
                }
                for check in self.more
            ],
        }

    def words(self) -> str:
        """In a few words, for lists of funds."""
        chosen = [name for name in (self.share_token, self.payout_token) if name is not None]
        own = [f"{len(self.more)} of its own"] if self.more else []
        return ", ".join([*chosen, *own]) or "none"


NO_CHECKS = FundChecks()


def read_checks(document: Mapping[str, Any]) -> FundChecks:
    """The reverse of `FundChecks.document`."""
    return FundChecks(
        share_token=document.get("share_token"),
        payout_token=document.get("payout_token"),
        more=tuple(
            own_check(
                token=CheckedToken(entry["token"]),
                about=CheckAbout(entry["about"]),
                function=entry["function"],
                good=entry["good"],
            )
            for entry in document.get("more", ())
        ),
    )


def own_check(
    *, token: CheckedToken, about: CheckAbout, function: str, good: bool | int
) -> TokenCheck:
    """A question of the fund's own; InvalidInput when its function does not fit its `about`."""
    match = _FUNCTION.fullmatch(function)
    if match is None:
        raise InvalidInput(
            f"{function!r} is not a question this node can ask; write name(address), name() for the"
            " token itself, or name(address,address,uint256) for an investor's burn",
            field="function",
        )
    arguments = Arguments(match.group(1))
    fits = {
        Arguments.NOTHING: about is CheckAbout.TOKEN,
        Arguments.ACCOUNT: about is not CheckAbout.TOKEN,
        Arguments.BURN: about is CheckAbout.INVESTOR,
    }[arguments]
    if not fits:
        raise InvalidInput(f"{function} cannot be asked about the {about.value}", field="about")
    return TokenCheck(token, about, function, good)


@dataclass(frozen=True, slots=True)
class SharesNeeded:
    """What one order needs of its holder: `earlier_base_units` are promised to orders before it,
    in flight or in the same batch."""

    held_base_units: int
    frozen_base_units: int
    shares_base_units: int
    earlier_base_units: int

    @property
    def are_free(self) -> bool:
        """Whether the shares that are not frozen cover this order by itself."""
        return self.held_base_units - self.frozen_base_units >= self.shares_base_units

    @property
    def are_left(self) -> bool:
        """Whether they cover it after the orders before it."""
        needed = self.earlier_base_units + self.shares_base_units
        return self.held_base_units - self.frozen_base_units >= needed
