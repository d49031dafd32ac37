"""web3's own objects over the node's transport: whoever knows web3 asks a chain so, and reads the
same as the node does."""

from __future__ import annotations

import pytest
from web3 import Web3

from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.chain.wire.provider import TransportProvider

from .conftest import Program
from .test_settler import PAYEE, make_fund, settle

pytestmark = pytest.mark.parametrize("program", ["pyevm", "anvil"], indirect=True)
"""The simulator's transport is none of the node's own."""


@pytest.fixture
def w3(program: Program) -> Web3:
    return Web3(TransportProvider(program.transport()))


def test_web3__contract_and_its_events__what_the_client_reads(program: Program, w3: Web3) -> None:
    fund = make_fund(program, restrict_payees=False)
    expected = settle(fund, [fund.item(1), fund.item(2)])
    settler = w3.eth.contract(fund.settler, abi=list(load_artifact("RedemptionSettler").abi))

    events = settler.events.RedemptionSettled().get_logs(from_block=0)
    batch_hash = settler.functions.batchHash().call()

    assert expected[-1].batch_hash == "0x" + batch_hash.hex()  # type: ignore[attr-defined]
    assert [1, 2] == [event["args"]["index"] for event in events]
    assert {PAYEE} == {event["args"]["payee"] for event in events}


def test_web3__batch__one_answer_each_in_the_order_asked(program: Program, w3: Web3) -> None:
    program.mine(2)

    with w3.batch_requests() as batch:
        for number in (2, 0, 1):
            batch.add(w3.eth.get_block(number))
        blocks = batch.execute()

    assert [2, 0, 1] == [block["number"] for block in blocks]  # type: ignore[typeddict-item]
