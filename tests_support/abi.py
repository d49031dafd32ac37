"""What a compiled contract declares, and what of it only tests ask."""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils.abi import abi_to_signature

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.units import Address


def signatures(name: str, kind: str) -> list[str]:
    """The signatures of all entries of a kind: `function`, `event` or `error`."""
    return [abi_to_signature(item) for item in load_artifact(name).abi if item["type"] == kind]


def is_settled(
    client: ChainClient, settler: Address, redemption_indexes: Sequence[int]
) -> dict[int, bool]:
    """The settler's own record of what it has settled."""
    contract = load_artifact("RedemptionSettler")
    return {
        index: any(client.call(settler, contract.encode_call("isSettled", [index])))
        for index in redemption_indexes
    }
