"""Each kind of change on a small program: what it makes of it, and when it does not fit."""

from __future__ import annotations

import ast

import pytest

from tests.defences.changes import (
    Adds,
    Always,
    Before,
    Change,
    Drops,
    Gives,
    Never,
    Passes,
    Returns,
    Skips,
    Swaps,
    Text,
)
from tests.defences.places import Misfit

SOURCE = """
from bank import pay, ready, tell
LIMIT = 3
STATES = frozenset({"open", "held"})

class Desk:
    def settle(self, orders, book):
        done = []
        for order in orders:
            if not ready(order) or (order.paused and len(done) < LIMIT):
                tell(order, loud=True)
                raise RuntimeError(order)
            book.lock(order)
            done += [pay(order, nonce=book.nonce + 1)]
        if done and book.closed:
            return [], None
        return [item for item in done if item.final and item.ours], book
"""
"""What every change here is made in."""

OTHERWISE_WRITTEN = """
from bank import (
    pay,
    ready,
    tell,
)
LIMIT = 3
STATES = frozenset({"open",
                    "held"})

class Desk:
    def settle(self, those, ledger):
        # Renamed, moved and formatted otherwise.
        paid = []
        for one in those:
            if (
                not ready(one)
                or (one.paused and len(paid) < LIMIT)
            ):
                tell(one, loud=True); raise RuntimeError(one)
            ledger.lock(one)
            paid += [pay(one, nonce=ledger.nonce + 1)]
        if paid and ledger.closed:
            return ([], None)
        return [item for item in paid if item.final and item.ours], ledger
"""
SETTLE = "Desk.settle"
CHANGES = (
    (Returns("[]"), SETTLE, "return []"),
    (Skips("lock"), SETTLE, None),
    (Skips("RuntimeError"), SETTLE, None),
    (Never("ready"), SETTLE, "if False or (order.paused and len(done) < LIMIT):"),
    (Always("paused"), SETTLE, "if not ready(order) or (True and len(done) < LIMIT):"),
    (Never("paused", "LIMIT"), SETTLE, "if not ready(order) or False:"),
    (Always("ours"), SETTLE, "return ([item for item in done if item.final and True], book)"),
    (Drops("loud"), SETTLE, "tell(order)"),
    (Drops("final"), SETTLE, "return ([item for item in done if item.ours], book)"),
    (Adds("'paid'"), "STATES", "STATES = frozenset({'open', 'held', 'paid'})"),
    (Gives("len", "0"), SETTLE, "if not ready(order) or (order.paused and 0 < LIMIT):"),
    (Passes("nonce", "7"), SETTLE, "done += [pay(order, nonce=7)]"),
    (Swaps("book.nonce + 1", "book.nonce"), SETTLE, "done += [pay(order, nonce=book.nonce)]"),
    (Swaps("it < LIMIT", "it"), SETTLE, "if not ready(order) or (order.paused and len(done)):"),
    (Swaps("pay(...)", "(pay(...))[:1]"), SETTLE, "done += [pay(order, nonce=book.nonce + 1)[:1]]"),
    (Before("lock", "del book"), SETTLE, "del book"),
    (Swaps("return [], None", "pass"), SETTLE, "pass"),
)  # fmt: skip


def lines(source: str) -> set[str]:
    """Statements as Python writes them, wherever they stand."""
    return {line.strip() for line in ast.unparse(ast.parse(source)).splitlines()}


@pytest.mark.parametrize(("change", "place", "appears"), CHANGES)
def test_change__made__only_this_line_is_otherwise(
    change: Change, place: str, appears: str | None
) -> None:
    changed = lines(change.applied(SOURCE, place))
    if not isinstance(change, Returns | Before):
        assert len(lines(SOURCE) - changed) == 1
    assert changed - lines(SOURCE) <= {appears, "pass"}
    assert appears is None or appears in changed


@pytest.mark.parametrize(("change", "place", "appears"), CHANGES)
def test_change__place_is_written_otherwise__is_the_same_change(
    change: Change, place: str, appears: str | None
) -> None:
    names = {"one": "order", "those": "orders", "paid": "done", "ledger": "book"}
    changed = ast.parse(change.applied(OTHERWISE_WRITTEN, place))
    for node in ast.walk(changed):
        match node:
            case ast.Name():
                node.id = names.get(node.id, node.id)
            case ast.arg():
                node.arg = names.get(node.arg, node.arg)
            case _:
                pass
    assert ast.unparse(ast.parse(change.applied(SOURCE, place))) == ast.unparse(changed)


@pytest.mark.parametrize(
    ("change", "place", "fault"),
    [
        (Never("ready"), "Desk.pay", "Desk.pay is there 0 times"),
        (Skips("unlock"), SETTLE, "a statement that calls unlock is there 0 times"),
        (Never("order"), SETTLE, "a condition about order is there 2 times"),
        (Swaps("done", "[]"), SETTLE, "`done` is there 5 times"),
        (Swaps("LIMIT + 1", "LIMIT"), SETTLE, "`LIMIT \\+ 1` is there 0 times"),
        (Swaps("LIMIT", "LIMIT"), SETTLE, "changes nothing"),
        (Gives("len", "limit"), SETTLE, "nothing there is called limit"),
    ],
)
def test_change__does_not_fit_exactly_once__is_a_misfit(
    change: Change, place: str, fault: str
) -> None:
    with pytest.raises(Misfit, match=fault):
        change.applied(SOURCE, place)


def test_swaps__one_local_for_two__does_not_match() -> None:
    source = "def f(a, b):\n    return a + b\n"
    with pytest.raises(Misfit):
        Swaps("x + x", "x").applied(source, "f")
    assert "return b" in Swaps("x + y", "y").applied(source, "f")


def test_text__there_once__is_replaced_and_nothing_else() -> None:
    assert Text("a", "b").applied("a c", "") == "b c"
    with pytest.raises(Misfit, match="2 times"):
        Text("a", "b").applied("a a", "")
