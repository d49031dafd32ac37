"""Each benchmark in a size that only shows that it still measures."""

from __future__ import annotations

from importlib import import_module

import pytest

from benchmarks import gas
from benchmarks.__main__ import BENCHMARKS

SCALE = 0.0002
ON_ONE_DATABASE = [name for name in BENCHMARKS if name != "gas"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_ONE_DATABASE)
def test_benchmark__in_small__measures_every_figure(name: str) -> None:
    figures = import_module(f"benchmarks.{name}").measure(SCALE, ["sqlite"])
    assert [figure.what for figure in figures if not figure.measured > 0] == []


@pytest.mark.slow
def test_gas__in_small__is_above_the_floor_and_below_the_plain_way() -> None:
    plain, *batches = gas.measure(0.02)
    assert all(plain.measured > figure.measured for figure in batches if "of 10" in figure.what)
