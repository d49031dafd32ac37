"""ERC-20 calls and the `Transfer` event as bytes. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.chain.wire.words import (
    address_word,
    read_uint,
    selector,
    topic,
    topic_address,
    uint_word,
)
from settlement_node.domain.observations import Log, TransferEvent
from settlement_node.units import Address, Hex32

TRANSFER_TOPIC = topic("Transfer(address,address,uint256)")

TOTAL_SUPPLY_CALL = selector("totalSupply()")
PAUSED_CALL = selector("paused()")
DECIMALS_CALL = selector("decimals()")
_BALANCE_OF = selector("balanceOf(address)")
_ALLOWANCE = selector("allowance(address,address)")
_TRANSFER_FROM = selector("transferFrom(address,address,uint256)")


def encode_balance_of(holder: Address) -> bytes:
    """Call data of `balanceOf(holder)`."""
    return _BALANCE_OF + address_word(holder)


def encode_allowance(*, owner: Address, spender: Address) -> bytes:
    """Call data of `allowance(owner, spender)`."""
    return _ALLOWANCE + address_word(owner) + address_word(spender)


def encode_transfer_from(*, owner: Address, recipient: Address, value_base_units: int) -> bytes:
    """Calldata of `transferFrom`; asked of a node without sending, it tells whether it would go."""
    words = address_word(owner) + address_word(recipient)
    return _TRANSFER_FROM + words + uint_word(value_base_units, field="value_base_units")


def decode_transfers(logs: Sequence[Log]) -> list[TransferEvent]:
    """The ERC-20 `Transfer` events among `logs`, in the logs' order.

    Four topics make an ERC-721 transfer, which is left out like every other event.
    """
    transfers = []
    for log in logs:
        if len(log.topics) != 3 or log.topics[0] != TRANSFER_TOPIC:
            continue
        transfers.append(
            TransferEvent(
                token_address=log.address,
                from_address=topic_address(log.topics[1]),
                to_address=topic_address(log.topics[2]),
                value_base_units=read_uint(log.data, 0),
                block_number=log.block_number,
                block_hash=log.block_hash,
                transaction_hash=log.transaction_hash,
                log_index=log.log_index,
            )
        )
    return transfers


def address_topic(address: Address) -> Hex32:
    """An address as an indexed topic."""
    return Hex32("0x" + address_word(address).hex())
