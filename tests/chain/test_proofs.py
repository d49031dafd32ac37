"""What a block holds follows from its hash alone; whatever was changed proves nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]  # ships no types
from eth_utils.crypto import keccak

from settlement_node.chain.wire.decode import read_quantity
from settlement_node.chain.wire.proofs import (
    _HEADER,
    _HEADER_LATER,
    NotProven,
    prove_header,
    prove_place,
    prove_receipts,
)
from settlement_node.units import to_hex32

from .lying import TOPICS, Rig, content


def test_prove_receipts__every_type_of_transaction__as_the_chain_has_them(rig: Rig) -> None:
    block, receipts = content(rig)

    header = prove_header(block, number=1, block_hash=block["hash"])
    proven = prove_receipts(header, block, receipts)

    assert list(proven) == rig.hashes
    assert [receipt.succeeded for receipt in proven.values()] == [True, True, True, False]
    for given, receipt in zip(receipts, proven.values(), strict=True):
        assert receipt.gas_used == int(given["gasUsed"], 16)
        assert receipt.effective_gas_price_wei == int(given["effectiveGasPrice"], 16)
        assert receipt.block_hash == block["hash"]
    (log,) = proven[rig.hashes[2]].logs
    assert (log.address, log.topics, log.log_index) == (rig.contract, TOPICS, 0)


@pytest.mark.parametrize(
    "name", ["stateRoot", "receiptsRoot", "logsBloom", "timestamp", "requestsHash", "number"]
)
def test_prove_header__a_field_is_changed_or_missing__not_proven(rig: Rig, name: str) -> None:
    block, _ = content(rig)
    other = "0x2" if len(block[name]) < 20 else "0x" + "11" * ((len(block[name]) - 2) // 2)

    for changed in (block | {name: other}, {k: v for k, v in block.items() if k != name}, None):
        with pytest.raises(NotProven):
            prove_header(changed, number=1, block_hash=block["hash"])


def test_prove_header__values_stand_under_later_fields_names__not_proven(rig: Rig) -> None:
    """A header of before Prague leaves a name over, and its hash covers the values' order alone."""
    block = {name: value for name, value in content(rig)[0].items() if name != "requestsHash"}
    values = {name: read(block[name]) for name, read in (*_HEADER, *_HEADER_LATER[:-1])}
    block_hash = to_hex32(keccak(rlp.encode(list(values.values()))))
    assert prove_header(block, number=1, block_hash=block_hash).base_fee_per_gas_wei > 0

    later = [name for name, _ in _HEADER_LATER]
    moved = {name: value for name, value in block.items() if name not in later}
    for name, (under, read) in zip(later[:-1], _HEADER_LATER[1:], strict=True):
        moved[under] = shown_as(values[name], is_quantity=read is read_quantity)
    with pytest.raises(NotProven):
        prove_header(moved, number=1, block_hash=block_hash)


def shown_as(value: int | bytes, *, is_quantity: bool) -> str:
    """What RLP encodes alike, in the form that is read under another name."""
    if isinstance(value, int):
        value = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return hex(int.from_bytes(value, "big")) if is_quantity else "0x" + value.hex()


def spoil_receipt(change: dict[str, Any]) -> Callable[[Any, list[Any]], None]:
    return lambda _block, receipts: receipts[2].update(change)


SPOILT: dict[str, Callable[[Any, list[Any]], None]] = {
    "a status": spoil_receipt({"status": "0x0"}),
    "gas": spoil_receipt({"cumulativeGasUsed": "0x1"}),
    "no logs": spoil_receipt({"logs": []}),
    "a type": spoil_receipt({"type": "0x0"}),
    "an unknown type": spoil_receipt({"type": "0x7e"}),
    "a receipt missing": lambda _block, receipts: receipts.pop(),
    "a receipt is null": lambda _block, receipts: receipts.__setitem__(1, None),
    "receipts changed places": lambda _block, receipts: (
        receipts[2].update(transactionIndex="0x3"),
        receipts[3].update(transactionIndex="0x2"),
    )[0],
    "a transaction is another": lambda block, _receipts: block["transactions"][2].update(
        nonce="0x7"
    ),
    "a transaction of unknown type": lambda block, _receipts: block["transactions"][2].update(
        type="0x7e"
    ),
    "transactions as hashes": lambda block, _receipts: block.update(
        transactions=[item["hash"] for item in block["transactions"]]
    ),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_prove_receipts__something_is_changed__not_proven(rig: Rig, spoil: str) -> None:
    block, receipts = copy.deepcopy(content(rig))
    header = prove_header(block, number=1, block_hash=block["hash"])
    SPOILT[spoil](block, receipts)

    with pytest.raises(NotProven):
        prove_receipts(header, block, receipts)


def test_may_have_logs_of__bloom__no_for_who_logged_nothing(rig: Rig) -> None:
    block, _ = content(rig)
    header = prove_header(block, number=1, block_hash=block["hash"])

    assert header.may_have_logs_of(rig.contract)
    assert not header.may_have_logs_of(rig.sender)


@pytest.mark.parametrize("position", range(4))
def test_prove_place__signed_fields__sender_and_nonce(rig: Rig, position: int) -> None:
    block, _ = content(rig)
    transaction = block["transactions"][position]

    assert (rig.sender, position) == prove_place(transaction, rig.hashes[position])


@pytest.mark.parametrize("change", [{"nonce": "0x9"}, {"r": "0x1"}, {"type": "0x7e"}, {"s": None}])
def test_prove_place__a_field_is_changed__not_proven(rig: Rig, change: dict[str, Any]) -> None:
    block, _ = content(rig)

    with pytest.raises(NotProven):
        prove_place(block["transactions"][2] | change, rig.hashes[2])
