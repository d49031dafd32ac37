"""Whether what a page shows as output is in the real output."""

from __future__ import annotations

import json
from typing import Any

from tests.docs.pages import Block, blocks_of


def shown_outputs(page: str, name: str) -> list[tuple[int, Block]]:
    """The output blocks behind the run blocks of one name: (number of the run block, block)."""
    found: list[tuple[int, Block]] = []
    count, inside = 0, False
    for block in blocks_of(page):
        if block.kind == "run":
            inside = block.name == name
            count += inside
        elif block.kind == "output" and inside:
            found.append((count - 1, block))
    return found


def missing_lines(shown: Block, real: str) -> list[str]:
    """Shown lines that no real line holds; blanks count as one."""
    lines = [" ".join(line.split()) for line in real.splitlines()]
    wanted = [" ".join(line.split()) for line in shown.text.splitlines()]
    return [want for want in wanted if not any(want in line for line in lines)]


def holds(shown: Any, real: Any) -> bool:
    """Whether every key and value that is shown is in the real answer, which may hold more."""
    if isinstance(shown, dict):
        return isinstance(real, dict) and all(
            key in real and holds(value, real[key]) for key, value in shown.items()
        )
    if isinstance(shown, list) and shown:
        return isinstance(real, list) and all(any(holds(s, r) for r in real) for s in shown)
    return bool(shown == real)


def check_outputs(page: str, name: str, real: list[str]) -> None:
    """Fail for the first shown output that the real one does not hold."""
    shown = shown_outputs(page, name)
    assert shown, f"{page} shows no output of {name}"
    for place, block in shown:
        if block.language == "json":
            assert holds(json.loads(block.text), json.loads(real[place])), (block.name, real[place])
        else:
            assert missing_lines(block, real[place]) == [], block.name
