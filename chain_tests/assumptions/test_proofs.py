"""What a block holds can be proven against its hash on real chain programs, and only there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from settlement_node.chain.client import ChainClient
from settlement_node.chain.wire.proofs import NotProven, prove_account, prove_header, prove_receipts
from settlement_node.chain.wire.transport import RpcOk, RpcRequest
from settlement_node.units import Address
from tests.chain.lying import Lying

from .conftest import GWEI, PAYEE, Program


def test_block__of_a_real_program__its_receipts_follow_from_its_hash(program: Program) -> None:
    sent = [program.transfer(nonce, tip_wei=(1 + nonce) * GWEI // 2) for nonce in range(3)]
    for one in sent:
        program.client.send_raw(one.raw)
    program.mine()
    receipts = program.client.receipts([one.hash_hex for one in sent])
    head = program.client.refresh().head
    block, every = program.transport().request(
        [
            RpcRequest("eth_getBlockByNumber", (hex(head.number), True)),
            RpcRequest("eth_getBlockReceipts", (hex(head.number),)),
        ]
    )
    assert isinstance(block, RpcOk)

    if program.name == "sim":
        # Its headers are of a form of their own: where nothing is proven, agreement decides.
        with pytest.raises(NotProven):
            prove_header(block.value, number=head.number, block_hash=head.block_hash)
        return
    assert isinstance(every, RpcOk)
    header = prove_header(block.value, number=head.number, block_hash=head.block_hash)
    assert receipts == prove_receipts(header, block.value, every.value)


def two_endpoints(program: Program, clock: Callable[[], float]) -> tuple[Lying, ChainClient]:
    """One that a test has lie, and one beside it."""
    liar, honest = (Lying(program.transport(name), name) for name in ("liar", "honest"))
    return liar, ChainClient(program.chain.chain_id, [liar, honest], now=clock)


@pytest.mark.parametrize("lie", ["0x0", "0x7"])
def test_account__one_of_two_lies__proven_by_the_state_root(
    anvil_program: Program, clock: Callable[[], float], lie: str
) -> None:
    sender = anvil_program.sender.address
    anvil_program.client.send_raw(anvil_program.transfer(0, value_wei=5).raw)
    anvil_program.mine()
    liar, client = two_endpoints(anvil_program, clock)
    for method in ("eth_getTransactionCount", "eth_getBalance"):
        liar.lies[method] = lambda _value: lie

    assert (client.nonce(sender), client.native_balance(PAYEE)) == (1, 5)
    assert client.native_balance(Address("0x" + "33" * 20)) == 0
    assert [item.contradiction is not None for item in client.health()] == [True, False]
    assert client.disagreements() == []


@pytest.mark.parametrize("kept", [0, 1, -1])
def test_account__nodes_of_its_proof_are_missing__not_proven(
    anvil_program: Program, kept: int
) -> None:
    anvil_program.mine()
    head = anvil_program.client.refresh().head
    sender = anvil_program.sender.address
    block, account = anvil_program.transport().request(
        [
            RpcRequest("eth_getBlockByNumber", (hex(head.number), False)),
            RpcRequest("eth_getProof", (sender, [], hex(head.number))),
        ]
    )
    assert isinstance(block, RpcOk)
    assert isinstance(account, RpcOk)
    header = prove_header(block.value, number=head.number, block_hash=head.block_hash)
    assert prove_account(header, account.value, sender).balance_wei > 0

    with pytest.raises(NotProven):
        prove_account(header, {"accountProof": account.value["accountProof"][:kept]}, sender)


def test_account__state_root_of_nothing__not_proven(anvil_program: Program) -> None:
    (block,) = anvil_program.transport().request(
        [RpcRequest("eth_getBlockByNumber", ("0x0", False))]
    )
    assert isinstance(block, RpcOk)
    header = prove_header(block.value, number=0, block_hash=block.value["hash"])

    with pytest.raises(NotProven):
        prove_account(header, {"accountProof": []}, anvil_program.sender.address)
