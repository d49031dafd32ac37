"""A named place in a Python file, and what can be found and put there by what it says."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
CONDITIONS = {
    (ast.If, "test"),
    (ast.While, "test"),
    (ast.IfExp, "test"),
    (ast.comprehension, "ifs"),
    (ast.BoolOp, "values"),
}
"""Where an expression is asked for yes or no."""
PARTS = {
    (ast.Call, "args"),
    (ast.Call, "keywords"),
    (ast.Tuple, "elts"),
    (ast.List, "elts"),
    (ast.Set, "elts"),
    (ast.comprehension, "ifs"),
    (ast.BoolOp, "values"),
}
"""Where one more or one less is still a program."""


class Misfit(ValueError):
    """A row's place is not there, or its change does not fit there exactly once."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a node hangs in the tree: a field of its parent, and where in it if that is a list."""

    parent: ast.AST
    field: str
    index: int | None

    @property
    def node(self) -> ast.AST:
        held = getattr(self.parent, self.field)
        found = held if self.index is None else held[self.index]
        assert isinstance(found, ast.AST)
        return found

    @property
    def kind(self) -> tuple[type[ast.AST], str]:
        return type(self.parent), self.field

    def put(self, *nodes: ast.AST) -> None:
        """Put other nodes there; none or several only where a list holds them."""
        if self.index is None:
            (only,) = nodes
            setattr(self.parent, self.field, only)
            return
        held = getattr(self.parent, self.field)
        held[self.index : self.index + 1] = nodes
        if not held and self.field == "body":
            held.append(ast.Pass())


@dataclass(frozen=True, slots=True)
class Place:
    """A function, class or assignment, and the file it is in."""

    node: ast.AST
    module: ast.Module

    @classmethod
    def named(cls, qualified_name: str, module: ast.Module) -> Place:
        """What has that name, by its dotted way down the file; raises Misfit if nothing has, or
        more than one thing."""
        level: list[ast.AST] = [module]
        for name in qualified_name.split("."):
            level = [found for holder in level for found in _named(holder, name)]
        if len(level) != 1:
            raise Misfit(f"{qualified_name} is there {len(level)} times, not once")
        return cls(level[0], module)

    def slots(self) -> Iterator[Slot]:
        """Every slot below it, outer ones first."""
        return _slots(self.node)


def _named(holder: ast.AST, name: str) -> Iterator[ast.AST]:
    """What has the name right in `holder`, not in another function or class of it."""
    for child in ast.iter_child_nodes(holder):
        if isinstance(child, NAMED):
            if child.name == name:
                yield child
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield child
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _named(child, name)


def _slots(node: ast.AST) -> Iterator[Slot]:
    for field, held in ast.iter_fields(node):
        for index, child in enumerate(held) if isinstance(held, list) else [(None, held)]:
            if isinstance(child, ast.AST):
                yield Slot(node, field, index)
                yield from _slots(child)


def words_of(node: ast.AST) -> set[str]:
    """Every name, attribute, keyword and constant that is mentioned."""
    words: set[str] = set()
    for child in ast.walk(node):
        match child:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=str(word)):
                words.add(word)
            case ast.Constant(value=value):
                words.add(str(value))
            case _:
                pass
    return words


def smallest(found: Sequence[Slot], words: Sequence[str]) -> list[Slot]:
    """Of these slots the ones that mention all the words while none inside them does too."""
    all_words = [slot for slot in found if words_of(slot.node) >= set(words)]
    nodes = {id(slot.node) for slot in all_words}
    return [
        slot
        for slot in all_words
        if not any(id(inner) in nodes for inner in ast.walk(slot.node) if inner is not slot.node)
    ]


def the_only(found: Sequence[Slot], what: str) -> Slot:
    """The one that was meant; raises Misfit where it is not exactly one."""
    if len(found) != 1:
        lines = ", ".join(str(getattr(slot.node, "lineno", "?")) for slot in found)
        where = f" (lines {lines})" if found else ""
        raise Misfit(f"{what} is there {len(found)} times, not once{where}")
    return found[0]
