"""What a compiled contract declares, and what of it only tests ask."""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils.abi import abi_to_signature

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.chain.endpoints.endpoint import CallRequest, CallReturned
from settlement_node.units import Address


def signatures(name: str, kind: str) -> list[str]:
    """The signatures of all entries of a kind: `function`, `event` or `error`."""
    return [abi_to_signature(item) for item in load_artifact(name).abi if item["type"] == kind]


def ask(
    client: ChainClient, to_address: Address, function: str, arguments: Sequence[object] = ()
) -> bytes:
    """What the contract of a settler answers to a question at the agreed head, as bytes."""
    data = load_artifact("RedemptionSettler").encode_call(function, arguments)
    (outcome,) = client.calls([CallRequest(to_address, data)])
    assert isinstance(outcome, CallReturned)
    return outcome.data


def is_settled(
    client: ChainClient, settler: Address, redemption_indexes: Sequence[int]
) -> dict[int, bool]:
    """The settler's own record of what it has settled."""
    return {index: any(ask(client, settler, "isSettled", [index])) for index in redemption_indexes}
