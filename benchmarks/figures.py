"""A measured figure beside what it is to reach, and the table of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `target` is a bound from above, or from below where `at_least`; None where the
    figure only explains another one."""

    what: str
    measured: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    @property
    def target_text(self) -> str:
        """The target as the table has it."""
        if self.target is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {_number(self.target)} {self.unit}".rstrip()

    def as_json(self, benchmark: str) -> dict[str, object]:
        """One entry of build/bench.json."""
        return {
            "benchmark": benchmark,
            "what": self.what,
            "measured": self.measured,
            "unit": self.unit,
            "target": self.target,
            "at_least": self.at_least,
            "met": self.met,
        }


def table(figures: Sequence[tuple[str, Figure]]) -> str:
    """A line for each figure: benchmark, what, measured, target, met."""
    rows = [
        (
            name,
            figure.what,
            f"{_number(figure.measured)} {figure.unit}".rstrip(),
            figure.target_text,
            {True: "yes", False: "NO", None: ""}[figure.met],
        )
        for name, figure in figures
    ]
    head = ("benchmark", "measured", "", "target", "met")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )


def percentile(values: Iterable[float], percent: int) -> float:
    """The least value that so many per cent of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _number(value: float) -> str:
    """With as many decimals as matter."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.2f}"
