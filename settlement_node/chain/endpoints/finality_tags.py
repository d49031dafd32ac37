"""Which block the endpoints call safe or finalized: by hash, since one wrong number is enough to
call a payment final that a reorganisation can still undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from settlement_node.domain.observations import Block


def numbers_to_check(tags: Sequence[Block], head: Block) -> set[int]:
    """The heights whose agreed block must be known before these tags can be judged."""
    return {tag.number for tag in tags if tag.number < head.number}


def tagged_number(
    tags: Collection[Block], *, head: Block, canonical: Mapping[int, Block], agreement: int
) -> int | None:
    """The highest block that enough endpoints have reached under the tag; None when there is none.

    It must be named, by hash, as a block of the agreed chain by one endpoint at least. An endpoint
    that is ahead of the agreed head names a block nobody can check yet: it stands behind lower
    ones, and names none itself.
    """
    hashes = {number: block.block_hash for number, block in canonical.items()}
    hashes[head.number] = head.block_hash
    named = {tag.number for tag in tags if hashes.get(tag.number) == tag.block_hash}
    ahead = sum(tag.number > head.number for tag in tags)
    reached = [
        number
        for number in named
        if ahead + sum(number <= tag.number for tag in tags if tag.number in named) >= agreement
    ]
    return max(reached, default=None)
