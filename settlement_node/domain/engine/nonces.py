"""Judging nonces: whose is what the chain has used of a signer's, and what the lane does about it.

A nonce is adopted from the chain only once it is final: a reorganisation would leave a gap below
it that nobody fills. One that the book never gave, or gave to other bytes, is believed to be the
book's own only by what the settlers' events show.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto


class Judged(Enum):
    """What a nonce is, where there is no more to say."""

    NOT_FINAL_YET = auto()  # wait: what the chain has used is not final
    RESUMES = auto()  # the book is where the chain is, or ahead of it with its own
    RESTORED = auto()  # this very signer's: the book is a restored backup
    NOT_READ_YET = auto()  # events that may explain it are not in the book
    UNPROVEN = auto()  # seen too few times, or in no final block: wait
    DISPLACED = auto()  # a stranger's, as a person has accepted: ours is void
    STRANGER = auto()  # somebody else uses the key


@dataclass(frozen=True, slots=True)
class Adopt:
    """The book has no next nonce yet: this one."""

    next_nonce: int


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The chain has used nonces from the book's next on, below its own; see `explain_gap`."""

    book_nonce: int
    chain_nonce: int


def judge_nonce(
    *, book_nonce: int | None, chain_nonce: int, final_nonce: int, highest_own: int | None
) -> Judged | Adopt | Unexplained:
    """The book's next nonce beside the signer's count at the head and in the last final block.

    `highest_own` is the book's highest nonce that is not final: after a person accepted a stranger,
    it may lie above the chain's.
    """
    if book_nonce is not None and chain_nonce <= book_nonce:
        return Judged.RESUMES
    if chain_nonce != final_nonce:
        return Judged.NOT_FINAL_YET
    if book_nonce is None:
        return Adopt(max(chain_nonce, 0 if highest_own is None else highest_own + 1))
    return Unexplained(book_nonce, chain_nonce)


def explain_gap(gap: Unexplained, *, own_nonces: Collection[int], is_read: bool) -> Judged:
    """Whose the gap's nonces are: RESTORED, NOT_READ_YET or STRANGER. `own_nonces` are those at
    which the signer sent the newest batch of each settler; `is_read` says whether every settler's
    events are in the book to the head."""
    if any(gap.book_nonce <= nonce < gap.chain_nonce for nonce in own_nonces):
        return Judged.RESTORED
    return Judged.STRANGER if is_read else Judged.NOT_READ_YET


def judge_sighting(
    *, polls: int, polls_min: int, is_final: bool, displacement_accepted: bool
) -> Judged:
    """The lowest unmined nonce is used on the chain, and no receipt of ours is there: UNPROVEN,
    DISPLACED or STRANGER. A stranger is believed after `polls_min` passes in a row that saw it, and
    once a final block has it."""
    if polls < polls_min or not is_final:
        return Judged.UNPROVEN
    return Judged.DISPLACED if displacement_accepted else Judged.STRANGER
