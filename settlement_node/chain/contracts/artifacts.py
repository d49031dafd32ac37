"""Compiled contracts: their ABI and bytecode, as the contract build writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rlp  # type: ignore[import-untyped]  # ships no types
from eth_typing import ABIElement
from eth_utils.abi import abi_to_signature
from eth_utils.conversions import to_bytes
from eth_utils.crypto import keccak

from settlement_node.chain.wire.recursion import own_recursion_limit
from settlement_node.chain.wire.words import checksummed
from settlement_node.errors import InvalidInput
from settlement_node.units import Address

if TYPE_CHECKING:
    from web3.contract import Contract

# web3 itself is imported where a contract is built: a node that settles needs none, and starts
# sooner without.

_PACKAGED = Path(__file__).parent / "abi"
"""In an installed package."""
_CHECKOUT = Path(__file__).parents[3] / "abi"
"""In a checkout, where the build writes them."""


@dataclass(frozen=True)
class Artifact:
    """One contract. `bytecode` creates it; constructor arguments are appended to it."""

    name: str
    abi: tuple[ABIElement, ...]
    bytecode: bytes

    @cached_property
    def contract(self) -> type[Contract]:
        """As web3 has it, at no address and over no endpoint."""
        with own_recursion_limit():
            from web3 import Web3
        return Web3().eth.contract(abi=list(self.abi), bytecode=self.bytecode)

    def errors(self) -> list[str]:
        """The signatures of its errors."""
        return [abi_to_signature(item) for item in self.abi if item["type"] == "error"]

    def encode_constructor(self, arguments: Sequence[Any]) -> bytes:
        """The data of the creating transaction. Structs are tuples in the ABI's order."""
        with self._refusing("constructor"):
            return to_bytes(hexstr=self.contract.constructor(*arguments).data_in_transaction)

    def encode_call(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Call data of a function, by its name or, where several share it, by its signature."""
        with self._refusing(function):
            return to_bytes(hexstr=self.contract.encode_abi(function, arguments))

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        with own_recursion_limit():
            from web3.exceptions import Web3Exception
        try:
            yield
        except (Web3Exception, TypeError) as error:
            raise InvalidInput(f"{self.name}.{what}: {error}") from error


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


def contract_address(sender: Address, nonce: int) -> Address:
    """Where a creation by `sender` at `nonce` puts its contract."""
    return checksummed(keccak(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[-20:])
