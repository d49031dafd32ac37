"""Which redemptions go into a batch, and how much gas it may need."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from settlement_node.domain.batching import (
    TRANSACTION_GAS,
    Candidate,
    batch_gas_limit,
    calldata_gas,
    choose,
    fits,
)
from settlement_node.domain.observations import ItemPreview, SkipReason
from settlement_node.domain.waiting import WaitingFor
from settlement_node.units import Hex32, Payout

PLENTY = 10**30


def candidate(number: int, payout: int = 100, reverted: int | None = None) -> Candidate:
    return Candidate(Hex32(f"0x{number:064x}"), Payout(payout), reverted)


def ids(candidates: Sequence[Candidate]) -> list[int]:
    return [int(c.redemption_id_hex, 16) for c in candidates]


def test_choose__enough_of_everything__takes_all_in_order() -> None:
    chosen = choose(
        [candidate(1), candidate(2), candidate(3)],
        items_max=10,
        spendable_base_units=PLENTY,
        limit_available_base_units=PLENTY,
    ).chosen
    assert [1, 2, 3] == ids(chosen)


def test_choose__more_than_a_batch__takes_the_oldest() -> None:
    selection = choose(
        [candidate(n) for n in range(5)],
        items_max=3,
        spendable_base_units=PLENTY,
        limit_available_base_units=PLENTY,
    )
    assert [0, 1, 2] == ids(selection.chosen)
    assert () == selection.waiting


def test_choose__first_too_large_for_the_treasury__those_behind_it_go_on() -> None:
    selection = choose(
        [candidate(1, 1_000), candidate(2, 60), candidate(3, 40)],
        items_max=10,
        spendable_base_units=100,
        limit_available_base_units=PLENTY,
    )
    assert [2, 3] == ids(selection.chosen)
    assert ((candidate(1).redemption_id_hex, WaitingFor.LIQUIDITY),) == selection.waiting


def test_choose__above_the_limit__waits_for_limits() -> None:
    selection = choose(
        [candidate(1, 70), candidate(2, 40)],
        items_max=10,
        spendable_base_units=PLENTY,
        limit_available_base_units=100,
    )
    assert [1] == ids(selection.chosen)
    assert ((candidate(2).redemption_id_hex, WaitingFor.LIMITS),) == selection.waiting


def test_choose__nothing_to_spend__chooses_nothing() -> None:
    selection = choose(
        [candidate(1)], items_max=10, spendable_base_units=-5, limit_available_base_units=PLENTY
    )
    assert () == selection.chosen


def test_choose__out_of_a_reverted_batch__half_of_it_with_its_like_only() -> None:
    pool = [candidate(n, reverted=8) for n in range(8)] + [candidate(99)]
    selection = choose(
        pool, items_max=100, spendable_base_units=PLENTY, limit_available_base_units=PLENTY
    )
    assert [0, 1, 2, 3] == ids(selection.chosen)


def test_choose__out_of_a_reverted_pair__goes_alone() -> None:
    selection = choose(
        [candidate(1, reverted=2), candidate(2, reverted=2)],
        items_max=100,
        spendable_base_units=PLENTY,
        limit_available_base_units=PLENTY,
    )
    assert [1] == ids(selection.chosen)


def test_choose__ordinary_first__keeps_out_those_of_reverted_batches() -> None:
    selection = choose(
        [candidate(1), candidate(2, reverted=4), candidate(3)],
        items_max=100,
        spendable_base_units=PLENTY,
        limit_available_base_units=PLENTY,
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
    selection = choose(
        [candidate(n, payout) for n, payout in enumerate(payouts)],
        items_max=items_max,
        spendable_base_units=spendable,
        limit_available_base_units=available,
    )
    total = sum(c.payout_base_units for c in selection.chosen)
    assert total <= spendable
    assert total <= available
    assert len(selection.chosen) <= items_max
    assert ids(selection.chosen) == sorted(ids(selection.chosen))
    assert not {c.redemption_id_hex for c in selection.chosen} & {i for i, _ in selection.waiting}


def test_calldata_gas__zeros_and_others__by_the_protocol() -> None:
    assert (4 * 2 + 16 * 3, 10 * 2 + 40 * 3) == calldata_gas(b"\x00\x01\x02\x00\x03")


def previews(count: int, gas_used: int = 20_000) -> list[ItemPreview]:
    return [ItemPreview(Hex32(f"0x{n:064x}"), SkipReason.NONE, gas_used, b"") for n in range(count)]


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
