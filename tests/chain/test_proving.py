"""Two endpoints differ, and one of them lies: the block itself decides, and the liar is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account

from settlement_node.chain.endpoints import proving
from settlement_node.chain.views import Undecided
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest
from settlement_node.domain.observations import Receipt
from settlement_node.errors import Transient

from .lying import Rig, changed_receipt
from .scripted import hash_of

LIES: dict[str, Callable[[Any], Any]] = {
    "reverted": changed_receipt(status="0x0", logs=[]),
    "without logs": changed_receipt(logs=[]),
    "other gas": changed_receipt(gasUsed="0x1"),
    "not there": lambda _value: None,
}


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("lie", LIES)
def test_receipts__one_of_two_lies__the_true_one_and_the_liar_is_named(
    rig: Rig, lie: str, liar: int
) -> None:
    (rig.first, rig.second)[liar].lies["eth_getTransactionReceipt"] = LIES[lie]

    receipt = rig.client.receipts([rig.hashes[2]])[rig.hashes[2]]

    assert isinstance(receipt, Receipt)
    assert (receipt.succeeded, len(receipt.logs)) == (True, 1)
    assert [why is not None for why in rig.blamed()] == [n == liar for n in range(2)]
    assert rig.client.disagreements() == []


@pytest.mark.parametrize("liar", [0, 1])
def test_receipts__one_of_two_makes_one_up__absent_and_the_liar_is_named(
    rig: Rig, liar: int
) -> None:
    made_up = hash_of("made up")
    (true,) = rig.first.inner.request([RpcRequest("eth_getTransactionReceipt", (rig.hashes[2],))])
    assert isinstance(true, RpcOk)
    (rig.first, rig.second)[liar].lies["eth_getTransactionReceipt"] = lambda _value: (
        true.value | {"transactionHash": made_up}
    )

    assert rig.client.receipts([made_up]) == {made_up: None}
    assert [why is not None for why in rig.blamed()] == [n == liar for n in range(2)]


def test_receipts__null_for_a_block_just_mined__not_blamed(rig: Rig) -> None:
    raw = Account.sign_transaction(
        {
            "chainId": rig.chain.chain_id,
            "nonce": 4,
            "gas": 21_000,
            "value": 0,
            "to": rig.sender,
            "gasPrice": 10**10,
        },
        rig.chain.funded_keys[0],
    ).raw_transaction
    (sent,) = rig.first.inner.request([RpcRequest("eth_sendRawTransaction", ("0x" + raw.hex(),))])
    assert isinstance(sent, RpcOk)
    rig.chain.mine()
    rig.first.lies["eth_getTransactionReceipt"] = LIES["not there"]
    rig.client.refresh()

    assert isinstance(rig.client.receipts([sent.value])[sent.value], Receipt)
    assert rig.blamed() == [None, None]


def test_receipts__nobody_can_prove_the_block__undecided(rig: Rig) -> None:
    for endpoint in (rig.first, rig.second):
        endpoint.lies["eth_getBlockReceipts"] = lambda _value: RpcError(-32601, "no such method")
    rig.second.lies["eth_getBlockByNumber"] = lambda value: value | {"extraData": "0xff"}
    rig.first.lies["eth_getTransactionReceipt"] = LIES["reverted"]

    assert isinstance(rig.client.receipts([rig.hashes[2]])[rig.hashes[2]], Undecided)
    assert len(rig.client.disagreements()) == 1


def test_receipts__no_method_for_all_of_a_block__each_is_asked_for(rig: Rig) -> None:
    for endpoint in (rig.first, rig.second):
        endpoint.lies["eth_getBlockReceipts"] = lambda _value: RpcError(-32601, "no such method")
    rig.liar.lies["eth_getTransactionReceipt"] = LIES["reverted"]

    receipt = rig.client.receipts([rig.hashes[2]])[rig.hashes[2]]

    assert isinstance(receipt, Receipt)
    assert receipt.succeeded


def test_receipts__the_same_lie_again__not_fetched_again(rig: Rig) -> None:
    rig.liar.lies["eth_getTransactionReceipt"] = LIES["reverted"]
    rig.client.receipts([rig.hashes[2]])
    before = [item.method for item in rig.second.asked].count("eth_getBlockReceipts")

    rig.client.receipts([rig.hashes[2]])

    after = [item.method for item in rig.second.asked].count("eth_getBlockReceipts")
    assert after == before
    assert proving.KEPT_BLOCKS_MAX >= 1


def word_log(value: int) -> Callable[[Any], Any]:
    return lambda logs: [log | {"data": f"0x{value:064x}"} for log in logs]


LOG_LIES: dict[str, Callable[[Any], Any]] = {
    "left out": lambda _logs: [],
    "another value": word_log(9),
    "one more": lambda logs: [*logs, logs[0] | {"logIndex": "0x7"}],
    "another block": lambda logs: [log | {"blockNumber": "0x3"} for log in logs],
    "another transaction": lambda logs: [
        log | {"transactionHash": "0x" + "11" * 32} for log in logs
    ],
    "another address besides": lambda logs: [
        *[log | {"data": f"0x{9:064x}"} for log in logs],
        logs[0] | {"address": "0x" + "22" * 20},
    ],
}


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("lie", LOG_LIES)
def test_transfers__one_of_two_lies__the_true_ones_and_the_liar_is_named(
    rig: Rig, lie: str, liar: int
) -> None:
    (rig.first, rig.second)[liar].lies["eth_getLogs"] = LOG_LIES[lie]

    (transfer,) = rig.client.transfers(rig.contract, from_block=0, to_block=6)

    assert (transfer.value_base_units, transfer.block_number, transfer.transaction_hash) == (
        5,
        1,
        rig.hashes[2],
    )
    assert [why is not None for why in rig.blamed()] == [n == liar for n in range(2)]


def test_transfers__made_up_in_an_empty_block__absent_by_the_bloom_alone(rig: Rig) -> None:
    def make_up(logs: Any) -> Any:
        return [*logs, logs[0] | {"blockNumber": "0x2", "logIndex": "0x0"}]

    rig.liar.lies["eth_getLogs"] = make_up
    for endpoint in (rig.first, rig.second):
        endpoint.lies["eth_getBlockReceipts"] = lambda _value: [None]

    transfers = rig.client.transfers(rig.contract, from_block=0, to_block=6)

    assert [transfer.block_number for transfer in transfers] == [1]


def test_transfers__they_differ_about_many_blocks__in_smaller_pages(rig: Rig) -> None:
    rig.chain.mine(40)
    rig.client.refresh()
    rig.liar.lies["eth_getLogs"] = lambda logs: [
        *logs,
        *[
            {
                **log,
                "blockNumber": hex(number),
                "logIndex": "0x0",
                "blockHash": "0x" + "11" * 32,
            }
            for log in logs
            for number in range(2, 45)
        ],
    ]

    (transfer,) = rig.client.transfers(rig.contract, from_block=0, to_block=46)

    assert transfer.block_number == 1


def test_transfers__nothing_proves_the_block__transient_and_kept_as_a_disagreement(
    rig: Rig,
) -> None:
    rig.liar.lies["eth_getLogs"] = LOG_LIES["left out"]
    for endpoint in (rig.first, rig.second):
        endpoint.lies["eth_getBlockReceipts"] = lambda _value: [None]

    with pytest.raises(Transient, match="first says 0 logs in block 1, second says 1 logs"):
        rig.client.transfers(rig.contract, from_block=0, to_block=6)

    assert len(rig.client.disagreements()) == 1
    rig.liar.lies.clear()
    assert len(rig.client.transfers(rig.contract, from_block=0, to_block=6)) == 1
    assert rig.client.disagreements() == []


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("lie", [None, {"nonce": "0x9"}, {"from": "0x" + "22" * 20}])
def test_transaction_place__one_of_two_lies__proven_by_its_hash(
    rig: Rig, lie: dict[str, str] | None, liar: int
) -> None:
    (rig.first, rig.second)[liar].lies["eth_getTransactionByHash"] = lambda value: (
        None if lie is None else value | lie
    )

    assert rig.client.transaction_place(rig.hashes[2]) == (rig.sender, 2)
