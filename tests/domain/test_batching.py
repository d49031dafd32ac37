"""Which redemptions go into a batch, and how much gas it may need."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.batching import (
    TRANSACTION_GAS,
    Choice,
    Money,
    Outlook,
    batch_gas_limit,
    calldata_gas,
    choose,
    fits,
)
from settlement_node.domain.observations import SkipReason
from settlement_node.domain.waiting import WaitingFor
from settlement_node.units import Hex32, Payout

PLENTY = 10**30


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due redemption, as far as choosing looks at it."""

    redemption_id_hex: Hex32
    payout_base_units: Payout
    reverted_batch_size: int | None


def candidate(number: int, payout: int = 100, reverted: int | None = None) -> Candidate:
    return Candidate(Hex32(f"0x{number:064x}"), Payout(payout), reverted)


def ids(candidates: Sequence[Candidate]) -> list[int]:
    return [int(c.redemption_id_hex, 16) for c in candidates]


def pick(
    pool: Sequence[Candidate],
    *,
    items_max: int = 100,
    spendable: int = PLENTY,
    available: int = PLENTY,
    limit: int = PLENTY,
) -> Choice[Candidate]:
    """Choose from these, with plenty of what is not said."""
    return choose(pool, items_max=items_max, money=Money(spendable, available, limit))


def test_choose__enough_of_everything__takes_all_in_order() -> None:
    chosen = pick(
        [candidate(1), candidate(2), candidate(3)],
        items_max=10,
    ).chosen
    assert [1, 2, 3] == ids(chosen)


def test_choose__more_than_a_batch__takes_the_oldest() -> None:
    selection = pick(
        [candidate(n) for n in range(5)],
        items_max=3,
    )
    assert [0, 1, 2] == ids(selection.chosen)
    assert () == selection.waiting


def test_choose__first_too_large_for_the_treasury__those_behind_it_go_on() -> None:
    selection = pick(
        [candidate(1, 1_000), candidate(2, 60), candidate(3, 40)],
        items_max=10,
        spendable=100,
    )
    assert [2, 3] == ids(selection.chosen)
    assert ((candidate(1).redemption_id_hex, WaitingFor.LIQUIDITY),) == selection.waiting


def test_choose__above_the_limit__waits_for_limits() -> None:
    selection = pick(
        [candidate(1, 70), candidate(2, 40)],
        items_max=10,
        available=100,
    )
    assert [1] == ids(selection.chosen)
    assert ((candidate(2).redemption_id_hex, WaitingFor.LIMITS),) == selection.waiting


def test_choose__nothing_to_spend__chooses_nothing() -> None:
    selection = pick(
        [candidate(1)],
        items_max=10,
        spendable=-5,
    )
    assert () == selection.chosen


def test_choose__out_of_a_reverted_batch__half_of_it_with_its_like_only() -> None:
    pool = [candidate(n, reverted=8) for n in range(8)] + [candidate(99)]
    selection = pick(
        pool,
        items_max=100,
    )
    assert [0, 1, 2, 3] == ids(selection.chosen)


def test_choose__out_of_a_reverted_pair__goes_alone() -> None:
    selection = pick(
        [candidate(1, reverted=2), candidate(2, reverted=2)],
        items_max=100,
    )
    assert [1] == ids(selection.chosen)


def test_choose__ordinary_first__keeps_out_those_of_reverted_batches() -> None:
    selection = pick(
        [candidate(1), candidate(2, reverted=4), candidate(3)],
        items_max=100,
    )
    assert [1, 3] == ids(selection.chosen)


@given(
    payouts=st.lists(st.integers(1, 10**12), max_size=30),
    spendable=st.integers(0, 10**13),
    available=st.integers(0, 10**13),
    items_max=st.integers(1, 20),
)
def test_choose__any_pool__never_passes_a_bound(
    payouts: list[int], spendable: int, available: int, items_max: int
) -> None:
    selection = pick(
        [candidate(n, payout) for n, payout in enumerate(payouts)],
        items_max=items_max,
        spendable=spendable,
        available=available,
    )
    total = sum(c.payout_base_units for c in selection.chosen)
    assert total <= spendable
    assert total <= available
    assert len(selection.chosen) <= items_max
    assert ids(selection.chosen) == sorted(ids(selection.chosen))
    assert not {c.redemption_id_hex for c in selection.chosen} & {i for i, _ in selection.waiting}


def test_choose__oldest_waits_for_the_days_limit__room_is_kept_for_it() -> None:
    choice = pick([candidate(1, 80), candidate(2, 40), candidate(3, 5)], available=50, limit=100)
    assert [] == ids(choice.chosen)
    assert {WaitingFor.LIMITS} == {waiting_for for _, waiting_for in choice.waiting}


