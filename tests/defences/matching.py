"""Finds an expression, or statements in a row, in a tree whatever its locals are called."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.defences.places import Place, Slot

ANYTHING = "it"
"""In a pattern: any one expression."""


class Bound:
    """What a pattern stands for where it was found: its locals, `it`, and each `call(...)`."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.anything: ast.expr | None = None
        self.calls: dict[str, ast.Call] = {}

    def name(self, mine: str, theirs: str) -> bool:
        """Whether one local can stand for the other, and from now on for no other."""
        if mine not in self.names and theirs in self.names.values():
            return False
        return self.names.setdefault(mine, theirs) == theirs


def _is_whatever(node: ast.Call) -> bool:
    """Whether a pattern leaves a call's arguments open."""
    match node.args:
        case [ast.Constant(value=value)]:
            return value is ... and not node.keywords
        case _:
            return False


class _Fill(ast.NodeTransformer):
    """Put what is bound into code that is to stand there."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_whatever(node):
            return copy.deepcopy(self.bound.calls[ast.unparse(node.func)])
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == ANYTHING and self.bound.anything is not None:
            return copy.deepcopy(self.bound.anything)
        return ast.Name(self.bound.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.bound.names.get(node.arg, node.arg), node.annotation)


def global_names(module: ast.Module) -> frozenset[str]:
    """What is called something in the whole file: imports, functions, classes, constants, and
    what Python itself has."""
    names = set(dir(builtins))
    for node in module.body:
        match node:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign() | ast.AnnAssign():
                names |= {
                    child.id
                    for child in ast.walk(node)
                    if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
                }
            case _:
                pass
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Match:
    """Where the pattern was found: slots in a row, and what its names stand for there."""

    found: tuple[Slot, ...]
    bound: Bound

    @property
    def is_word_for_word(self) -> bool:
        return all(name == other for name, other in self.bound.names.items())

    def put(self, code: str) -> None:
        """Put that there instead, with the locals as they are called there."""
        module = _Fill(self.bound).visit(ast.parse(code))
        first = self.found[0]
        for slot in reversed(self.found[1:]):
            slot.put()
        if isinstance(first.node, ast.stmt):
            first.put(*module.body)
        else:
            first.put(module.body[0].value)


def is_expression(code: str) -> bool:
    """Whether it can stand inside a statement."""
    body = ast.parse(code).body
    return len(body) == 1 and isinstance(body[0], ast.Expr)


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression, or statements in a row, with names that are fixed and others that are not."""

    nodes: tuple[ast.AST, ...]
    fixed: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, code: str, *, fixed: frozenset[str], as_statements: bool) -> Pattern:
        """Parse; `fixed` are names that stand for themselves."""
        body = ast.parse(code).body
        match body:
            case [ast.Expr(value=value)] if not as_statements:
                return cls((value,), fixed)
            case _:
                return cls(tuple(body), fixed)

    def found_in(self, place: Place) -> Iterator[Match]:
        """Everywhere it fits."""
        for slot in place.slots():
            row = self._row_from(slot)
            bound = Bound()
            if row and all(
                self._fits(node, other.node, bound)
                for node, other in zip(self.nodes, row, strict=True)
            ):
                yield Match(row, bound)

    def _row_from(self, slot: Slot) -> tuple[Slot, ...]:
        """As many slots in a row from this one on as there are statements; none if too few."""
        if len(self.nodes) == 1:
            return (slot,)
        if slot.index is None or not isinstance(slot.node, ast.stmt):
            return ()
        end = slot.index + len(self.nodes)
        if end > len(getattr(slot.parent, slot.field)):
            return ()
        return tuple(Slot(slot.parent, slot.field, index) for index in range(slot.index, end))

    def _fits(self, mine: object, theirs: object, bound: Bound) -> bool:
        match mine, theirs:
            case ast.Name(id=name), ast.expr() if name == ANYTHING:
                if bound.anything is None:
                    bound.anything = theirs
                return ast.dump(bound.anything) == ast.dump(theirs)
            case ast.Call(), ast.Call() if _is_whatever(mine):
                name = ast.unparse(mine.func)
                is_it = self._fits(mine.func, theirs.func, bound)
                return is_it and bound.calls.setdefault(name, theirs) is theirs
            case ast.Name(), ast.Name():
                return self._is_name(mine.id, theirs.id, bound)
            case ast.arg(), ast.arg():
                return self._is_name(mine.arg, theirs.arg, bound)
            case ast.expr_context(), ast.expr_context():
                return True
            case ast.AST(), ast.AST():
                return type(mine) is type(theirs) and all(
                    self._fits(value, getattr(theirs, name), bound)
                    for name, value in ast.iter_fields(mine)
                )
            case list(), list():
                return len(mine) == len(theirs) and all(
                    self._fits(a, b, bound) for a, b in zip(mine, theirs, strict=True)
                )
            case _:
                return mine == theirs and type(mine) is type(theirs)

    def _is_name(self, mine: str, theirs: str, bound: Bound) -> bool:
        if mine in self.fixed or theirs in self.fixed:
            return mine == theirs
        return bound.name(mine, theirs)
