"""The engine's bounds are checked where they are made."""

from __future__ import annotations

from dataclasses import fields

import pytest

from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.observations import BurnStyle, SkipReason
from settlement_node.errors import InvalidInput

NAMES = [item.name for item in fields(EnginePolicy)]
MAY_BE_ZERO = {"cancel_after_blocks", "gas_margin_bps"}


def test_engine_policy__defaults__are_within_their_bounds() -> None:
    assert (EnginePolicy().in_flight_max, EnginePolicy().unfinal_max) == (16, 2_000)


@pytest.mark.parametrize("name", NAMES)
def test_engine_policy__negative__is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"engine.{name}") as refused:
        EnginePolicy(**{name: -1})
    assert refused.value.details == {"field": f"engine.{name}"}


@pytest.mark.parametrize("name", NAMES)
def test_engine_policy__beyond_all_reason__is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"engine.{name}"):
        EnginePolicy(**{name: 1_000_001})


@pytest.mark.parametrize("name", NAMES)
def test_engine_policy__zero__is_only_for_what_can_be_off(name: str) -> None:
    try:
        EnginePolicy(**{name: 0})
    except InvalidInput:
        taken = False
    else:
        taken = True
    assert taken is (name in MAY_BE_ZERO)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("batch_items_max", 500), ("in_flight_max", 64), ("unfinal_max", 10_000),
        ("batch_gas_bps", 10_000), ("fee_percentile", 100), ("gas_margin_bps", 100_000),
    ],
)  # fmt: skip
def test_engine_policy__at_and_past_its_bound__is_taken_and_refused(name: str, most: int) -> None:
    assert most == getattr(EnginePolicy(**{name: most}), name)
    with pytest.raises(InvalidInput):
        EnginePolicy(**{name: most + 1})


def test_burn_style__contract_values__count_in_order() -> None:
    assert list(range(6)) == [style.contract_value for style in BurnStyle]


def test_skip_reason__first__is_none() -> None:
    assert next(iter(SkipReason)) is SkipReason.NONE
