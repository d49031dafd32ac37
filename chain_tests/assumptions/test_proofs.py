"""What a block holds can be proven against its hash on real chain programs, and only there."""

from __future__ import annotations

import pytest

from settlement_node.chain.proofs import NotProven, prove_header, prove_receipts
from settlement_node.chain.transport import RpcOk, RpcRequest

from .conftest import GWEI, Program


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
