"""The interpreter's recursion limit, which libraries of chains raise when they are imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_recursion_limit() -> Iterator[None]:
    """Whatever is imported inside, the limit is afterwards what it was.

    Beyond it the C stack ends before the limit is reached, and brackets alone in somebody's JSON
    would end the process instead of being an error.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
