"""Answers that are not what they should be: never taken for an absence, never guessed at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from settlement_node.chain.wire.decode import (
    read_block,
    read_data,
    read_hash,
    read_log,
    read_number,
    read_quantity,
    read_receipt,
    read_sender_and_nonce,
)
from settlement_node.chain.wire.words import MalformedData

from .scripted import SETTLER, block, hash_of, log, receipt

HASH = hash_of("transaction")
PLACE = {"hash": HASH, "from": SETTLER, "nonce": "0x7"}


def of_receipt(value: Any) -> object:
    return read_receipt(value, transaction_hash=HASH)


def of_place(value: Any) -> object:
    return read_sender_and_nonce(value, transaction_hash=HASH)


FIELDS = [
    # reader, a good answer, the number made too large, its largest value
    (read_block, block(5), "number", 2**63 - 1),
    (read_block, block(5), "timestamp", 2**63 - 1),
    (read_block, block(5), "gasLimit", 2**63 - 1),
    (read_block, block(5), "baseFeePerGas", 2**256 - 1),
    (read_log, log(5, 0), "blockNumber", 2**63 - 1),
    (read_log, log(5, 0), "logIndex", 2**31 - 1),
    (of_receipt, receipt(HASH, 5), "blockNumber", 2**63 - 1),
    (of_receipt, receipt(HASH, 5), "gasUsed", 2**63 - 1),
    (of_receipt, receipt(HASH, 5), "effectiveGasPrice", 2**256 - 1),
    (of_place, PLACE, "nonce", 2**63 - 1),
]


@pytest.mark.parametrize(
    ("read", "answer", "name", "largest"),
    [pytest.param(*row, id=f"{row[0].__name__} {row[2]}") for row in FIELDS],
)
def test_read__number_larger_than_its_column__malformed(
    read: Callable[[Any], object], answer: dict[str, Any], name: str, largest: int
) -> None:
    assert read({**answer, name: hex(largest)}) is not None
    with pytest.raises(MalformedData):
        read({**answer, name: hex(largest + 1)})


def test_read_quantity__amount_beyond_64_bits__read_as_it_is() -> None:
    assert read_quantity(hex(2**200)) == 2**200
    with pytest.raises(MalformedData):
        read_number(hex(2**200))


@pytest.mark.parametrize(
    "value",
    [
        *("0x", "0x1_0", " 0x1", "0x1 ", "0x+1", "0x-1", "-0x1", "0X1", "1", "0x\u0661"),
        *(1, True, None, [], {}, 1.0, float("nan"), "0x" + "f" * 65),
    ],
)
def test_read_quantity__not_one__malformed(value: Any) -> None:
    with pytest.raises(MalformedData):
        read_quantity(value)


@pytest.mark.parametrize(
    "value", ["0x0 1", "0x01 ", "0x1", "0x_1", "01", "0x\u0661\u0661", 1, None]
)
def test_read_data__not_bytes__malformed(value: Any) -> None:
    with pytest.raises(MalformedData):
        read_data(value)


def test_read_hash__spaces_among_its_66_characters__malformed() -> None:
    with pytest.raises(MalformedData):
        read_hash("0x" + "ab" * 31 + "  ")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"transactionHash": HASH, "status": "0x1"},
        {"blockHash": None, "blockNumber": None},
        receipt(HASH, 5) | {"blockNumber": None},
        receipt(HASH, 5) | {"blockHash": None},
        receipt(HASH, 5) | {"transactionHash": hash_of("other")},
        *("", "0x", 0, False, True, [], [None], 1.0),
    ],
)
def test_read_receipt__no_receipt_and_not_null__malformed_and_not_absent(value: Any) -> None:
    with pytest.raises(MalformedData):
        of_receipt(value)


def test_read_receipt__pending__none() -> None:
    assert of_receipt(receipt(HASH, 5) | {"blockHash": None, "blockNumber": None}) is None


@pytest.mark.parametrize("value", [{}, [], "", True, PLACE | {"hash": hash_of("other")}])
def test_read_sender_and_nonce__not_of_that_transaction__malformed(value: Any) -> None:
    with pytest.raises(MalformedData):
        of_place(value)
