"""Bytes in and out of the simulated contracts: selectors, words, events and revert data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from eth_utils.crypto import keccak

WORD = 32


class Reverted(Exception):
    """A contract said no; `data` is what a caller gets to read."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(data.hex())
        self.data = data


class OutOfGas(Exception):
    """The gas ran out; a caller gets nothing to read."""


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log as a contract wrote it."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@cache
def selector(signature: str) -> bytes:
    """The first four bytes of a signature's hash."""
    return bytes(keccak(text=signature)[:4])


@cache
def topic(signature: str) -> bytes:
    """An event's first topic."""
    return bytes(keccak(text=signature))


def word(value: int | bytes | bool) -> bytes:
    """One word: a number, an address, or 32 bytes as they are."""
    if isinstance(value, bytes):
        return value.rjust(WORD, b"\x00")
    return int(value).to_bytes(WORD, "big")


def words(*values: int | bytes | bool) -> bytes:
    """Several words in a row."""
    return b"".join(word(value) for value in values)


def number_at(data: bytes, place: int) -> int:
    """The word at a place, counted in words, as a number; Reverted past the end."""
    chunk = data[place * WORD : place * WORD + WORD]
    if len(chunk) != WORD:
        raise Reverted
    return int.from_bytes(chunk, "big")


def address_at(data: bytes, place: int) -> bytes:
    """The word at a place as an address; Reverted when it is wider."""
    chunk = data[place * WORD : place * WORD + WORD]
    if len(chunk) != WORD or any(chunk[:12]):
        raise Reverted
    return chunk[12:]


def revert(signature: str, *values: int | bytes | bool) -> Reverted:
    """A named error with static arguments."""
    return Reverted(selector(signature) + words(*values))


def dynamic_bytes(data: bytes) -> bytes:
    """Length word, bytes, padding."""
    return word(len(data)) + data + bytes(-len(data) % WORD)
