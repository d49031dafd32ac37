"""The table of actions: every row is carried out, and does and audits what it says."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import sqlalchemy as sa

from settlement_node.desk import operators
from settlement_node.desk.actions import ACTIONS, Action
from settlement_node.domain.breaks import SupplyDiffers
from settlement_node.errors import InvalidInput
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.engine import transactions
from settlement_node.store.rows import FundRow
from settlement_node.store.tables import audit_events
from settlement_node.store.telling.attention import open_break, open_breaks
from tests_support.book import LANE, add_fund, approve, block, hash32, plan, sign

WHY = "asked for by the treasurer"
NAMES = [action.name for action in ACTIONS]


@pytest.fixture
def database_name() -> str:
    """The table does not depend on the database."""
    return "sqlite"


def given_to(store: Store, fund: FundRow, action: Action) -> dict[str, Any]:
    """Arguments that the action is not refused for, with a book in which they mean something."""
    (row,) = approve(store, fund, ["a"])
    if action.name == "release":
        with store.transaction(actor="test") as tx:
            operators.hold(tx, row.redemption_id, reason=WHY)
    if "transaction_hash" in {one.name for one in action.arguments}:
        plan(store, fund, [row], nonce=0)
    with store.transaction(actor="test") as tx:
        chain_book.remember_heads(tx, LANE, [block(900)])
        for unmined in transactions.unmined(tx, fund.chain_id, fund.lane_address):
            sign(tx, unmined)
        open_break(tx, fund, SupplyDiffers(fund.fund_id, 1, 2))
        (opened,) = open_breaks(tx)
    values = {
        "redemption_id": row.redemption_id,
        "chain_id": fund.chain_id,
        "signer_address": fund.lane_address,
        "transaction_hash": hash32("attempt"),
        "break_id": opened["break_id"],
        "break_ids": [opened["break_id"]],
        "fund_id": None if action.name == "resolve_many" else fund.fund_id,
        "kind": None,
        "from_block": 20,
        "price": "1.5",
        "nav_decimals": 6,
        "since": None,
    }
    return {one.name: values[one.name] for one in action.arguments}


@pytest.mark.parametrize("action", ACTIONS, ids=NAMES)
def test_action__carried_out__audits_what_its_row_says_and_answers_what_it_shows(
    store: Store, action: Action
) -> None:
    fund = add_fund(store)
    given = given_to(store, fund, action)
    if action.name == "resume":
        with store.transaction(actor="test") as tx:
            operators.pause(tx, fund.chain_id, fund.lane_address, reason=WHY)
    with store.transaction(actor="a person") as tx:
        answer = action.carry_out(tx, given, reason=WHY)
    with store.read() as tx:
        query = sa.select(audit_events.c.action).where(audit_events.c.actor == "a person")
        written = tx.connection.execute(query).scalars().all()
    assert set(action.audits) == set(written)
    assert all(hasattr(answer, name) for name in action.shows)


@pytest.mark.parametrize("action", ACTIONS, ids=NAMES)
def test_action__useless_reason__is_refused_before_anything_else(
    store: Store, action: Action
) -> None:
    given = dict.fromkeys((one.name for one in action.arguments), "nothing")
    with pytest.raises(InvalidInput, match="reason"), store.transaction(actor="a person") as tx:
        action.carry_out(tx, given, reason=" x ")


@pytest.mark.parametrize("action", ACTIONS, ids=NAMES)
def test_action__its_arguments__are_those_of_its_function(action: Action) -> None:
    taken = list(inspect.signature(getattr(operators, action.name)).parameters)
    assert ["tx", *(one.name for one in action.arguments), "reason"] == taken


@pytest.mark.parametrize("action", ACTIONS, ids=NAMES)
def test_action__in_this_version__is_for_one_person_with_a_route_or_a_command(
    action: Action,
) -> None:
    """Nothing enforces a second person yet: a row that asked for one would promise too much."""
    assert not action.needs_second_person
    assert action.path or action.command


def test_actions__all__have_names_paths_and_commands_of_their_own() -> None:
    for told in ("name", "path", "command"):
        values = [value for action in ACTIONS if (value := getattr(action, told)) is not None]
        assert len(values) == len(set(values)), told
