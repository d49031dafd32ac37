"""`python -m benchmarks [--only NAME] [--scale 0.01]`: measure, print one table, write a file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import structlog

from benchmarks.figures import Figure, table

Measure = Callable[[float], list[Figure]]
BENCHMARKS = {
    "gas": "gas of a redemption in batches, against a plain burn and transfer and the EVM's floor",
    "chain": "orders settled a second on anvil, against a plain pipelined script",
    "node": "CPU of a redemption through all stages",
    "latency": "approval to bytes sent, and commit to the subscriber of the event stream",
    "growth": "a pass, the status and the lists, with a little and with much history",
    "memory": "the daemon through a long backlog",
    "recovery": "from a start after SIGKILL to the first useful send",
}
"""By name, what each measures; `benchmarks.<name>` has its `measure`."""
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FIGURES_MARK, FIGURES_END = "<!-- figures -->", "<!-- end figures -->"


def main(
    arguments: Sequence[str] | None = None, *, measures: Mapping[str, Measure] | None = None
) -> int:
    """Measure and print; 0 when every target is met, 1 when one is missed, 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=list(BENCHMARKS))
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes; 0.01 is a look")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--page", action="store_true", help="also write them into the page")
    asked = parser.parse_args(arguments)
    if not 0 < asked.scale <= 1:
        parser.error("--scale is above 0 and at most 1")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    figures: list[tuple[str, Figure]] = []
    for name in asked.only or BENCHMARKS:
        _say(f"{name}: {BENCHMARKS[name]} ...")
        began = time.monotonic()
        measure = measures[name] if measures else import_module(f"benchmarks.{name}").measure
        figures += [(name, figure) for figure in measure(asked.scale)]
        _say(f"{name}: {time.monotonic() - began:.0f} s")
    _write(asked.out, figures, scale=asked.scale)
    print(table(figures))
    if asked.page:
        PAGE.write_text(with_figures(PAGE.read_text(), table(figures), scale=asked.scale))
    missed = [f"{name}: {figure.what}" for name, figure in figures if figure.met is False]
    if missed:
        print(f"missed: {'; '.join(missed)}")
    return 1 if missed else 0


def with_figures(page: str, figures: str, *, scale: float) -> str:
    """docs/benchmarks.md with these as the last figures."""
    head, _, rest = page.partition(FIGURES_MARK)
    _, mark, tail = rest.partition(FIGURES_END)
    assert mark, f"{PAGE} has no {FIGURES_MARK} ... {FIGURES_END}"
    told = f"{datetime.now(UTC).date()}, {machine()}, scale {scale:g}:"
    return f"{head}{FIGURES_MARK}\n{told}\n\n```text\n{figures}\n```\n{mark}{tail}"


def machine() -> str:
    """What it was measured on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _write(path: Path, figures: Sequence[tuple[str, Figure]], *, scale: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {
        "machine": machine(),
        "scale": scale,
        "figures": [figure.as_json(name) for name, figure in figures],
    }
    path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def _say(words: str) -> None:
    """Progress is for people, and out of the way of the table."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
