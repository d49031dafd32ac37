"""When a block counts, and what a reorganisation undoes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.engine.finality import (
    FinalityMode,
    FinalityPolicy,
    Fork,
    confirmations_of,
    crosses_finality,
    final_number,
    find_fork,
)
from settlement_node.errors import InvalidInput, Transient
from settlement_node.units import Hex32
from tests_support.book import block

CONFIRMATIONS, SAFE, FINALIZED = (
    FinalityMode.CONFIRMATIONS,
    FinalityMode.SAFE,
    FinalityMode.FINALIZED,
)


def chain(first: int, last: int, fork: str = "main") -> dict[int, Hex32]:
    return {n: block(n, fork=fork).block_hash for n in range(first, last + 1)}


@pytest.mark.parametrize(
    ("mode", "depth", "head", "safe", "finalized", "expected"),
    [
        (CONFIRMATIONS, 0, 100, None, None, 100),
        (CONFIRMATIONS, 12, 100, None, None, 88),
        (CONFIRMATIONS, 12, 100, 95, 60, 88),
        (CONFIRMATIONS, 12, 12, None, None, 0),
        (CONFIRMATIONS, 12, 11, None, None, -1),
        (CONFIRMATIONS, 12, 0, None, None, -1),
        (SAFE, 0, 100, 95, 60, 95),
        (SAFE, 12, 100, 95, 60, 88),
        (SAFE, 12, 100, None, 60, -1),
        (SAFE, 12, 5, 5, 5, -1),
        (FINALIZED, 0, 100, 95, 60, 60),
        (FINALIZED, 50, 100, 95, 60, 50),
        (FINALIZED, 0, 100, 95, None, -1),
        (FINALIZED, 0, 100, 95, 0, 0),
    ],
)
def test_final_number__by_mode_depth_and_tags__is_the_lower_of_both(
    mode: FinalityMode,
    depth: int,
    head: int,
    safe: int | None,
    finalized: int | None,
    expected: int,
) -> None:
    policy = FinalityPolicy(mode=mode, confirmations_blocks=depth)
    assert expected == final_number(
        policy, head_number=head, safe_number=safe, finalized_number=finalized
    )


@given(
    st.sampled_from(FinalityMode),
    st.integers(0, 10_000),
    st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
)
def test_final_number__any_chain__is_never_above_head_depth_or_tag(
    mode: FinalityMode, depth: int, head: int, safe: int | None, finalized: int | None
) -> None:
    policy = FinalityPolicy(mode=mode, confirmations_blocks=depth)
    final = final_number(policy, head_number=head, safe_number=safe, finalized_number=finalized)
    assert -1 <= final <= max(head - depth, -1)
    tag = {SAFE: safe, FINALIZED: finalized}.get(mode, head)
    assert final <= (-1 if tag is None else tag)


@pytest.mark.parametrize("depth", [-1, 10_001])
def test_finality_policy__depth_out_of_bounds__is_refused(depth: int) -> None:
    with pytest.raises(InvalidInput, match="confirmations_blocks"):
        FinalityPolicy(mode=CONFIRMATIONS, confirmations_blocks=depth)


@pytest.mark.parametrize(("number", "expected"), [(90, 10), (100, 0), (101, 0)])
def test_confirmations_of__block__counts_those_on_top(number: int, expected: int) -> None:
    assert expected == confirmations_of(number, head_number=100)


@pytest.mark.parametrize("remembered", [{}, chain(5, 5), chain(1, 20)], ids=["none", "one", "many"])
def test_find_fork__all_agree__is_none(remembered: dict[int, Hex32]) -> None:
    assert find_fork(remembered, chain(0, 30)) is None


def test_find_fork__last_blocks_replaced__starts_at_the_first_of_them() -> None:
    canonical = chain(1, 7) | chain(8, 12, "other")
    assert Fork(first_undone_number=8, depth_blocks=3) == find_fork(chain(1, 10), canonical)


def test_find_fork__chain_is_shorter_now__undoes_what_is_above_its_head() -> None:
    assert Fork(first_undone_number=9, depth_blocks=2) == find_fork(chain(1, 10), chain(1, 8))


def test_find_fork__shorter_and_different__starts_at_the_difference() -> None:
    canonical = chain(1, 7) | chain(8, 8, "other")
    assert Fork(first_undone_number=8, depth_blocks=3) == find_fork(chain(1, 10), canonical)


def test_find_fork__everything_remembered_replaced__undoes_all() -> None:
    assert Fork(first_undone_number=5, depth_blocks=6) == find_fork(
        chain(5, 10), chain(1, 12, "other")
    )


def test_find_fork__remembered_with_gaps__starts_at_the_lowest_difference() -> None:
    remembered = {n: h for n, h in chain(1, 10).items() if n not in (7, 8)}
    canonical = chain(1, 6) | chain(7, 12, "other")
    assert Fork(first_undone_number=9, depth_blocks=2) == find_fork(remembered, canonical)


@pytest.mark.parametrize("missing", [False, True], ids=["another hash", "no answer"])
def test_find_fork__lower_block_differs_under_an_agreeing_one__asked_again(missing: bool) -> None:
    """No chain of hashes can do this: the endpoints answered from different forks."""
    canonical = chain(1, 10)
    if missing:
        del canonical[6]
    else:
        canonical[6] = block(6, fork="other").block_hash
    with pytest.raises(Transient, match="different forks") as broken:
        find_fork(chain(1, 10), canonical)
    assert broken.value.details == {"block_number": 6}


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_find_fork__any_fork_point__is_found(length: int, shared: int, new_length: int) -> None:
    canonical = chain(1, shared) | chain(shared + 1, shared + new_length, "other")
    fork = find_fork(chain(1, length), canonical)
    expected = None if shared >= length else Fork(shared + 1, length - shared)
    assert expected == fork


@pytest.mark.parametrize(("final", "expected"), [(7, False), (8, True), (9, True), (-1, False)])
def test_crosses_finality__fork_at_8__does_if_8_was_final(final: int, expected: bool) -> None:
    fork = Fork(first_undone_number=8, depth_blocks=3)
    assert expected is crosses_finality(fork, final_block_number=final)
