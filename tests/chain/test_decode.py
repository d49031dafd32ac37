"""Numbers of an endpoint that no column of the book can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from settlement_node.chain.decode import (
    read_block,
    read_log,
    read_number,
    read_quantity,
    read_receipt,
    read_sender_and_nonce,
)
from settlement_node.chain.words import MalformedData

from .scripted import SETTLER, block, hash_of, log, receipt

HASH = hash_of("transaction")
PLACE = {"from": SETTLER, "nonce": "0x7"}


def of_receipt(value: Any) -> object:
    return read_receipt(value, transaction_hash=HASH)


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
    (read_sender_and_nonce, PLACE, "nonce", 2**63 - 1),
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
