"""Ask before paying: what a fund's tokens say about the holders, payees and payer of a batch.

A bad answer about one redemption's own accounts holds that redemption; one about the treasury, the
settler or a token stops the fund until it changes. A question that is not answered is no answer:
the same question about the settler, whom nobody but the token's own people can make unanswerable,
tells whether the token cannot answer it at all or only for this one account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from settlement_node.chain.contracts.settler_reads import Calls
from settlement_node.domain.observations import SettleItem
from settlement_node.domain.planning import Answers, Hold
from settlement_node.domain.token_checks import (
    HOLDS,
    WAITS,
    Arguments,
    CheckAbout,
    CheckedToken,
    SharesNeeded,
    TokenCheck,
)
from settlement_node.domain.waiting import Obstacle
from settlement_node.errors import Refused
from settlement_node.methods.token_checks import (
    Answer,
    Answered,
    Question,
    Unanswered,
    ask_tokens,
)
from settlement_node.store.book.funds import NewFund
from settlement_node.store.rows import FundRow
from settlement_node.units import Address, Hex32, format_units

CheckedFund = FundRow | NewFund
BALANCE = TokenCheck(CheckedToken.SHARE, CheckAbout.INVESTOR, "balanceOf(address)", None)


def ask_first(
    calls: Calls,
    fund: CheckedFund,
    items: Sequence[SettleItem],
    in_flight_shares: Mapping[Address, int],
) -> Answers:
    """Ask everything the fund's checks want to know about these items, at the agreed head. `later`
    are those that cannot go together with the orders of the same holder before them.

    `in_flight_shares` is what each investor's redemptions in flight are going to burn. Refused with
    `reason="check_unanswered"` when a token cannot answer one of the checks at all.
    """
    checks = fund.checks.all()
    if not checks:
        return Answers()
    answers = ask_tokens(calls, _tokens(fund), _questions(fund, checks, items))
    obstacle = _judge_fund(fund, checks, answers)
    if obstacle is not None:
        return Answers(obstacle=obstacle)
    failing: list[Hold] = []
    later: set[Hex32] = set()
    promised: dict[Address, int] = defaultdict(int, in_flight_shares)
    for item in items:
        faults = list(_faults(fund, checks, answers, item))
        if faults:
            reason = HOLDS[faults[0][0].about]
            why = "; ".join(words for _, words in faults)
            failing.append(Hold(item.redemption_id_hex, reason, why))
        elif any(
            not _needed(check, answers, item, promised[item.investor_address]).are_left
            for check in checks
            if check.counts_shares
        ):
            later.add(item.redemption_id_hex)
        else:
            promised[item.investor_address] += item.shares_base_units
    return Answers(failing=failing, later=frozenset(later))


def try_checks(calls: Calls, fund: CheckedFund) -> Obstacle | None:
    """Ask without any item: whether every check can be answered, and whether the fund could settle.
    Refused as for `ask_first`."""
    return ask_first(calls, fund, [], {}).obstacle


def _tokens(fund: CheckedFund) -> dict[CheckedToken, Address]:
    return {
        CheckedToken.SHARE: fund.share_token_address,
        CheckedToken.PAYOUT: fund.payout_token_address,
    }


def _questions(
    fund: CheckedFund, checks: Sequence[TokenCheck], items: Sequence[SettleItem]
) -> Iterator[Question]:
    for check in checks:
        yield _about_fund(fund, check)
        if check.about in HOLDS:
            yield from (_about_item(check, item) for item in items)
        if check.counts_shares:
            yield from (Question(BALANCE, item.investor_address) for item in items)


def _about_fund(fund: CheckedFund, check: TokenCheck) -> Question:
    """The question about the fund itself. One about holders or payees is put about the settler:
    the answer does not matter, that there is one does."""
    if check.about is CheckAbout.TOKEN:
        return Question(check)
    if check.about is CheckAbout.TREASURY:
        return Question(check, fund.treasury_address)
    return Question(check, fund.settler_address)


def _about_item(check: TokenCheck, item: SettleItem) -> Question:
    if check.about is CheckAbout.PAYEE:
        return Question(check, item.payee_address)
    burns = check.arguments is Arguments.BURN
    return Question(check, item.investor_address, item.shares_base_units if burns else 0)


def _judge_fund(
    fund: CheckedFund, checks: Iterable[TokenCheck], answers: Mapping[Question, Answer]
) -> Obstacle | None:
    found: Obstacle | None = None
    for check in checks:
        question = _about_fund(fund, check)
        answer = answers[question]
        if isinstance(answer, Unanswered):
            raise Refused(
                f"{_token(fund, check)} cannot be asked {check.function}: {answer.words}; nothing"
                f" is paid unasked. Is this check of the fund's checks right for that token?",
                reason="check_unanswered",
                function=check.function,
            )
        waiting_for = WAITS.get(check.about)
        if waiting_for is not None and not check.is_good(answer.word) and found is None:
            found = Obstacle(waiting_for, _said(fund, question, answer))
    return found


def _faults(
    fund: CheckedFund,
    checks: Iterable[TokenCheck],
    answers: Mapping[Question, Answer],
    item: SettleItem,
) -> Iterator[tuple[TokenCheck, str]]:
    """Every check of the item's own accounts that is not answered well, with the words."""
    for check in checks:
        if check.about not in HOLDS:
            continue
        question = _about_item(check, item)
        answer = answers[question]
        if isinstance(answer, Unanswered):
            yield (
                check,
                (f"{_token(fund, check)} does not answer {_asked(question)}: {answer.words}"),
            )
        elif not check.counts_shares:
            if not check.is_good(answer.word):
                yield check, _said(fund, question, answer)
        elif isinstance(held := answers[Question(BALANCE, item.investor_address)], Unanswered):
            yield check, f"{_token(fund, check)} does not answer balanceOf: {held.words}"
        elif not _needed(check, answers, item, 0).are_free:
            yield (
                check,
                (
                    f"{_said(fund, question, answer)}: of {_shares(fund, held.word)} shares held"
                    f" {_shares(fund, answer.word)} are frozen, and the order is for"
                    f" {_shares(fund, item.shares_base_units)}"
                ),
            )


def _needed(
    check: TokenCheck, answers: Mapping[Question, Answer], item: SettleItem, earlier: int
) -> SharesNeeded:
    frozen = answers[_about_item(check, item)]
    held = answers[Question(BALANCE, item.investor_address)]
    assert isinstance(frozen, Answered)
    assert isinstance(held, Answered)
    return SharesNeeded(
        held_base_units=held.word,
        frozen_base_units=frozen.word,
        shares_base_units=item.shares_base_units,
        earlier_base_units=earlier,
    )


def _token(fund: CheckedFund, check: TokenCheck) -> str:
    return f"the {check.token.value.replace('_', ' ')} {_tokens(fund)[check.token]}"


def _asked(question: Question) -> str:
    check = question.check
    name = check.function.partition("(")[0]
    of = f"{check.asked_of}." if check.asked_of is not None else ""
    return f"{of}{name}({question.account_address or ''})"


def _said(fund: CheckedFund, question: Question, answer: Answered) -> str:
    check = question.check
    return f"{_token(fund, check)} answers {check.shown(answer.word)} to {_asked(question)}"


def _shares(fund: CheckedFund, base_units: int) -> str:
    return format_units(base_units, fund.share_decimals)
