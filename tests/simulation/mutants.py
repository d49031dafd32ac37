"""Known ways to pay twice, put into the node on purpose, to prove that the simulator sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True, slots=True)
class Mutant:
    """`patches` are (module, name, replacement); `naive_settler` takes the chain's own defences
    away, so that a defect of the node shows as money paid twice."""

    words: str
    naive_settler: bool
    patches: tuple[tuple[Any, str, Callable[..., Any]], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The node, broken, for as long as the context lasts."""
        with ExitStack() as stack:
            for module, name, replacement in self.patches:
                stack.enter_context(mock.patch.object(module, name, replacement))
            yield


MUTANTS: Mapping[str, Mutant] = {}