def test_choose__oldest_is_beyond_a_whole_days_limit__holds_nobody_up() -> None:
    choice = pick([candidate(1, 101), candidate(2, 40)], available=50, limit=100)
    assert [2] == ids(choice.chosen)


def test_choose__oldest_waits_for_the_treasury_too__holds_nobody_up() -> None:
    choice = pick([candidate(1, 80), candidate(2, 40)], spendable=60, available=50, limit=100)
    assert [2] == ids(choice.chosen)


def test_choose__oldest_of_one_kind_waits_for_the_limit__the_other_kind_leaves_it_room() -> None:
    choice = pick([candidate(1, 80), candidate(2, 40, reverted=2)], available=50, limit=100)
    assert [] == ids(choice.chosen)


@given(
    payouts=st.lists(st.integers(1, 120), min_size=1, max_size=20),
    available=st.integers(0, 100),
    spendable=st.integers(0, 200),
)
def test_choose__any_pool__nothing_overtakes_the_first_that_only_the_limit_keeps_back(
    payouts: list[int], available: int, spendable: int
) -> None:
    pool = [candidate(n, payout) for n, payout in enumerate(payouts)]
    chosen = set(ids(pick(pool, available=available, spendable=spendable, limit=100).chosen))
    used = 0
    for number, payout in enumerate(payouts):
        if number in chosen:
            used += payout
        elif payout <= 100 and payout <= spendable - used:
            assert {n for n in chosen if n > number} == set()
            break


WINDOW_HOURS = 25
"""What the settler's ring of hourly buckets covers."""


@pytest.mark.parametrize("seed", range(3))
def test_choose__a_year_of_small_orders__the_oldest_goes_within_a_window(seed: int) -> None:
    """Small orders take a fifth more than the limit lets go, every hour anew, and now and then
    comes one of nearly a whole day."""
    chance, limit = random.Random(seed), 2_400
    queue: list[tuple[int, Candidate]] = []
    paid: deque[int] = deque([0] * WINDOW_HOURS, maxlen=WINDOW_HOURS)
    oldest, longest, larges = (-1, 0), 0, 0
    for hour in range(365 * 24):
        sizes = [chance.randint(10, 90) for _ in range(2)]
        if hour % (24 * 30) == 0:
            sizes.append(chance.randint(limit * 9 // 10, limit))
        queue += [(hour, candidate(hour * 10 + n, size)) for n, size in enumerate(sizes)]
        paid.append(0)
        ahead = [order for _, order in queue[:200]]
        chosen = pick(ahead, available=limit - sum(paid), limit=limit).chosen
        paid[-1] = sum(order.payout_base_units for order in chosen)
        assert sum(paid) <= limit
        larges += sum(order.payout_base_units > limit // 2 for order in chosen)
        gone = {order.redemption_id_hex for order in chosen}
        queue = [(at, order) for at, order in queue if order.redemption_id_hex not in gone]
        first = ids([queue[0][1]])[0] if queue else -1
        oldest = oldest if oldest[0] == first else (first, hour)
        longest = max(longest, hour - oldest[1] if queue else 0)
    assert longest <= WINDOW_HOURS
    assert larges >= 6


def test_calldata_gas__zeros_and_others__by_the_protocol() -> None:
    assert (4 * 2 + 16 * 3, 10 * 2 + 40 * 3) == calldata_gas(b"\x00\x01\x02\x00\x03")


def previews(count: int, gas_used: int = 20_000) -> list[Outlook]:
    return [Outlook(Hex32(f"0x{n:064x}"), SkipReason.NONE, gas_used, "") for n in range(count)]


def test_batch_gas_limit__covers_what_the_items_used_and_one_whole_item() -> None:
    data = b"\x01" * 200
    limit = batch_gas_limit(previews(3), data=data, item_gas_limit=400_000, margin_bps=2_000)
    assert limit >= TRANSACTION_GAS + 16 * 200 + 3 * 20_000 + 400_000 * 64 // 63


def test_batch_gas_limit__much_data_and_little_work__is_at_least_the_floor() -> None:
    data = b"\x01" * 100_000
    limit = batch_gas_limit(previews(1, 1_000), data=data, item_gas_limit=0, margin_bps=0)
    assert limit >= TRANSACTION_GAS + 40 * 100_000


def test_fits__small_bound__is_at_least_one() -> None:
    assert 1 == fits(previews(5), gas_max=1, item_gas_limit=400_000)


def test_fits__large_bound__is_all() -> None:
    assert 5 == fits(previews(5), gas_max=10**9, item_gas_limit=400_000)


def test_fits__in_between__leaves_a_batch_that_fits() -> None:
    count = fits(previews(100), gas_max=2_000_000, item_gas_limit=400_000)
    assert 1 < count < 100
    limit = batch_gas_limit(
        previews(count), data=b"\x01" * 190 * count, item_gas_limit=400_000, margin_bps=2_000
    )
    assert limit <= 2_000_000
