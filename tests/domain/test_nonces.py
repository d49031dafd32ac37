"""Whose a used nonce is."""

from __future__ import annotations

import pytest

from settlement_node.domain.engine.nonces import (
    Adopt,
    Displaced,
    NotFinalYet,
    NotReadYet,
    Restored,
    Resumes,
    Sighting,
    Stranger,
    Unexplained,
    Unproven,
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
        (7, 6, None, NotFinalYet()),
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
        (5, 5, Resumes(4)),
        (3, 2, Resumes(4)),
        (8, 8, GAP),
        (8, 7, NotFinalYet()),
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
        ([5], True, Restored()),
        ([7], False, Restored()),
        ([4, 8], True, Stranger()),
        ([], True, Stranger()),
        ([8], False, NotReadYet()),
    ],
)
def test_explain_gap__own_batches_and_what_is_read__say_whose_it_is(
    own: list[int], is_read: bool, expected: object
) -> None:
    assert explain_gap(GAP, own_nonces=own, is_read=is_read) == expected


@pytest.mark.parametrize(
    ("polls", "is_final", "accepted", "expected"),
    [
        (3, True, False, Stranger()),
        (3, True, True, Displaced()),
        (2, True, True, Unproven()),
        (9, False, False, Unproven()),
    ],
)
def test_judge_sighting__polls_and_finality__believed_only_with_both(
    polls: int, is_final: bool, accepted: bool, expected: object
) -> None:
    seen = Sighting(polls=polls, is_final=is_final, displacement_accepted=accepted)
    assert judge_sighting(seen, polls_min=3) == expected
