"""Compiled contracts: their ABI and bytecode, as the contract build writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import EncodingError, ParseError

from settlement_node.chain.wire.words import selector
from settlement_node.errors import InvalidInput

_PACKAGED = Path(__file__).parent / "abi"
"""In an installed package."""
_CHECKOUT = Path(__file__).parents[3] / "abi"
"""In a checkout, where the build writes them."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One contract. `bytecode` creates it; constructor arguments are appended to it."""

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes

    def encode_constructor(self, arguments: Sequence[Any]) -> bytes:
        """The data of the creating transaction. Structs are tuples in the ABI's order."""
        inputs: Sequence[Mapping[str, Any]] = next(
            (item["inputs"] for item in self.abi if item["type"] == "constructor"), ()
        )
        return self.bytecode + _encode(f"{self.name} constructor", inputs, arguments)

    def encode_call(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Call data of a function, by its name or, where several share it, by its signature."""
        matches = [
            item
            for item in self.abi
            if item["type"] == "function" and function in (item["name"], signature_of(item))
        ]
        if len(matches) != 1:
            raise InvalidInput(f"{self.name} has {len(matches)} functions {function}")
        return selector(signature_of(matches[0])) + _encode(
            f"{self.name}.{function}", matches[0]["inputs"], arguments
        )

    def signatures(self, kind: str) -> list[str]:
        """The signatures of all entries of a kind: `function`, `event` or `error`."""
        return [signature_of(item) for item in self.abi if item["type"] == kind]


@cache
def load_artifact(name: str) -> Artifact:
    """Read a contract's artifact; InvalidInput when this installation does not have it."""
    for folder in (_CHECKOUT, _PACKAGED):
        path = folder / f"{name}.json"
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            return Artifact(
                name=name,
                abi=tuple(content["abi"]),
                bytecode=bytes.fromhex(content["bytecode"][2:]),
            )
    raise InvalidInput(f"this installation has no artifact of contract {name}")


def signature_of(item: Mapping[str, Any]) -> str:
    """The canonical signature of a function, event or error of an ABI."""
    return f"{item['name']}({','.join(_type(entry) for entry in item['inputs'])})"


def _type(entry: Mapping[str, Any]) -> str:
    """The canonical type, in which a struct is the tuple of its members."""
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    members = ",".join(_type(member) for member in entry["components"])
    return f"({members}){entry['type'].removeprefix('tuple')}"


def _encode(what: str, inputs: Sequence[Mapping[str, Any]], arguments: Sequence[Any]) -> bytes:
    types = [_type(entry) for entry in inputs]
    if len(types) != len(arguments):
        raise InvalidInput(f"{what} takes {len(types)} arguments, not {len(arguments)}")
    try:
        return bytes(abi_encode(types, arguments))
    except (EncodingError, ParseError, TypeError, ValueError) as error:
        raise InvalidInput(f"{what}: {error}") from error
