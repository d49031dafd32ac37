"""Figures, their targets, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.figures import Figure, percentile, table
from benchmarks.floor import Shape, per_redemption

FAST = Figure("a pass", 3.0, "ms", 4.0)
SLOW = Figure("a start", 9.0, "s", 5.0)
MUCH = Figure("gas of a block", 80.0, "%", 70.0, at_least=True)


@pytest.mark.parametrize(
    ("figure", "met"), [(FAST, True), (SLOW, False), (MUCH, True), (Figure("x", 1, ""), None)]
)
def test_figure__measured_against_its_target__is_met_or_not(
    figure: Figure, met: bool | None
) -> None:
    assert figure.met is met


def test_table__figures__a_line_each_with_target_and_verdict() -> None:
    head, first, second = table([("node", FAST), ("recovery", SLOW)]).splitlines()
    assert head.split() == ["benchmark", "measured", "target", "met"]
    assert first.split() == ["node", "a", "pass", "3", "ms", "≤", "4", "ms", "yes"]
    assert second.split()[-1] == "NO"


def test_percentile__of_a_hundred__is_the_value_that_many_are_not_above() -> None:
    values = range(1, 101)
    assert [percentile(values, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]


@pytest.mark.parametrize(("figures", "status"), [([FAST, MUCH], 0), ([FAST, SLOW], 1)])
def test_command__target_met_or_missed__says_which_and_writes_all(
    figures: list[Figure], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "build" / "bench.json"
    arguments = ["--only", "node", "--out", str(out)]
    assert main(arguments, measures={"node": lambda scale: figures}) == status
    assert ("missed: node: a start" in capsys.readouterr().out) is (status == 1)
    written = json.loads(out.read_text())["figures"]
    assert [entry["what"] for entry in written] == [figure.what for figure in figures]


@pytest.mark.parametrize("scale", ["0", "1.5"])
def test_command__scale_that_is_none__is_refused(scale: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--scale", scale])
    assert ended.value.code == 2


def test_benchmarks__each__has_a_module_that_measures() -> None:
    folder = Path(__file__).parents[2] / "benchmarks"
    for name in BENCHMARKS:
        assert "def measure(scale: float" in (folder / f"{name}.py").read_text()


def test_floor__more_in_a_batch__is_less_for_each_and_never_below_what_each_pays() -> None:
    def floor(batch: int) -> float:
        return per_redemption(
            Shape(batch, bytes(96) + b"\x01" * 96, shares_left=True, payee_holds=True)
        )

    assert floor(1) > floor(10) > floor(100) > floor(500) > 20_000
