"""The API guide's examples fit the API, and its codes are the API's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from settlement_node.api import problems
from settlement_node.api.hub import StreamEvent
from settlement_node.api.routes.operators import RescanIn, ResolveIn, WhyIn
from settlement_node.api.routes.reconciliation import ReconcileIn
from settlement_node.api.routes.redemptions import RedemptionsIn
from settlement_node.api.routes.settlements import EstimateIn
from settlement_node.domain.waiting import WaitingFor
from settlement_node.errors import SettlementError
from settlement_node.reads.story import RedemptionDetailOut
from tests.docs.pages import ROOT, blocks_of

PAGE = "docs/guides/api.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
BODIES: dict[str, type[BaseModel]] = {
    "redemptions-in": RedemptionsIn,
    "cancel-in": WhyIn,
    "estimate-in": EstimateIn,
    "reconcile-in": ReconcileIn,
    "why-in": WhyIn,
    "rescan-in": RescanIn,
    "resolve-in": ResolveIn,
    "problem": problems.Problem,
}


def example(name: str) -> Any:
    (block,) = [b for b in blocks_of(PAGE) if b.name == name]
    return json.loads(block.text)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_example__of_a_body__fits_its_schema(name: str) -> None:
    body = example(name)
    assert set(body) <= set(BODIES[name].model_fields)
    BODIES[name].model_validate(body)


def test_example__of_an_event__has_the_fields_of_an_event() -> None:
    assert set(example("event")) == set(StreamEvent.model_fields)


def test_example__of_a_problem__is_worded_as_the_code_words_it() -> None:
    problem = example("problem")
    assert problem["type"] == problems.TYPE_PREFIX + problem["code"]
    assert problem["title"] == problems.TITLES[problem["code"]]


def test_codes__listed__are_those_of_the_code_with_their_status() -> None:
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", TEXT, re.MULTILINE))
    assert {code: int(status) for code, status in listed.items()} == {
        code: status_of(code) for code in problems.TITLES
    }


def status_of(code: str) -> int:
    """The status of a code, by the first error family that has it."""

    def families(parent: type[SettlementError]) -> list[type[SettlementError]]:
        return [parent, *(f for child in parent.__subclasses__() for f in families(child))]

    for family in families(SettlementError):
        if family.code == code:
            return next((s for f, s in problems.STATUS_BY_FAMILY if issubclass(family, f)), 500)
    return 500


def test_story__fields__are_those_beyond_the_redemption() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \| (?:what|everything|each|its)", TEXT, re.MULTILINE)
    assert listed == list(RedemptionDetailOut.__annotations__)


def test_story__words_of_waiting__exist() -> None:
    (line,) = [row for row in TEXT.splitlines() if row.startswith("| `waiting_for`")]
    words = set(re.findall(r"`([a-z_]+)`", line)) - {"waiting_for"}
    assert words <= {word.value for word in WaitingFor}
