"""What the newest agreed head is beside the heads a book remembers."""

from __future__ import annotations

import pytest

from settlement_node.domain.engine.finality import Fork
from settlement_node.domain.engine.following import (
    Behind,
    BelowFinality,
    Extends,
    Forked,
    HeadSeen,
    Remembered,
    Same,
    follow,
    numbers_to_compare,
)
from settlement_node.domain.observations import Block
from settlement_node.errors import Transient
from tests_support.book import block

PAGE_BLOCKS = 100


def remembered(first: int, last: int, *, final: int) -> Remembered:
    """A book of blocks `first` to `last`, both included."""
    return Remembered(
        latest=(last, block(last).block_hash),
        final_number=final,
        blocks={n: block(n).block_hash for n in range(first, last + 1)},
    )


def seen(head: Block, book: Remembered, *, forked_from: int = 1_000) -> HeadSeen:
    """Follow a head whose chain is another from a block on."""
    numbers = numbers_to_compare(head, book, page_blocks=PAGE_BLOCKS)
    return follow(
        head, book, {n: block(n, fork="other" if n >= forked_from else "main") for n in numbers}
    )


def test_follow__latest_again__same_and_nothing_is_asked() -> None:
    book = remembered(8, 10, final=9)
    assert [] == numbers_to_compare(block(10), book, page_blocks=PAGE_BLOCKS)
    assert Same() == seen(block(10), book)


def test_follow__child_of_the_latest__extends_and_nothing_is_asked() -> None:
    book = remembered(8, 10, final=9)
    assert [] == numbers_to_compare(block(11), book, page_blocks=PAGE_BLOCKS)
    assert Extends((block(11),)) == seen(block(11), book)


def test_follow__first_head_of_all__remembers_a_page() -> None:
    expected = tuple(block(n) for n in range(401, 501))
    assert Extends(expected) == seen(block(500), Remembered(None, -1, {}))


def test_follow__after_a_sleep__the_blocks_between_are_new() -> None:
    assert Extends((block(11), block(12), block(13))) == seen(block(13), remembered(8, 10, final=9))


@pytest.mark.parametrize("number", [9, 10, 11])
def test_follow__another_hash_above_finality__forked_from_there(number: int) -> None:
    expected = Forked(
        Fork(first_undone_number=9, depth_blocks=2),
        tuple(block(n, fork="other") for n in range(9, number + 1)),
    )
    assert expected == seen(block(number, fork="other"), remembered(7, 10, final=8), forked_from=9)


def test_follow__head_below_the_latest_with_the_same_hash__forked_above_it() -> None:
    expected = Forked(Fork(first_undone_number=10, depth_blocks=1), ())
    assert expected == seen(block(9), remembered(7, 10, final=8))


def test_follow__head_below_finality_as_remembered__behind() -> None:
    assert isinstance(seen(block(6), remembered(6, 10, final=8)), Behind)


@pytest.mark.parametrize("number", [6, 8, 11])
def test_follow__another_hash_at_or_below_finality__below_finality(number: int) -> None:
    found = seen(block(number, fork="other"), remembered(6, 10, final=8), forked_from=6)
    assert BelowFinality(Fork(first_undone_number=6, depth_blocks=5)) == found


def test_follow__answers_of_several_forks__asked_again() -> None:
    book = remembered(7, 10, final=6)
    canonical = {n: block(n) for n in (7, 9, 10)} | {8: block(8, fork="other")}
    with pytest.raises(Transient, match="different forks"):
        follow(block(13), book, canonical)
