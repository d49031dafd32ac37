"""Why a contract said no, in words: `Error(string)`, `Panic(uint256)` and named errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import parse

from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.chain.contracts.known_errors import SIGNATURES
from settlement_node.chain.wire.words import selector
from settlement_node.domain.observations import SkipReason

_PANICS = {
    0x00: "generic panic",
    0x01: "assertion failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division by zero",
    0x21: "value is not in the enumeration",
    0x22: "storage byte array is wrongly encoded",
    0x31: "pop from an empty array",
    0x32: "array index out of bounds",
    0x41: "too much memory",
    0x51: "call of an uninitialised function",
}
"""https://docs.soliditylang.org — Panic via assert and error via require."""

_OWN_CONTRACTS = ("RedemptionSettler", "FundToken", "TestStablecoin")
_ERROR_STRING = selector("Error(string)")
_PANIC = selector("Panic(uint256)")
_TEXT_CHARACTERS_MAX = 300
"""A contract writes this text; a bound keeps it from filling logs and rows."""


def revert_reason(data: bytes, signatures: Sequence[str] = ()) -> str:
    """Read revert data as a short line for people; never raises.

    `NotOperator(0x…)`, `arithmetic overflow or underflow (Panic 0x11)`, the text of
    `Error(string)`, or the selector of an error that is not known. `signatures` are a fund's own,
    looked at where none of ours fits.
    """
    if not data:
        return "no reason given"
    try:
        return _printable(_read(data, signatures))
    except (DecodingError, OverflowError, ValueError):
        return f"unreadable reason 0x{data[:4].hex()} with {len(data)} bytes"


SETTLER_SAYS: Mapping[SkipReason, str] = {
    SkipReason.ALREADY_SETTLED: "the settler has this index as settled",
    SkipReason.INVALID_ITEM: "the settler takes no item of this form: shares, payout or index is"
    " zero or too large, or investor or payee is an account that cannot take part",
    SkipReason.PRICE_ABOVE_CEILING: "the price is above the settler's ceiling",
    SkipReason.PRICE_BELOW_FLOOR: "the price is below the settler's floor",
    SkipReason.DAILY_LIMIT_EXCEEDED: "the payout is above what the settler may still pay today",
    SkipReason.BURN_NOT_EXACT: "the burn took another number of shares from the investor",
    SkipReason.PAYOUT_NOT_EXACT: "the payout moved another sum at the payee or the treasury",
    SkipReason.ITEM_OUT_OF_GAS: "the tokens need more gas than the settler gives an item",
    SkipReason.PAYEE_NOT_PERMITTED: "the settler restricts payees, and this one is neither the"
    " investor nor permitted for it",
}
"""What the settler decides by itself: its skip brings no words of a token."""


def skip_words(reason: SkipReason, detail: bytes, signatures: Sequence[str] = ()) -> str:
    """Why an item was skipped, for people: the token's own words, or else the settler's rule."""
    return (not detail and SETTLER_SAYS.get(reason)) or revert_reason(detail, signatures)


def _read(data: bytes, signatures: Sequence[str]) -> str:
    head, body = data[:4], data[4:]
    if head == _ERROR_STRING:
        return str(abi_decode(["string"], body)[0]) or "no reason given"
    if head == _PANIC:
        code = int(abi_decode(["uint256"], body)[0])
        return f"{_PANICS.get(code, 'panic')} (Panic 0x{code:02x})"
    own = (signature for signature in signatures if selector(signature) == head)
    signature = _by_selector().get(head) or next(own, None)
    if signature is None:
        return f"unknown error 0x{head.hex()} with {len(body)} bytes of arguments"
    name, _, _ = signature.partition("(")
    # As one tuple, so that an argument may be a tuple itself.
    types = signature.removeprefix(name)
    arguments = _arguments(types, body) if types != "()" else ()
    return f"{name}({', '.join(_show(argument) for argument in arguments)})"


@cache
def _by_selector() -> dict[bytes, str]:
    own = [error for name in _OWN_CONTRACTS for error in load_artifact(name).errors()]
    return {selector(signature): signature for signature in (*own, *SIGNATURES)}


def _arguments(types: str, body: bytes) -> tuple[object, ...]:
    members = [member.to_type_str() for member in parse(types).components]
    return tuple(abi_decode(members, body))


def _show(argument: object) -> str:
    return f"0x{argument.hex()}" if isinstance(argument, bytes) else str(argument)


def _printable(text: str) -> str:
    """Control characters out: this text is chosen by whoever wrote the contract."""
    line = "".join(character if character.isprintable() else "?" for character in text)
    return line if len(line) <= _TEXT_CHARACTERS_MAX else line[:_TEXT_CHARACTERS_MAX] + "…"
