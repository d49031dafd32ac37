"""Defences against what tokens do not refuse, and against what they refuse to everybody."""

from __future__ import annotations

from tests.defences.changes import Drops, Gives, Never, Swaps
from tests.defences.model import Defence, Line

TREX = "chain_tests/tokens/test_trex.py"
ASKED = "chain_tests/tokens/test_asked_tokens.py"
ASKING = "tests/chain/test_token_checks.py"
HELD = (
    f"{TREX}::test_trex__holder_restricted__held_with_words_nothing_burned_and_the_other_paid"
    "[pyevm-sqlite-"
)
SHARED = "chain_tests/cycle/test_shared_causes.py"
OWN_ERRORS = (
    "chain_tests/tokens/test_own_errors.py::"
    "test_own_error__holder_locked__held_in_the_tokens_own_words_and_the_other_paid"
)
AGENT_DISMISSED = (
    f"{TREX}::test_trex__nobody_can_be_burned__all_wait_with_one_alert_and_go_on_by_themselves"
    "[pyevm-sqlite-dismiss_agent-answers false to isAgent]"
)

TOKENS: tuple[Defence, ...] = (
    Defence(
        name="asked_before_paying",
        line=Line.RESTRICTED,
        happens="a holder is frozen, a payee blocked, and the token lets burn and payment through",
        holds="the tokens are asked about each order before its batch; a bad answer holds it",
        at="settlement_node/node/stages/preflight.py:_ask",
        change=Gives("ask_first", "Answers()"),
        tests=(
            f"{HELD}isFrozen]",
            f"{ASKED}::test_usdt__payee_blacklisted__held_though_the_token_would_pay"
            "[pyevm-sqlite-preset]",
        ),
    ),
    Defence(
        name="identity_registry_is_asked",
        line=Line.RESTRICTED,
        happens="a holder was removed from the identity registry, or its claim was revoked",
        holds="the registry that the token names is asked whether the holder is verified",
        at="settlement_node/domain/token_checks.py:PRESETS",
        change=Drops("isVerified(address)", "identityRegistry()"),
        tests=(f"{HELD}identityRegistry().isVerified]", f"{HELD}claim revoked]"),
    ),
    Defence(
        name="frozen_shares_stay",
        line=Line.RESTRICTED,
        happens="a part of the holder's shares is frozen, and an agent's burn would unfreeze it",
        holds="what is frozen is taken off the balance before the order is held against it",
        at="settlement_node/domain/token_checks.py:SharesNeeded.are_free",
        change=Swaps("self.held_base_units - self.frozen_base_units", "self.held_base_units"),
        tests=(f"{HELD}getFrozenTokens]",),
    ),
    Defence(
        name="free_shares_count_once",
        line=Line.RESTRICTED,
        happens="two orders of a holder are each covered by the shares not frozen, not both",
        holds="what batches in flight burn is taken off first; the second order waits",
        at="settlement_node/node/stages/eligibility.py:ask_first",
        change=Drops("in_flight_shares"),
        tests=(
            f"{TREX}::test_trex__free_shares_cover_one_of_two_orders__the_frozen_ones_stay"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="no_answer_is_no_yes",
        line=Line.RESTRICTED,
        happens="a token reverts when it is asked: it has no such question, or not for this holder",
        holds="what is not answered is never good: that order is held, or nothing is planned",
        at="settlement_node/methods/token_checks.py:_answer",
        change=Swaps(
            "Unanswered(f'it reverts: {revert_reason(outcome.data)}')",
            "Answered(int(check.good or 0))",
        ),
        tests=(
            f"{ASKING}::test_ask_tokens__what_is_no_answer__is_never_taken_for_one[reverts]",
            f"{HELD}does not answer]",
            f"{TREX}::test_trex__checks_of_another_kind_of_token__nothing_planned_and_an_alert"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="shared_causes_hold_nobody",
        line=Line.TOKEN_STOPPED,
        happens="the settler loses its right to burn, or the token is deactivated",
        holds="a bad answer about settler, treasury or token is a wait of all, with one alert",
        at="settlement_node/node/stages/eligibility.py:ask_first",
        change=Never("obstacle"),
        tests=(
            AGENT_DISMISSED,
            f"{ASKED}::test_cmtat__deactivated__all_wait_with_one_alert[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="lost_right_to_burn_holds_nobody",
        line=Line.TOKEN_STOPPED,
        happens="the settler's right to burn is away for a while, so that every item would fail",
        holds="where no item passes a burn is tried; a shared cause is waited for, with one alert",
        at="settlement_node/methods/settler.py:Settler._shared_cause",
        change=Gives("burn_refusal", "None"),
        tests=(
            f"{SHARED}::test_shared_cause__right_to_burn_away__"
            "all_wait_with_one_alert_and_go_on[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="price_outside_the_band_holds_nobody",
        line=Line.TOKEN_STOPPED,
        happens="a NAV lies outside the settler's price band, which skips every item at it",
        holds="the price is compared with the band first, and everything waits for another",
        at="settlement_node/domain/planning.py:_obstacle",
        change=Gives("fault", "None"),
        tests=(
            f"{SHARED}::test_shared_cause__price_outside_the_band__"
            "all_wait_and_go_on_at_a_price_inside[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="oldest_is_not_starved",
        line=Line.TOKEN_STOPPED,
        happens="small orders take the day's limit as it comes back, and a large one never goes",
        holds="room is kept for the oldest order that only waits for the day's limit",
        at="settlement_node/domain/batching.py:_take",
        change=Never("limit_base_units"),
        tests=(
            "tests/domain/test_batching.py::"
            "test_choose__oldest_waits_for_the_days_limit__room_is_kept_for_it",
        ),
    ),
    Defence(
        name="trouble_keeps_to_its_fund",
        line=Line.TOKEN_STOPPED,
        happens="one fund's contracts cannot be read for a while",
        holds="the lane's other funds are planned, and the pass says what was not",
        at="settlement_node/node/stages/plan.py:_plan_apart",
        change=Swaps("lane.unplanned[fund.fund_id] = error.message", "raise"),
        tests=(
            f"{SHARED}::test_trouble__calls_of_the_first_fund_fail__"
            "the_second_is_planned_and_the_pass_says_so[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="burn_style_is_tried_first",
        line=Line.TOKEN_STOPPED,
        happens="a settler is to be deployed with a burn style that its token does not have",
        holds="the token is asked what it has; the command refuses before anything is sent",
        at="settlement_node/cli/deploy_request.py:before_deploying",
        change=Swaps("other is not None", "other is not None and client is None"),
        tests=(
            "tests/cli/test_on_a_chain.py::"
            "test_deploy__burn_style_the_token_does_not_have__refused_before_anything_is_sent",
        ),
    ),
    Defence(
        name="payment_is_tried_before_it_is_called_right",
        line=Line.TOKEN_STOPPED,
        happens="the treasury has money and an allowance, and its token lets it pay nobody",
        holds="config check and fund add try one base unit, and say what the token answers",
        at="settlement_node/cli/token_trials.py:_payment",
        change=Gives("treasury_refusal", "None"),
        tests=(
            f"{ASKED}::test_usdc__treasury_blacklisted__all_wait_and_go_on_by_themselves"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="a_token_speaks_in_its_own_words",
        line=Line.TOKEN_STOPPED,
        happens="a fund's token refuses with an error of its own that no library has",
        holds="the hold says it in the words of the ABI that the fund's file names",
        at="settlement_node/chain/contracts/reverts.py:_read",
        change=Swaps("it or next(own, None)", "it"),
        tests=(
            f"{OWN_ERRORS}[sqlite-before-pyevm]",
            f"{OWN_ERRORS}[sqlite-after-pyevm]",
        ),
    ),
)
