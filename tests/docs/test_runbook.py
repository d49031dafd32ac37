"""The runbook has a section for everything the code can raise, and for nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement_node.domain.redemption import HoldReason
from settlement_node.node.stages.watch import ALERT_KINDS
from tests.docs.pages import ROOT
from tests.docs.program import commands

RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "settlement_node"
NO_ACTIONS = {
    *(("fund", "add"), ("fund", "list"), ("fund", "export")),
    *(("fund", "settler"), ("fund", "settler", "list")),
}
PARTS = ("**Means.**", "**Look.**", "**Do.**", "**Clears**")


def chapter(title: str) -> str:
    """The text of a second-level heading."""
    return RUNBOOK.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def sections(title: str) -> dict[str, str]:
    """The third-level sections of a chapter, by heading."""
    parts = chapter(title).split("\n### ")[1:]
    return {part.split("\n", 1)[0]: part for part in parts}


def words_of(node: ast.expr) -> Iterator[str]:
    """The texts an expression may give: a constant, or an f-string over payout and burn."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        tail = "".join(str(v.value) for v in node.values if isinstance(v, ast.Constant))
        for name in ("payout", "burn"):
            yield f"{name}{tail}"
    elif isinstance(node, ast.Call):
        # str(..., "a default"): the default counts.
        for argument in [*node.args[1:], *(a for a in node.args if isinstance(a, ast.Call))]:
            yield from words_of(argument)


def kinds_in(path: Path, callables: set[str]) -> set[str]:
    """First positional or `kind=` argument of every call of one of the callables in a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in callables:
            given = [k.value for k in node.keywords if k.arg == "kind"]
            for value in given or node.args[:1]:
                found |= set(words_of(value))
    return found


def break_kinds() -> set[str]:
    """Every break kind the code can open."""
    calls = {"NewBreak", "Difference", "LaneStop"}
    return set().union(*(kinds_in(path, calls) for path in PACKAGE.rglob("*.py")))


def test_runbook__alerts__are_those_of_the_code() -> None:
    assert list(sections("Alerts")) == list(ALERT_KINDS)


def test_code__alerts_it_raises__are_in_its_list() -> None:
    raised = set().union(
        *(kinds_in(path, {"raise_alert", "Finding"}) for path in PACKAGE.rglob("*.py"))
    )
    assert raised <= set(ALERT_KINDS)


def test_runbook__breaks__are_those_of_the_code() -> None:
    assert set(sections("Breaks")) == break_kinds()


def test_break_kinds__known_ones__are_found() -> None:
    """The search sees a plain kind, an f-string, a default and a detail of an error."""
    assert {
        "double_paid",
        "burn_transfers_differ",
        "invariant_broken",
        "stranger_at_nonce",
    } <= break_kinds()


@pytest.mark.parametrize("title", ["Alerts", "Breaks"])
def test_runbook__every_section__says_meaning_look_action_and_end(title: str) -> None:
    incomplete = {
        name: [part for part in PARTS if part not in text]
        for name, text in sections(title).items()
        if any(part not in text for part in PARTS)
    }
    assert incomplete == {}


def test_runbook__hold_reasons__are_those_of_the_code() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", chapter("Held redemptions"), re.MULTILINE)
    assert listed == [reason.value for reason in HoldReason]


def test_runbook__operator_actions__are_those_of_the_command_line() -> None:
    listed = re.findall(
        r"^\| `settlement-node ([a-z -]+?) [A-Z]", chapter("Operator actions"), re.M
    )
    groups = {"redemption", "lane", "transaction", "break"}
    known = {
        " ".join(path)
        for path in commands()
        if len(path) >= 2 and (path[0] in groups or (path[0] == "fund" and path not in NO_ACTIONS))
    }
    assert set(listed) == known
