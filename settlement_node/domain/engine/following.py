"""Following a head: what the newest agreed head is beside the heads that a book remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from settlement_node.domain.engine.finality import (
    Fork,
    behind_final,
    crosses_finality,
    find_fork,
)
from settlement_node.domain.observations import Block
from settlement_node.units import Hex32


@dataclass(frozen=True, slots=True)
class Remembered:
    """A lane's heads as its book has them. `final_number` is the highest block it ever called
    final, −1 before the first; `blocks` are the hashes by number from the final line or the head
    on, whichever is lower, and need not be read where the head `is_next`."""

    latest: tuple[int, Hex32] | None
    final_number: int
    blocks: Mapping[int, Hex32]


@dataclass(frozen=True, slots=True)
class Same:
    """The head is the latest one remembered."""


@dataclass(frozen=True, slots=True)
class Extends:
    """The chain went on: `new` are the blocks to remember, in order."""

    new: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Forked:
    """What is remembered from the fork on is undone before `new` is remembered."""

    fork: Fork
    new: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """The head is below the final line, and no block has another hash: endpoints that lag."""

    words: str


@dataclass(frozen=True, slots=True)
class BelowFinality:
    """Blocks once called final have another hash: nothing is undone, a person decides."""

    fork: Fork


HeadSeen = Same | Extends | Forked | Behind | BelowFinality


def is_next(head: Block, latest: tuple[int, Hex32] | None) -> bool:
    """Whether the head is the latest one remembered or follows it directly."""
    return latest is not None and (
        latest == (head.number, head.block_hash) or latest == (head.number - 1, head.parent_hash)
    )


def numbers_to_compare(head: Block, remembered: Remembered, *, page_blocks: int) -> list[int]:
    """The blocks below the head whose hashes `follow` needs: those remembered, and the new ones. Of
    these the last `page_blocks` at most: a long sleep leaves a gap, and finality needs no more."""
    if is_next(head, remembered.latest):
        return []
    first_new = max(max(remembered.blocks, default=-1) + 1, head.number - page_blocks + 1)
    numbers = {*remembered.blocks, *range(first_new, head.number)}
    return sorted(n for n in numbers if n < head.number)


def follow(head: Block, remembered: Remembered, canonical: Mapping[int, Block]) -> HeadSeen:
    """What the head is. `canonical` holds the chain's blocks of `numbers_to_compare`.

    Raises Transient where their hashes fit no chain: one answer out of several forks says nothing,
    and the next one may be whole.
    """
    if remembered.latest == (head.number, head.block_hash):
        return Same()
    if is_next(head, remembered.latest):
        return Extends((head,))
    chain = {n: block for n, block in canonical.items() if n < head.number} | {head.number: head}
    fork = find_fork(remembered.blocks, {n: block.block_hash for n, block in chain.items()})
    start = max(remembered.blocks, default=-1) + 1 if fork is None else fork.first_undone_number
    new = tuple(chain[n] for n in sorted(chain) if n >= start)
    if fork is None:
        return Extends(new)
    if not crosses_finality(fork, final_block_number=remembered.final_number):
        return Forked(fork, new)
    words = behind_final(head_number=head.number, known_final_number=remembered.final_number)
    return (
        Behind(words) if words and head.number < fork.first_undone_number else BelowFinality(fork)
    )
