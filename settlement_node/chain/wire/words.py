"""ABI words: 32-byte packing and reading, for the few shapes this project encodes by hand.

A batch of five hundred items is five hundred times six words; packing them directly is fifty times
faster than a general encoder (docs/adr/0020). Whatever is rarer or less regular is the library's.
"""

from __future__ import annotations

from functools import lru_cache

from coincurve import PublicKey
from eth_utils.abi import event_signature_to_log_topic, function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement_node.errors import InvalidInput
from settlement_node.units import UINT256_MAX, Address, Hex32

WORD_BYTES = 32
ADDRESSES_REMEMBERED = 16_384

selector = function_signature_to_4byte_selector
"""The first four bytes of the hash of a function's or an error's signature."""


class MalformedData(ValueError):
    """The bytes are not what the ABI says. Callers turn it into one of the five families."""


def topic(signature: str) -> Hex32:
    """An event's first topic: the hash of its signature."""
    return Hex32("0x" + event_signature_to_log_topic(signature).hex())


@lru_cache(maxsize=ADDRESSES_REMEMBERED)
def checksummed(address: bytes) -> Address:
    """20 bytes as a checksummed address. Remembered, since the same few addresses fill the logs
    and a checksum costs a hash."""
    return Address(to_checksum_address(address))


def uint_word(value: int, *, field: str) -> bytes:
    """An unsigned integer as one word; InvalidInput naming `field` when it does not fit."""
    if not 0 <= value <= UINT256_MAX:
        raise InvalidInput(f"{field} does not fit into 256 bits", field=field)
    return value.to_bytes(WORD_BYTES, "big")


def address_word(address: Address) -> bytes:
    """An address as one word, left-padded with zeros."""
    return bytes(12) + bytes.fromhex(address[2:])


def hex32_word(value: Hex32) -> bytes:
    """A 0x string of 32 bytes as one word."""
    return bytes.fromhex(value[2:])


def read_uint(data: bytes, offset: int) -> int:
    """The word at byte `offset` as an unsigned integer; MalformedData past the end."""
    word = data[offset : offset + WORD_BYTES]
    if len(word) != WORD_BYTES:
        raise MalformedData(f"no word at byte {offset} of {len(data)}")
    return int.from_bytes(word, "big")


def read_hex32(data: bytes, offset: int) -> Hex32:
    """The word at byte `offset` as a 0x string."""
    return Hex32(f"0x{read_uint(data, offset):064x}")


def read_bool(data: bytes, offset: int) -> bool:
    """The word at byte `offset` as a boolean; anything but 0 and 1 is MalformedData."""
    value = read_uint(data, offset)
    if value > 1:
        raise MalformedData(f"{value} is not a boolean")
    return value == 1


def read_address(data: bytes, offset: int) -> Address:
    """The word at byte `offset` as a checksummed address; its upper 12 bytes must be zero."""
    value = read_uint(data, offset)
    if value >> 160:
        raise MalformedData("an address has more than 20 bytes")
    return checksummed(value.to_bytes(20, "big"))


def read_bytes(data: bytes, offset: int) -> bytes:
    """Dynamic bytes whose length word is at byte `offset`."""
    length = read_uint(data, offset)
    start = offset + WORD_BYTES
    if length > len(data) - start:
        raise MalformedData(f"{length} bytes at byte {start} of {len(data)}")
    return data[start : start + length]


def topic_address(value: Hex32) -> Address:
    """An indexed address from its topic."""
    return read_address(bytes.fromhex(value[2:]), 0)


def address_of_public_key(public_key: PublicKey) -> Address:
    """The last 20 bytes of the hash of the uncompressed point."""
    return Address(to_checksum_address(keccak(public_key.format(compressed=False)[1:])[-20:]))
