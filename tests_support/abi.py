"""What a compiled contract declares."""

from __future__ import annotations

from eth_utils.abi import abi_to_signature

from settlement_node.chain.contracts.artifacts import load_artifact


def signatures(name: str, kind: str) -> list[str]:
    """The signatures of all entries of a kind: `function`, `event` or `error`."""
    return [abi_to_signature(item) for item in load_artifact(name).abi if item["type"] == kind]
