"""How a defence is taken out: what the named place does otherwise, said without its exact text.

Each kind of change finds what it means by the names that are mentioned there, or by the shape of an
expression up to the names of local variables. Formatting, renamed locals and lines that move within
the place are all the same to it. It must fit exactly once; else `Misfit` says what it found.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from tests.defences.matching import Pattern, global_names, is_expression
from tests.defences.places import CONDITIONS, PARTS, Misfit, Place, Slot, smallest, the_only


class Change(ABC):
    """What is otherwise at a named place of a Python file."""

    @abstractmethod
    def make(self, place: Place) -> None:
        """Change the place, in place; raises Misfit where that does not fit exactly once."""

    def applied(self, source: str, qualified_name: str) -> str:
        """The file's text with the change, its comments gone.

        Raises Misfit as `make` does, and where the changed program would not know a name it uses:
        then a test would fail for that, and say nothing about the defence.
        """
        module = ast.parse(source)
        before = ast.dump(module)
        self.make(Place.named(qualified_name, module))
        if ast.dump(module) == before:
            raise Misfit("it changes nothing")
        changed = ast.unparse(ast.fix_missing_locations(module))
        unknown = _unknown_names(changed) - _unknown_names(source)
        if unknown:
            raise Misfit(f"nothing there is called {', '.join(sorted(unknown))}")
        return changed


@dataclass(frozen=True, slots=True)
class Text:
    """In a file that is not Python: the one place that says the first says the second."""

    old: str
    new: str

    def applied(self, source: str, qualified_name: str) -> str:
        """The file's text with the change; raises Misfit where it is not there exactly once."""
        assert not qualified_name
        count = source.count(self.old)
        if count != 1:
            raise Misfit(f"its text is there {count} times, not once")
        return source.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Returns(Change):
    """The function returns this at once."""

    code: str

    def make(self, place: Place) -> None:
        assert isinstance(place.node, ast.FunctionDef | ast.AsyncFunctionDef)
        place.node.body = [ast.Return(_expression(self.code))]


@dataclass(frozen=True, slots=True)
class Skips(Change):
    """The statement that calls this, or raises it, is not there. What it binds is bound before."""

    called: str

    def make(self, place: Place) -> None:
        _the_statement(place, self.called).put()


@dataclass(frozen=True, slots=True)
class Before(Change):
    """Right before the statement that calls this, that is done too."""

    called: str
    code: str

    def make(self, place: Place) -> None:
        slot = _the_statement(place, self.called)
        slot.put(*ast.parse(self.code).body, slot.node)


class _Decides(Change):
    """The smallest condition that mentions all these words is decided."""

    words: tuple[str, ...]
    answer: bool

    def make(self, place: Place) -> None:
        conditions = [slot for slot in place.slots() if slot.kind in CONDITIONS]
        found = smallest(conditions, self.words)
        the_only(found, f"a condition about {', '.join(self.words)}").put(ast.Constant(self.answer))


class Never(_Decides):
    """The condition about these words does not hold, whatever they say."""

    answer = False

    def __init__(self, *words: str) -> None:
        self.words = words


class Always(_Decides):
    """The condition about these words holds, whatever they say."""

    answer = True

    def __init__(self, *words: str) -> None:
        self.words = words


class Drops(Change):
    """The smallest argument, element or operand that mentions all these words is left out."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def make(self, place: Place) -> None:
        parts = [slot for slot in place.slots() if slot.kind in PARTS]
        the_only(smallest(parts, self.words), f"a part about {', '.join(self.words)}").put()


@dataclass(frozen=True, slots=True)
class Adds(Change):
    """The one set, tuple or list of the place has this element too."""

    code: str

    def make(self, place: Place) -> None:
        kinds = (ast.Set, ast.Tuple, ast.List)
        slot = the_only([s for s in place.slots() if isinstance(s.node, kinds)], "a collection")
        assert isinstance(slot.node, kinds)
        slot.node.elts.append(_expression(self.code))


@dataclass(frozen=True, slots=True)
class Gives(Change):
    """The call of this function gives that, and is not made."""

    called: str
    code: str

    def make(self, place: Place) -> None:
        calls = [
            slot
            for slot in place.slots()
            if isinstance(slot.node, ast.Call) and _name_of(slot.node.func) == self.called
        ]
        the_only(calls, f"a call of {self.called}").put(_expression(self.code))


@dataclass(frozen=True, slots=True)
class Passes(Change):
    """This keyword argument, of the one call that has it, is that."""

    keyword: str
    code: str

    def make(self, place: Place) -> None:
        found = [
            Slot(slot.node, "value", None)
            for slot in place.slots()
            if isinstance(slot.node, ast.keyword) and slot.node.arg == self.keyword
        ]
        the_only(found, f"an argument {self.keyword}=").put(_expression(self.code))


@dataclass(frozen=True, slots=True)
class Swaps(Change):
    """Where the place says the first it says the second: an expression, or statements in a row.

    Names of locals in the pattern stand for whatever locals are there; a pattern that is there
    word for word is preferred. All other names are as they are, `it` is any one expression, and
    `call(...)` is that call with whatever arguments it has.
    """

    old: str
    new: str

    def make(self, place: Place) -> None:
        in_place_of_statements = not (is_expression(self.old) and is_expression(self.new))
        pattern = Pattern.of(
            self.old, fixed=global_names(place.module), as_statements=in_place_of_statements
        )
        found = list(pattern.found_in(place))
        found = [match for match in found if match.is_word_for_word] or found
        if len(found) != 1:
            raise Misfit(f"`{self.old}` is there {len(found)} times, not once")
        found[0].put(self.new)


def _the_statement(place: Place, called: str) -> Slot:
    """The one that calls this by itself; not one that a call is a part of."""
    statements = [slot for slot in place.slots() if _is_the_call(slot.node, called)]
    return the_only(statements, f"a statement that calls {called}")


def _is_the_call(node: ast.AST, called: str) -> bool:
    match node:
        case ast.Expr(value=work) | ast.Assign(value=work) | ast.While(test=work):
            pass
        case ast.Raise(exc=ast.expr() as work) | ast.With(items=[ast.withitem(context_expr=work)]):
            pass
        case _:
            return False
    work = work.value if isinstance(work, ast.Await) else work
    return isinstance(work, ast.Call) and _name_of(work.func) == called


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


def _name_of(function: ast.expr) -> str | None:
    """The last word of what is called."""
    match function:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return word
        case _:
            return None


def _unknown_names(source: str) -> set[str]:
    """Names that functions of a file use and that nothing in the file or in Python has."""
    table = symtable.symtable(source, "changed.py", "exec")
    known = {symbol.get_name() for symbol in table.get_symbols()} | set(dir(builtins))
    return set(_globals_used(table)) - known


def _globals_used(table: symtable.SymbolTable) -> Iterator[str]:
    for child in table.get_children():
        yield from (s.get_name() for s in child.get_symbols() if s.is_global())
        yield from _globals_used(child)
