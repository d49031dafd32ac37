"""What a block leaves behind: one flat mapping, copied for each block, with an undo log inside it.

Keys are tuples whose first word says what they hold; addresses in them are 20 bytes.
"""

from __future__ import annotations

from typing import Any

Key = tuple[Any, ...]
_ABSENT = object()


class State:
    """Values by key. Reading an absent key gives the default; `undo` takes writes back."""

    __slots__ = ("_log", "values")

    def __init__(self, values: dict[Key, Any]) -> None:
        self.values = values
        self._log: list[tuple[Key, Any]] = []

    def get(self, key: Key, default: Any = 0) -> Any:
        """The value, or the default."""
        return self.values.get(key, default)

    def put(self, key: Key, value: Any) -> None:
        """Write, remembering what was there."""
        self._log.append((key, self.values.get(key, _ABSENT)))
        self.values[key] = value

    def add(self, key: Key, change: int) -> None:
        """Add to a number."""
        self.put(key, self.values.get(key, 0) + change)

    def mark(self) -> int:
        """A point to come back to."""
        return len(self._log)

    def undo(self, mark: int) -> None:
        """Take back every write since the mark."""
        while len(self._log) > mark:
            key, before = self._log.pop()
            if before is _ABSENT:
                del self.values[key]
            else:
                self.values[key] = before

    def seal(self) -> None:
        """Forget what would be undone: the block is built."""
        self._log.clear()

    def fork(self) -> State:
        """An independent copy."""
        return State(dict(self.values))
