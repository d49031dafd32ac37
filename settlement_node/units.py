"""Amounts and ids as distinct types, and the only conversions and roundings of the project.

Every amount is an integer in base units. What is paid is floored, what is taken is ceiled;
the name of each rounding function says which. No float and no default Decimal context is used.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import NewType

from eth_utils.address import is_checksum_address, to_checksum_address
from eth_utils.crypto import keccak

from settlement_node.errors import InvalidInput

Shares = NewType("Shares", int)
"""Fund token amount in base units of the share token."""
Payout = NewType("Payout", int)
"""Stablecoin amount in base units of the payout token."""
Wei = NewType("Wei", int)
"""Native coin amount, or a price of one unit of gas, in wei."""
Address = NewType("Address", str)
"""EIP-55 checksummed address."""
Hex32 = NewType("Hex32", str)
"""32 bytes as a lower-case 0x string: hashes and redemption ids."""

UINT256_MAX = 2**256 - 1
INT64_MAX = 2**63 - 1
"""The largest number of a plain integer column, row numbers among them."""
BPS_ONE = 10_000
"""One hundred per cent in basis points."""
DECIMALS_MAX = 36
"""More decimals than any token in use; a bound for input."""
YEAR_MIN, YEAR_MAX = 2000, 2200
ZERO_HASH = Hex32("0x" + "00" * 32)
ZERO_ADDRESS = Address("0x" + "00" * 20)

_DIGITS = re.compile(r"[0-9]{1,78}")
_DECIMAL = re.compile(r"([0-9]{1,78})(?:\.([0-9]{1,36}))?")
_HEX32 = re.compile(r"0x[0-9a-fA-F]{64}")
_HEX20 = re.compile(r"0x[0-9a-fA-F]{40}")


def parse_base_units(text: str, *, field: str) -> int:
    """Read a positive integer of base units from its decimal string.

    Raises InvalidInput naming `field` for anything that is not 1 … 2^256 − 1 in plain digits.
    """
    if not _DIGITS.fullmatch(text):
        raise InvalidInput(
            f"{field} must be a whole number of base units in plain digits, for example 2500000",
            field=field,
        )
    value = int(text)
    if value == 0:
        raise InvalidInput(f"{field} must be greater than zero", field=field)
    if value > UINT256_MAX:
        raise InvalidInput(f"{field} must be below 2^256", field=field)
    return value


def parse_decimal_units(text: str, decimals: int, *, field: str) -> int:
    """Read `"12.5"` with 6 decimals as 12500000; a finer fraction is refused, never rounded."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{field} must be a plain decimal number such as 12.5", field=field)
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > decimals:
        raise InvalidInput(f"{field} has more than {decimals} decimals", field=field)
    value = int(whole) * int(10**decimals) + int(fraction.ljust(decimals, "0") or "0")
    if value > UINT256_MAX:
        raise InvalidInput(f"{field} must be below 2^256", field=field)
    return value


def format_units(value: int, decimals: int) -> str:
    """Write base units as an exact decimal string: 12500000 with 6 decimals is `12.5`."""
    sign, digits = ("-", str(-value)) if value < 0 else ("", str(value))
    if decimals == 0:
        return sign + digits
    digits = digits.rjust(decimals + 1, "0")
    fraction = digits[-decimals:].rstrip("0")
    return sign + digits[:-decimals] + ("." + fraction if fraction else "")


def parse_address(text: str, *, field: str) -> Address:
    """Check length and EIP-55 checksum; all-lower-case is refused since it carries no checksum."""
    if not _HEX20.fullmatch(text):
        raise InvalidInput(f"{field} must be 0x followed by 40 hex digits", field=field)
    if not is_checksum_address(text):
        raise InvalidInput(
            f"{field} has a wrong checksum; EIP-55 writes it {to_checksum_address(text)}"
            " — compare it with the source before using that",
            field=field,
        )
    if int(text, 16) == 0:
        raise InvalidInput(f"{field} must not be the zero address", field=field)
    return Address(text)


def parse_hex32(text: str, *, field: str) -> Hex32:
    """Check a 0x string of 32 bytes; returned in lower case."""
    if not _HEX32.fullmatch(text):
        raise InvalidInput(f"{field} must be 0x followed by 64 hex digits", field=field)
    return Hex32(text.lower())


def parse_time(text: str, *, field: str) -> datetime:
    """A time with its zone in ISO 8601, as UTC; raises InvalidInput naming the field."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not YEAR_MIN <= at.year <= YEAR_MAX:
        raise InvalidInput(
            f"{field} must be a time with its zone, such as 2026-01-31T12:00:00Z or"
            f" 2026-01-31T13:00:00+01:00, between the years {YEAR_MIN} and {YEAR_MAX}",
            field=field,
        )
    return at.astimezone(UTC)


def to_hex32(value: bytes) -> Hex32:
    """Write exactly 32 bytes as a lower-case 0x string."""
    if len(value) != 32:
        raise ValueError(f"expected 32 bytes, got {len(value)}")
    return Hex32("0x" + value.hex())


_MINUS_SIGNS = "\u02d7\u2043\u207b\u208b\u2212\u2796"
"""What looks like a hyphen and is no dash to Unicode: minus signs and the hyphen bullet."""


def _hyphen(character: str) -> str:
    """A dash of any kind (Unicode's category Pd) is a hyphen. One that is younger than this
    Python's Unicode is not printable to it, so that an id with it is refused, never kept as two."""
    is_dash = character in _MINUS_SIGNS or unicodedata.category(character) == "Pd"
    return "-" if is_dash else character


def normal_external_id(text: str) -> str:
    """The one form in which external ids are compared, kept and hashed: composed characters (NFC),
    every look-alike of the hyphen a hyphen, the case as given. Plain ASCII is itself."""
    if text.isascii():
        return text
    return "".join(map(_hyphen, unicodedata.normalize("NFC", text)))


def redemption_id_of(*, chain_id: int, share_token_address: Address, external_id: str) -> Hex32:
    """keccak256(chain_id, share_token, external_id): 32-byte word, 20 bytes, UTF-8 bytes of the
    id's normal form.

    Independent of the settler, so the same order entered again after any loss is the same id.
    """
    packed = (
        chain_id.to_bytes(32, "big")
        + bytes.fromhex(share_token_address[2:])
        + normal_external_id(external_id).encode("utf-8")
    )
    return to_hex32(keccak(packed))


def payout_gross_floored(
    *,
    shares_base_units: Shares,
    nav_per_share: int,
    share_decimals: int,
    payout_decimals: int,
    nav_decimals: int,
) -> Payout:
    """shares × NAV in payout base units, floored: the fund never owes a fraction of a base unit.

    `nav_per_share` is the price of one whole share (10^share_decimals base units) as an integer
    with `nav_decimals` decimals.
    """
    numerator = shares_base_units * nav_per_share * 10**payout_decimals
    return Payout(numerator // 10 ** (share_decimals + nav_decimals))


def fee_ceiled(gross_base_units: Payout, *, fee_bps: int) -> Payout:
    """`fee_bps` of the gross payout, ceiled: what is taken rounds against the fund's debtor."""
    return Payout(-(-gross_base_units * fee_bps // BPS_ONE))
