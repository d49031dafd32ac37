"""Whose a used nonce is."""

from __future__ import annotations

import pytest

from settlement_node.domain.engine.nonces import (
    Adopt,
    Judged,
    Unexplained,
    explain_gap,
    judge_nonce,
    judge_sighting,
)

GAP = Unexplained(book_nonce=5, chain_nonce=8)


@pytest.mark.parametrize(
    ("chain", "final", "highest_own", "expected"),
    [
        (7, 7, None, Adopt(7)),
        (7, 7, 9, Adopt(10)),
        (7, 6, None, Judged.NOT_FINAL_YET),
    ],
)
def test_judge_nonce__book_has_none__the_chains_once_final_and_above_our_own(
    chain: int, final: int, highest_own: int | None, expected: object
) -> None:
    judged = judge_nonce(
        book_nonce=None, chain_nonce=chain, final_nonce=final, highest_own=highest_own
    )
    assert judged == expected


@pytest.mark.parametrize(
    ("chain", "final", "expected"),
    [
        (5, 5, Judged.RESUMES),
        (3, 2, Judged.RESUMES),
        (8, 8, GAP),
        (8, 7, Judged.NOT_FINAL_YET),
    ],
)
def test_judge_nonce__book_has_five__only_more_on_the_chain_needs_an_explanation(
    chain: int, final: int, expected: object
) -> None:
    judged = judge_nonce(book_nonce=5, chain_nonce=chain, final_nonce=final, highest_own=4)
    assert judged == expected


@pytest.mark.parametrize(
    ("own", "is_read", "expected"),
    [
        ([5], True, Judged.RESTORED),
        ([7], False, Judged.RESTORED),
        ([4, 8], True, Judged.STRANGER),
        ([], True, Judged.STRANGER),
        ([8], False, Judged.NOT_READ_YET),
    ],
)
def test_explain_gap__own_batches_and_what_is_read__say_whose_it_is(
    own: list[int], is_read: bool, expected: Judged
) -> None:
    assert explain_gap(GAP, own_nonces=own, is_read=is_read) is expected


@pytest.mark.parametrize(
    ("polls", "is_final", "accepted", "expected"),
    [
        (3, True, False, Judged.STRANGER),
        (3, True, True, Judged.DISPLACED),
        (2, True, True, Judged.UNPROVEN),
        (9, False, False, Judged.UNPROVEN),
    ],
)
def test_judge_sighting__polls_and_finality__believed_only_with_both(
    polls: int, is_final: bool, accepted: bool, expected: object
) -> None:
    judged = judge_sighting(
        polls=polls, polls_min=3, is_final=is_final, displacement_accepted=accepted
    )
    assert judged is expected
