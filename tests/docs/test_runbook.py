"""The runbook has a section for everything the code can raise, and for nothing else."""

from __future__ import annotations

import re

import pytest

from settlement_node.domain.attention import AlertKind
from settlement_node.domain.breaks import BreakKind
from settlement_node.domain.redemption import HoldReason
from tests.docs.pages import ROOT
from tests.docs.program import commands

RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
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


def test_runbook__alerts__are_those_of_the_code() -> None:
    assert list(sections("Alerts")) == [kind.value for kind in AlertKind]


def test_runbook__breaks__are_those_of_the_code() -> None:
    assert list(sections("Breaks")) == [kind.value for kind in BreakKind]


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
