"""JSON from strangers: bounded in nesting and in the number of its values, before it is parsed.

Whatever compares, shows or logs a value calls itself for each level, and would fail where the
parser just did not: one endpoint's answer could then end a whole pass. Short values take up to
fifty times their length in memory.
"""

from __future__ import annotations

import json
import re

NESTING_MAX = 32
"""A receipt with logs and topics in a batch is six deep."""
VALUES_MAX = 2**21
"""More than the largest answer that is read at all has, when it is logs of our events."""

_STRING = re.compile(rb'"[^"]*"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_json(content: bytes) -> object:
    """The value; raises ValueError for what is not JSON in UTF-8, or is beyond a bound."""
    openings = content.count(b"[") + content.count(b"{")
    if openings + content.count(b",") > VALUES_MAX:
        raise ValueError("JSON of too many values")
    if openings > NESTING_MAX and _is_too_deep(content):
        raise ValueError("JSON that is nested too deeply")
    value: object = json.loads(content.decode("utf-8"))
    return value


def _is_too_deep(content: bytes) -> bool:
    """Takes away the innermost brackets, level by level. Where the parser would stop early, the
    brackets open by then are levels here too."""
    bare = _STRING.sub(b"", content.replace(b"\\\\", b"").replace(b'\\"', b""))
    brackets = bare.translate(None, _NOT_BRACKETS)
    for _ in range(NESTING_MAX):
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not fewer:
            return False
        if len(fewer) == len(brackets):
            return True
        brackets = fewer
    return True
