"""A token's own errors, from the ABI its compiler wrote."""

from __future__ import annotations

import json
from typing import Any

from eth_abi.exceptions import ParseError
from eth_abi.grammar import parse

from settlement_node.chain.artifacts import signature_of
from settlement_node.errors import InvalidInput

ERRORS_MAX = 500
SIGNATURE_CHARACTERS_MAX = 300


def error_signatures(text: str) -> tuple[str, ...]:
    """The signatures of the errors in an ABI, or in an artifact that holds one under `abi`.

    Raises InvalidInput when it is neither, names no error, or holds one that cannot be read.
    """
    try:
        tree: Any = json.loads(text)
        items = tree["abi"] if isinstance(tree, dict) else tree
        found = [signature_of(item) for item in items if item["type"] == "error"]
        for signature in found:
            if not signature.endswith("()"):
                parse(signature[signature.index("(") :]).validate()
    except (ParseError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InvalidInput(
            "errors_abi must name a JSON file with an ABI: a list, or an object with one as abi",
            field="errors_abi",
        ) from None
    if not 1 <= len(found) <= ERRORS_MAX or max(map(len, found)) > SIGNATURE_CHARACTERS_MAX:
        raise InvalidInput(
            f"errors_abi must name 1 to {ERRORS_MAX} errors, each with at most"
            f" {SIGNATURE_CHARACTERS_MAX} characters",
            field="errors_abi",
        )
    return tuple(sorted(set(found)))
