"""Trying a fund's tokens before anything depends on them: pause, burn, payment, and checks.

Nothing is sent. `deploy`, `fund add` and `config check` tell the same findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from settlement_node.chain.client import ChainClient
from settlement_node.cli.findings import Finding, note, right, wrong
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.token_checks import PRESETS, CheckedToken, FundChecks
from settlement_node.errors import Refused
from settlement_node.methods.burn_trial import FUNCTIONS, BurnTrial, try_burn
from settlement_node.methods.settler import treasury_refusal
from settlement_node.node.stages.eligibility import CheckedFund, try_checks
from settlement_node.store.book import redemptions
from settlement_node.store.database import ReadTx
from settlement_node.units import Address, format_units

HOLDERS_TRIED = 5
NEEDS_ALLOWANCE = (BurnStyle.BURN_FROM, BurnStyle.ESCROW)


def holders_to_try(tx: ReadTx, fund_id: str) -> list[Address]:
    """Some holders the book knows, by whose shares a burn can be tried."""
    rows = redemptions.due(tx, fund_id, at_utc=tx.now_utc, limit=HOLDERS_TRIED)
    return list(dict.fromkeys(row.investor_address for row in rows))


def try_fund(
    client: ChainClient, fund: CheckedFund, holders: Sequence[Address] = ()
) -> Iterator[Finding]:
    """Everything that can be tried of a fund whose settler is on the chain. What one trial cannot
    be asked for is told, and the others are made all the same."""
    about = f"fund {fund.fund_id}"
    trials = (
        try_pauses(client, fund),
        _burn(about, client, fund, holders),
        _payment(about, client, fund),
        _checks(about, client, fund),
        advise_presets(client, fund),
    )
    for trial in trials:
        try:
            yield from trial
        except Refused as error:
            yield wrong(about, error.message)


def try_pauses(client: ChainClient, fund: CheckedFund) -> Iterator[Finding]:
    """Whether one of the tokens stands still."""
    tokens = {
        CheckedToken.SHARE: fund.share_token_address,
        CheckedToken.PAYOUT: fund.payout_token_address,
    }
    for which, token in tokens.items():
        if client.token_view(token).paused:
            yield wrong(
                f"fund {fund.fund_id}",
                f"its {_shown(which)} {token} is paused; redemptions wait until its issuer lifts"
                " that",
            )


def other_burn_style(client: ChainClient, fund: CheckedFund) -> str | None:
    """Words when the share token does not have its burn style's function but another's."""
    return _other_style(fund, try_burn(client.calls, fund))


def advise_presets(client: ChainClient, fund: CheckedFund) -> Iterator[Finding]:
    """Which presets a token that has none answers all questions of. Advice: none is chosen."""
    for token in CheckedToken:
        if getattr(fund.checks, token.value) is not None:
            continue
        for preset in PRESETS[token]:
            is_share = token is CheckedToken.SHARE
            checks = FundChecks(share_token=preset) if is_share else FundChecks(payout_token=preset)
            alike = replace(fund, checks=checks)
            try:
                try_checks(client.calls, alike)
            except Refused:
                continue  # it cannot answer all of them
            yield note(
                f"fund {fund.fund_id}",
                f"its {_shown(token)} answers as {preset} does, and is not asked before paying;"
                f' consider {token.value} = "{preset}" under [checks] in its file',
            )


def _burn(
    about: str, client: ChainClient, fund: CheckedFund, holders: Sequence[Address]
) -> Iterator[Finding]:
    trial = try_burn(client.calls, fund, holders)
    function, token = FUNCTIONS[fund.burn_style], fund.share_token_address
    other = _other_style(fund, trial)
    if trial.passed_for is not None:
        yield right(about, f"the settler may burn: tried with shares of {trial.passed_for}")
    elif other is not None:
        yield wrong(about, other)
    elif trial.is_agent is False:
        yield wrong(
            about,
            f"its settler is no agent of the share token {token}; the token's owner makes it one:"
            f" addAgent({fund.settler_address})",
        )
    elif trial.has_role is False and trial.refusal is not None:
        yield wrong(
            about,
            f"its settler may not burn: the share token {token} says {trial.refusal}; the token's"
            f" administrator gives it BURNER_ROLE: grantRole(BURNER_ROLE, {fund.settler_address})",
        )
    elif trial.refusal is None or trial.is_agent or trial.has_role:
        more = "; each holder's allowance is needed" if fund.burn_style in NEEDS_ALLOWANCE else ""
        yield right(about, f"the settler may burn by {function}{more}")
    else:
        yield wrong(
            about,
            f"the share token {token} refuses {function} by its settler {fund.settler_address}:"
            f" {trial.refusal}; give the settler the right, or deploy one of another burn style",
        )


def _other_style(fund: CheckedFund, trial: BurnTrial) -> str | None:
    if trial.other_style is None:
        return None
    return (
        f"the share token {fund.share_token_address} seems to have no {FUNCTIONS[fund.burn_style]},"
        f" which burn style {fund.burn_style.value} calls, but {FUNCTIONS[trial.other_style]}: a"
        f" settler of burn style {trial.other_style.value} fits it"
    )


def _payment(about: str, client: ChainClient, fund: CheckedFund) -> Iterator[Finding]:
    money = client.token_view(
        fund.payout_token_address,
        holders=[fund.treasury_address],
        allowance=(fund.treasury_address, fund.settler_address),
    )
    spendable = min(
        money.balances_base_units[fund.treasury_address], money.allowance_base_units or 0
    )
    if not spendable:
        yield wrong(
            about,
            f"the settler can pay nothing: treasury {fund.treasury_address} holds no payout token"
            " or has not approved the settler",
        )
        return
    refusal = treasury_refusal(client, fund)
    shown = format_units(spendable, fund.payout_decimals)
    if refusal is None:
        yield right(about, f"the settler can pay {shown} from the treasury")
    else:
        yield wrong(about, f"there is {shown} to pay with, and {refusal}")


def _checks(about: str, client: ChainClient, fund: CheckedFund) -> Iterator[Finding]:
    if not fund.checks.all():
        return
    obstacle = try_checks(client.calls, fund)
    if obstacle is None:
        yield right(about, f"its tokens answer its checks ({fund.checks.words()})")
    else:
        yield wrong(about, f"nothing would be settled now: {obstacle.words}")


def _shown(token: CheckedToken) -> str:
    return token.value.replace("_", " ")
