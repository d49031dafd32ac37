"""Fees are the middle of what endpoints say: no single one makes a price."""

from __future__ import annotations

import pytest

from settlement_node.chain.wire.transport import RpcError, RpcOk
from settlement_node.errors import Transient

from .scripted import ScriptedTransport, client_of

GWEI = 10**9


def fees_of(name: str, *, next_base: int = GWEI, tip: int = 5) -> ScriptedTransport:
    """An endpoint whose history of two blocks ends with this base fee and these tips."""
    endpoint = ScriptedTransport(name)
    answer = {
        "baseFeePerGas": ["0x1", "0x2", hex(next_base)],
        "reward": [[hex(tip)], [hex(tip)]],
    }
    endpoint.methods["eth_feeHistory"] = lambda *_: RpcOk(answer)
    return endpoint


def test_fee_history__up_to_the_agreed_head__base_fees_and_tips() -> None:
    endpoint = fees_of("a", tip=4)

    history = client_of(endpoint).fee_history(block_count=2, percentile=50)

    assert ((1, 2, GWEI), (4, 4)) == (history.base_fees_wei, history.tips_wei)
    (asked,) = [item for item in endpoint.asked if item.method == "eth_feeHistory"]
    assert asked.params == ("0x2", "0x64", [50])


@pytest.mark.parametrize("liar", [0, 1, 2])
@pytest.mark.parametrize("times", [0.001, 1_000])
@pytest.mark.parametrize("count", [2, 3])
def test_fee_history__one_endpoint_is_far_off__not_dearer(
    liar: int, times: float, count: int
) -> None:
    endpoints = [fees_of(name) for name in "abc"[:count]]
    liar = min(liar, count - 1)
    endpoints[liar] = fees_of("liar", next_base=int(GWEI * times), tip=int(5_000 * times))

    history = client_of(*endpoints).fee_history(block_count=2, percentile=50)

    assert max(history.tips_wei) <= 5
    assert GWEI * 7 // 8 <= history.base_fees_wei[-1] <= GWEI


def test_fee_history__only_endpoint_lies_about_the_base_fee__within_an_eighth_of_the_head() -> None:
    client = client_of(fees_of("a", next_base=1_000 * GWEI))

    assert client.fee_history(block_count=2, percentile=50).base_fees_wei[-1] == GWEI * 9 // 8 + 1


def test_fee_history__one_of_two_does_not_answer__transient() -> None:
    silent = fees_of("silent")
    silent.methods["eth_feeHistory"] = lambda *_: RpcError(-32000, "busy")

    with pytest.raises(Transient, match="2 must"):
        client_of(fees_of("a"), silent).fee_history(block_count=2, percentile=50)


@pytest.mark.parametrize(
    "value",
    [
        {"baseFeePerGas": ["0x1"], "reward": []},
        {"baseFeePerGas": ["0x1", "0x2"], "reward": [[]]},
        {"baseFeePerGas": ["0x1"], "reward": [["0x1"]]},
        {"baseFeePerGas": ["0x1", "0x2"]},
        None,
    ],
)
def test_fee_history__incomplete__transient(value: object) -> None:
    endpoint = ScriptedTransport("a")
    endpoint.methods["eth_feeHistory"] = lambda *_: RpcOk(value)

    with pytest.raises(Transient):
        client_of(endpoint).fee_history(block_count=1, percentile=50)
