"""The embedded chain: repeatable, with a mempool's rules and blocks that can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest
from settlement_node.devchain.embedded.core import SendRefused
from settlement_node.errors import InvalidInput
from settlement_node.units import Address, Wei
from tests_support.embedded import EmbeddedChain

PAYEE = Address("0x1111111111111111111111111111111111111111")
GWEI = 10**9


def transfer(
    chain: EmbeddedChain,
    nonce: int,
    *,
    sender: int = 0,
    fee_wei: int = 3 * GWEI,
    tip_wei: int = GWEI,
    gas_limit: int = 21_000,
) -> SignedTransaction:
    return KeySigner(chain.funded_keys[sender]).sign(
        TransactionFields(
            chain_id=chain.chain_id,
            nonce=nonce,
            to_address=PAYEE,
            data=b"",
            value_wei=Wei(1),
            gas_limit=gas_limit,
            max_fee_per_gas_wei=Wei(fee_wei),
            max_priority_fee_per_gas_wei=Wei(tip_wei),
        )
    )


def ask(chain: EmbeddedChain, method: str, *params: Any) -> Any:
    (result,) = chain.transport().request([RpcRequest(method, params)])
    return result.value if isinstance(result, RpcOk) else result


@pytest.fixture
def pyevm_chain() -> EmbeddedChain:
    return EmbeddedChain()


def mined_hashes(chain: EmbeddedChain) -> list[str]:
    return ask(chain, "eth_getBlockByNumber", "latest", False)["transactions"]


def test_run_twice__same_steps__same_hashes() -> None:
    def run() -> str:
        chain = EmbeddedChain()
        for nonce in range(3):
            chain.send(transfer(chain, nonce).raw)
            chain.mine()
        chain.reorganise(2)
        return str(ask(chain, "eth_getBlockByNumber", "latest", False)["hash"])

    assert run() == run()


def test_send__nothing_mined_by_itself(pyevm_chain: EmbeddedChain) -> None:
    pyevm_chain.send(transfer(pyevm_chain, 0).raw)

    assert pyevm_chain.head_number == 0


@pytest.mark.parametrize(
    ("percent", "taken"), [(100, False), (109, False), (110, True), (113, True)]
)
def test_send__replacement__a_tenth_more_of_both_fees(
    pyevm_chain: EmbeddedChain, percent: int, taken: bool
) -> None:
    pyevm_chain.send(transfer(pyevm_chain, 0).raw)
    raised = transfer(
        pyevm_chain,
        0,
        fee_wei=3 * GWEI * percent // 100,
        tip_wei=GWEI * percent // 100,
        gas_limit=21_001,
    )

    if taken:
        pyevm_chain.send(raised.raw)
    else:
        with pytest.raises(SendRefused, match="replacement transaction underpriced"):
            pyevm_chain.send(raised.raw)


def test_mine__block_full__the_rest_waits_for_the_next() -> None:
    chain = EmbeddedChain(block_gas_limit=50_000)
    sent = [transfer(chain, nonce).hash_hex for nonce in range(3)]
    for nonce in range(3):
        chain.send(transfer(chain, nonce).raw)

    chain.mine()
    first = mined_hashes(chain)
    chain.mine()

    assert (first, mined_hashes(chain)) == (sent[:2], sent[2:])


def test_mine__fee_cap_below_the_base_fee__waits_and_blocks_its_sender_only(
    pyevm_chain: EmbeddedChain,
) -> None:
    cheap = transfer(pyevm_chain, 0, fee_wei=10, tip_wei=1)
    after, other = transfer(pyevm_chain, 1), transfer(pyevm_chain, 0, sender=1)
    for one in (cheap, after, other):
        pyevm_chain.send(one.raw)

    pyevm_chain.mine()

    assert mined_hashes(pyevm_chain) == [other.hash_hex]


def test_mine__two_senders__in_order_of_arrival(pyevm_chain: EmbeddedChain) -> None:
    sent = [
        transfer(pyevm_chain, 0, sender=1),
        transfer(pyevm_chain, 0, sender=0),
        transfer(pyevm_chain, 1, sender=1),
    ]
    for one in sent:
        pyevm_chain.send(one.raw)

    pyevm_chain.mine()

    assert mined_hashes(pyevm_chain) == [one.hash_hex for one in sent]


def test_skip_time__next_block__that_much_later(pyevm_chain: EmbeddedChain) -> None:
    before = pyevm_chain.head.header.timestamp
    pyevm_chain.skip_time(86_400)

    pyevm_chain.mine(2)

    assert pyevm_chain.head.header.timestamp == before + 86_400 + 2


def test_rollback__keeping_transactions__they_are_mined_again(pyevm_chain: EmbeddedChain) -> None:
    first = transfer(pyevm_chain, 0)
    pyevm_chain.send(first.raw)
    pyevm_chain.mine()
    before = ask(pyevm_chain, "eth_getTransactionReceipt", first.hash_hex)

    pyevm_chain.rollback(1)
    pending = ask(pyevm_chain, "eth_getTransactionByHash", first.hash_hex)
    pyevm_chain.mine()
    after = ask(pyevm_chain, "eth_getTransactionReceipt", first.hash_hex)

    assert pending["blockHash"] is None
    assert before["blockNumber"] == after["blockNumber"]
    assert before["blockHash"] != after["blockHash"]


def test_rollback__state__is_that_of_the_earlier_block(pyevm_chain: EmbeddedChain) -> None:
    pyevm_chain.send(transfer(pyevm_chain, 0).raw)
    pyevm_chain.mine()
    after = ask(pyevm_chain, "eth_getBalance", PAYEE, "latest")

    pyevm_chain.rollback(1, keep_transactions=False)

    assert (after, ask(pyevm_chain, "eth_getBalance", PAYEE, "latest")) == ("0x1", "0x0")


@pytest.mark.parametrize("blocks", [0, 2])
def test_rollback__more_than_there_is__invalid_input(
    pyevm_chain: EmbeddedChain, blocks: int
) -> None:
    pyevm_chain.mine()

    with pytest.raises(InvalidInput):
        pyevm_chain.rollback(blocks)


def test_reorganise__deep__base_for_many_more_blocks(pyevm_chain: EmbeddedChain) -> None:
    for nonce in range(5):
        pyevm_chain.send(transfer(pyevm_chain, nonce).raw)
        pyevm_chain.mine()

    for _ in range(5):
        pyevm_chain.reorganise(4)

    assert pyevm_chain.head_number == 5
    assert ask(pyevm_chain, "eth_getBalance", PAYEE, "latest") == "0x5"


def test_fee_history__two_tips_in_a_block__percentile_by_gas(pyevm_chain: EmbeddedChain) -> None:
    pyevm_chain.send(transfer(pyevm_chain, 0, tip_wei=GWEI).raw)
    pyevm_chain.send(transfer(pyevm_chain, 0, sender=1, tip_wei=2 * GWEI).raw)
    pyevm_chain.mine()

    history = ask(pyevm_chain, "eth_feeHistory", "0x1", "0x1", [10, 60])

    assert history["reward"] == [[hex(GWEI), hex(2 * GWEI)]]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_fooBar", (), -32601),
        ("eth_getBalance", (), -32602),
        ("eth_getBalance", ("zz", "latest"), -32602),
        ("eth_getBalance", (PAYEE, "soon"), -32602),
        ("eth_getBalance", (PAYEE, {"blockHash": "0x" + "ab" * 32}), -32000),
        ("eth_getTransactionReceipt", (5,), -32602),
        ("eth_getLogs", ({"fromBlock": "0x2", "toBlock": "0x1"},), -32000),
        ("eth_sendRawTransaction", ("0x02c0",), -32000),
    ],
)
def test_request__wrong__an_error_and_not_an_exception(
    pyevm_chain: EmbeddedChain, method: str, params: tuple[Any, ...], code: int
) -> None:
    (result,) = pyevm_chain.transport().request([RpcRequest(method, params)])

    assert isinstance(result, RpcError)
    assert result.code == code


def test_transport__names__several_endpoints_of_one_chain(pyevm_chain: EmbeddedChain) -> None:
    assert [pyevm_chain.transport(name).name for name in ("a", "b")] == ["a", "b"]
