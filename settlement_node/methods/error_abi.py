"""A token's own errors: their signatures, and the ABI its compiler wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eth_abi.abi import is_encodable_type
from eth_abi.exceptions import ParseError
from eth_abi.grammar import parse
from eth_typing import ABIError
from eth_utils.abi import abi_to_signature

from settlement_node.errors import InvalidInput

ERRORS_MAX = 500
SIGNATURE_CHARACTERS_MAX = 300
ABI_FILE_BYTES_MAX = 8 * 2**20
"""A compiler's artifact with its bytecode has well below one."""

_SIGNATURE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(\(.*\))", re.ASCII)


def error_signatures(signatures: Iterable[str]) -> tuple[str, ...]:
    """The same signatures in order, each once. Raises InvalidInput that names the first that is
    none, or when they are too many."""
    found = tuple(sorted(set(signatures)))
    for signature in found:
        if (fault := _fault(signature)) is not None:
            raise InvalidInput(
                f"{signature[:SIGNATURE_CHARACTERS_MAX]!r} {fault}; write it as its contract"
                " declares it, without names: HolderLocked(address,uint256)",
                field="errors",
            )
    if len(found) > ERRORS_MAX:
        raise InvalidInput(
            f"there are {len(found)} errors, and at most {ERRORS_MAX} are kept", field="errors"
        )
    return found


def read_error_abi(path: Path) -> tuple[str, ...]:
    """The signatures of the errors in a file with an ABI, or with an artifact that holds one under
    `abi`. Raises InvalidInput that names the file and, where there is one, the entry."""
    entries = _entries(path)
    found: list[str] = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.get("type") != "error":
            continue
        try:
            named = ABIError(type="error", name=entry["name"], inputs=entry["inputs"])
            found += error_signatures([abi_to_signature(named)])
        except (LookupError, TypeError, AttributeError, RecursionError):
            raise _refused(path, f"entry {number} is an error without a name or inputs") from None
        except InvalidInput as error:
            raise _refused(path, f"entry {number}: {error.message}") from None
    if not 1 <= len(set(found)) <= ERRORS_MAX:
        raise _refused(
            path,
            f"it names {len(set(found))} errors, and 1 to {ERRORS_MAX} are kept; leave errors_abi"
            " out if the tokens have none of their own",
        )
    return error_signatures(found)


def _entries(path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            content = file.read(ABI_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}") from None
    if len(content) > ABI_FILE_BYTES_MAX:
        raise _refused(path, f"it is larger than {ABI_FILE_BYTES_MAX} bytes; keep its abi alone")
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refused(path, f"it is not JSON: {error}") from None
    entries = tree.get("abi") if isinstance(tree, dict) else tree
    if not isinstance(entries, list):
        raise _refused(path, "it holds no ABI, a list, nor an object with one as abi")
    return entries


def _fault(signature: str) -> str | None:
    if len(signature) > SIGNATURE_CHARACTERS_MAX:
        return f"has more than {SIGNATURE_CHARACTERS_MAX} characters"
    matched = _SIGNATURE.fullmatch(signature)
    if matched is None:
        return "is not the signature of an error"
    try:
        if matched[1] != "()":
            parse(matched[1]).validate()
        is_readable = matched[1] == "()" or is_encodable_type(matched[1])
    except (ParseError, ValueError, RecursionError):
        is_readable = False
    return None if is_readable else "has arguments that cannot be read"


def _refused(path: Path, words: str) -> InvalidInput:
    return InvalidInput(f"{path}: {words}", field="errors_abi")
