"""Judging nonces: whose is what the chain has used of a signer's, and what the lane does about it.

A nonce is adopted from the chain only once it is final: a reorganisation would leave a gap below
it that nobody fills. One that the book never gave, or gave to other bytes, is believed to be the
book's own only by what the settlers' events show.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotFinalYet:
    """Wait: what the chain has used is not final."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """The book has no next nonce yet: this one."""

    next_nonce: int


@dataclass(frozen=True, slots=True)
class Resumes:
    """The book is where the chain is, or ahead of it with its own; None when all are final."""

    highest_own: int | None


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The chain has used nonces from the book's next on, below its own: `explain_gap` says by
    whom."""

    book_nonce: int
    chain_nonce: int


def judge_nonce(
    *, book_nonce: int | None, chain_nonce: int, final_nonce: int, highest_own: int | None
) -> NotFinalYet | Adopt | Resumes | Unexplained:
    """The book's next nonce beside the signer's count at the head and in the last final block.

    `highest_own` is the book's highest nonce that is not final: after a person accepted a stranger,
    it may lie above the chain's.
    """
    if book_nonce is not None and chain_nonce <= book_nonce:
        return Resumes(highest_own)
    if chain_nonce != final_nonce:
        return NotFinalYet()
    if book_nonce is None:
        return Adopt(max(chain_nonce, 0 if highest_own is None else highest_own + 1))
    return Unexplained(book_nonce, chain_nonce)


@dataclass(frozen=True, slots=True)
class Restored:
    """A batch in the gap is this very signer's: the book is a restored backup."""


@dataclass(frozen=True, slots=True)
class NotReadYet:
    """Events that may explain it are not in the book."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody else uses the key."""


def explain_gap(
    gap: Unexplained, *, own_nonces: Collection[int], is_read: bool
) -> Restored | NotReadYet | Stranger:
    """Whose the gap's nonces are. `own_nonces` are those at which the signer sent the newest batch
    of each settler; `is_read` says whether every settler's events are in the book to the head."""
    if any(gap.book_nonce <= nonce < gap.chain_nonce for nonce in own_nonces):
        return Restored()
    return Stranger() if is_read else NotReadYet()


@dataclass(frozen=True, slots=True)
class Sighting:
    """The lowest unmined nonce is used on the chain and no receipt of ours is there. `polls` counts
    the passes in a row that saw it; `is_final` says whether a final block has it."""

    polls: int
    is_final: bool
    displacement_accepted: bool


@dataclass(frozen=True, slots=True)
class Unproven:
    """Seen too few times, or in no final block: wait."""


@dataclass(frozen=True, slots=True)
class Displaced:
    """A person has accepted that a stranger's transaction took the nonce: ours is void."""


def judge_sighting(seen: Sighting, *, polls_min: int) -> Unproven | Displaced | Stranger:
    """Whether a stranger is believed: after several passes that agree, in a final block."""
    if seen.polls < polls_min or not seen.is_final:
        return Unproven()
    return Displaced() if seen.displacement_accepted else Stranger()
