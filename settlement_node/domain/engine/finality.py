"""When a block counts as final, and what a reorganisation undoes. Heads are compared by hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from settlement_node.errors import InvalidInput, Transient
from settlement_node.units import Hex32


class FinalityMode(StrEnum):
    """Which word of the chain is taken for final."""

    CONFIRMATIONS = "confirmations"
    SAFE = "safe"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class FinalityPolicy:
    """A chain's rule. In CONFIRMATIONS mode a block with `confirmations_blocks` blocks on top
    of it is final; in the tag modes that number is a least depth besides the tag."""

    mode: FinalityMode
    confirmations_blocks: int

    def __post_init__(self) -> None:
        if not 0 <= self.confirmations_blocks <= 10_000:
            raise InvalidInput(
                "finality: confirmations_blocks must be between 0 and 10000",
                field="finality.confirmations_blocks",
            )


def final_number(
    policy: FinalityPolicy,
    *,
    head_number: int,
    safe_number: int | None,
    finalized_number: int | None,
) -> int:
    """The highest block number that is final; −1 when none is.

    A tag the endpoints do not answer is no finality at all: unknown is never final.
    """
    by_depth = head_number - policy.confirmations_blocks
    if policy.mode is FinalityMode.CONFIRMATIONS:
        return max(by_depth, -1)
    tag = _tag(policy, safe_number, finalized_number)
    return -1 if tag is None else max(min(by_depth, tag), -1)


def is_answered(
    policy: FinalityPolicy, *, safe_number: int | None, finalized_number: int | None
) -> bool:
    """Whether the endpoints answer the tag the policy asks for; without one nothing is final."""
    return (
        policy.mode is FinalityMode.CONFIRMATIONS
        or _tag(policy, safe_number, finalized_number) is not None
    )


def _tag(
    policy: FinalityPolicy, safe_number: int | None, finalized_number: int | None
) -> int | None:
    return safe_number if policy.mode is FinalityMode.SAFE else finalized_number


def confirmations_of(block_number: int, *, head_number: int) -> int:
    """Blocks on top of `block_number`; 0 when it is the head."""
    return max(head_number - block_number, 0)


@dataclass(frozen=True, slots=True)
class Fork:
    """What differs between the remembered heads and the chain: every remembered block from
    `first_undone_number` on is no longer canonical."""

    first_undone_number: int
    depth_blocks: int


def find_fork(remembered: Mapping[int, Hex32], canonical: Mapping[int, Hex32]) -> Fork | None:
    """Compare remembered with canonical hashes of the same numbers.

    `canonical` must hold every remembered number that the chain still reaches; a remembered
    number above the chain's head is undone as well, and is given as absent. Returns None when
    all agree. Raises Transient when a lower block differs while a higher one agrees, which no
    chain of hashes can do: the endpoints answered from different forks, and may not next time.
    """
    differing = [n for n in remembered if canonical.get(n) != remembered[n]]
    if not differing:
        return None
    first = min(differing)
    if any(n > first and canonical.get(n) == remembered[n] for n in remembered):
        raise Transient(
            f"block {first} changed its hash while a block above it did not:"
            " the endpoints answered from different forks",
            block_number=first,
        )
    return Fork(first_undone_number=first, depth_blocks=max(remembered) - first + 1)


def behind_final(*, head_number: int, known_final_number: int) -> str | None:
    """What is to be said of a head below a block that the book knows as final; None for others."""
    if head_number >= known_final_number:
        return None
    return (
        f"the endpoints' head {head_number} is below block {known_final_number}, which the book"
        " knows as final: they lag far behind, or this is a younger chain than the book's (a"
        " development chain that was started anew needs a new book too)"
    )


def crosses_finality(fork: Fork, *, final_block_number: int) -> bool:
    """Whether a reorganisation reaches blocks that were already called final."""
    return fork.first_undone_number <= final_block_number
