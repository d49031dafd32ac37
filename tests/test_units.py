"""Amounts, addresses and ids: exact, and strict about what comes in."""

from __future__ import annotations

from fractions import Fraction

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import assume, given
from hypothesis import strategies as st

from settlement_node.errors import InvalidInput
from settlement_node.units import (
    BPS_ONE,
    UINT256_MAX,
    ZERO_ADDRESS,
    Address,
    Payout,
    Shares,
    fee_ceiled,
    format_units,
    parse_address,
    parse_base_units,
    parse_decimal_units,
    parse_hex32,
    payout_gross_floored,
    redemption_id_of,
    to_hex32,
)

UINT256 = st.integers(0, UINT256_MAX)
DECIMALS = st.integers(0, 36)
ADDRESSES = st.binary(min_size=20, max_size=20).map(to_checksum_address)


@given(st.integers(1, UINT256_MAX))
def test_parse_base_units__written_number__is_read_back(value: int) -> None:
    assert value == parse_base_units(str(value), field="f")


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "00", "-1", "+1", "1.0", "1e3", "0x10", " 1", "1 ", "1\n", "1_000", "1,000",
        "١٢", "²", "NaN", "1" * 79, str(UINT256_MAX + 1),
    ],
)  # fmt: skip
def test_parse_base_units__anything_else__is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_base_units(text, field="shares_base_units")
    assert refused.value.details == {"field": "shares_base_units"}
    assert str(refused.value).startswith("shares_base_units")


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1), ("001", 1), (str(UINT256_MAX), UINT256_MAX)]
)
def test_parse_base_units__edge__is_read(text: str, expected: int) -> None:
    assert expected == parse_base_units(text, field="f")


@given(UINT256, DECIMALS)
def test_format_units__any_amount__parses_back_to_itself(value: int, decimals: int) -> None:
    assert value == parse_decimal_units(format_units(value, decimals), decimals, field="f")


@given(st.integers(-UINT256_MAX, UINT256_MAX), DECIMALS)
def test_format_units__any_amount__is_the_exact_number(value: int, decimals: int) -> None:
    assert Fraction(value, 10**decimals) == Fraction(format_units(value, decimals))


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (12_500_000, 6, "12.5"), (0, 6, "0"), (1, 6, "0.000001"), (-1, 6, "-0.000001"),
        (10**6, 6, "1"), (7, 0, "7"), (-70, 1, "-7"), (100, 0, "100"),
    ],
)  # fmt: skip
def test_format_units__known_amounts__are_shortest(
    value: int, decimals: int, expected: str
) -> None:
    assert expected == format_units(value, decimals)


@pytest.mark.parametrize(
    ("text", "decimals"),
    [
        ("1.23", 1), ("1.", 6), (".5", 6), ("-1", 6), ("1e2", 6), ("1,5", 6), ("", 6), (" 1", 6),
        ("0.0000001", 6), ("1.0", 0), (str(UINT256_MAX + 1), 0), (str(UINT256_MAX), 1),
    ],
)  # fmt: skip
def test_parse_decimal_units__not_exact_or_not_plain__is_refused(text: str, decimals: int) -> None:
    with pytest.raises(InvalidInput):
        parse_decimal_units(text, decimals, field="f")


@given(ADDRESSES)
def test_parse_address__checksummed__is_taken_as_it_is(address: str) -> None:
    assume(address != ZERO_ADDRESS)
    assert address == parse_address(address, field="f")


@given(ADDRESSES)
def test_parse_address__in_one_case__is_refused_with_its_spelling(address: str) -> None:
    for spelled in (address.lower(), "0x" + address[2:].upper()):
        assume(spelled != address)
        with pytest.raises(InvalidInput, match=address):
            parse_address(spelled, field="f")


@given(ADDRESSES, st.integers(2, 41))
def test_parse_address__one_letter_in_the_wrong_case__is_refused(address: str, at: int) -> None:
    assume(address[at].isalpha())
    with pytest.raises(InvalidInput):
        parse_address(address[:at] + address[at].swapcase() + address[at + 1 :], field="f")


@pytest.mark.parametrize(
    "text",
    ["", "0x", ZERO_ADDRESS, "0x" + "1" * 39, "0x" + "1" * 41, "1" * 40, "0X" + "1" * 40,
     "0x" + "g" * 40, "0x" + "1" * 40 + "\n", "vitalik.eth"],
)  # fmt: skip
def test_parse_address__no_address__is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text, field="f")


@given(st.binary(min_size=32, max_size=32))
def test_hex32__bytes_written_and_read__are_the_same(value: bytes) -> None:
    text = to_hex32(value)
    assert text == parse_hex32(text.replace("a", "A"), field="f")
    assert value == bytes.fromhex(text[2:])


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "1" * 63, "0x" + "1" * 65, "1" * 64, "0x" + "z" * 64]
)
def test_parse_hex32__no_32_bytes__is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_hex32(text, field="f")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_to_hex32__another_length__is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        to_hex32(bytes(length))


def test_redemption_id_of__known_order__has_the_documented_preimage() -> None:
    """keccak256 of a 32-byte chain id, 20 bytes of token, and the UTF-8 of the external id."""
    from Crypto.Hash import keccak

    token = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
    preimage = (31337).to_bytes(32, "big") + bytes.fromhex(token[2:]) + "R-1é".encode()
    expected = "0x" + keccak.new(digest_bits=256, data=preimage).hexdigest()
    actual = redemption_id_of(chain_id=31337, share_token_address=token, external_id="R-1é")
    assert expected == actual


@given(st.integers(1, 2**63), ADDRESSES, st.text(min_size=1, max_size=20), st.integers(0, 2))
def test_redemption_id_of__any_part_changed__is_another_id(
    chain_id: int, token: str, external_id: str, part: int
) -> None:
    assume(not any(0xD800 <= ord(c) <= 0xDFFF for c in external_id))
    other = [
        (chain_id + 1, token, external_id),
        (chain_id, to_checksum_address((int(token, 16) ^ 1).to_bytes(20, "big")), external_id),
        (chain_id, token, external_id + "x"),
    ][part]

    def id_of(chain_id: int, token: str, external_id: str) -> str:
        return redemption_id_of(
            chain_id=chain_id, share_token_address=Address(token), external_id=external_id
        )

    assert id_of(chain_id, token, external_id) != id_of(*other)


TERMS = st.fixed_dictionaries(
    {
        "nav_per_share": st.one_of(st.integers(0, 10**9), UINT256),
        "share_decimals": st.integers(0, 24),
        "payout_decimals": st.integers(0, 24),
        "nav_decimals": st.integers(0, 24),
    }
)


@given(UINT256, TERMS)
def test_payout_gross_floored__any_terms__is_the_exact_value_less_a_fraction(
    shares: int, terms: dict[str, int]
) -> None:
    exact = (
        Fraction(shares, 10 ** terms["share_decimals"])
        * Fraction(terms["nav_per_share"], 10 ** terms["nav_decimals"])
        * 10 ** terms["payout_decimals"]
    )
    gross = payout_gross_floored(shares_base_units=Shares(shares), **terms)
    assert gross <= exact < gross + 1


@given(UINT256, st.integers(0, 10**30), TERMS)
def test_payout_gross_floored__more_shares__is_never_less(
    shares: int, more: int, terms: dict[str, int]
) -> None:
    less = payout_gross_floored(shares_base_units=Shares(shares), **terms)
    assert less <= payout_gross_floored(shares_base_units=Shares(shares + more), **terms)


@given(st.lists(st.integers(0, 10**30), min_size=2, max_size=6), TERMS)
def test_payout_gross_floored__split_in_parts__never_pays_more_than_whole(
    parts: list[int], terms: dict[str, int]
) -> None:
    """Splitting an order gains nothing, and loses less than one base unit a part."""
    whole = payout_gross_floored(shares_base_units=Shares(sum(parts)), **terms)
    split = sum(payout_gross_floored(shares_base_units=Shares(p), **terms) for p in parts)
    assert whole - len(parts) < split <= whole


@given(UINT256, st.integers(0, BPS_ONE - 1))
def test_fee_ceiled__any__is_the_exact_fee_and_less_than_one_more(gross: int, bps: int) -> None:
    fee = fee_ceiled(Payout(gross), fee_bps=bps)
    exact = Fraction(gross * bps, BPS_ONE)
    assert fee - 1 < exact <= fee
    assert 0 <= fee <= gross


@pytest.mark.parametrize(
    ("gross", "bps", "expected"),
    [
        (0, 25, 0),
        (1, 0, 0),
        (1, 1, 1),
        (399, 25, 1),
        (400, 25, 1),
        (401, 25, 2),
        (10_000, 9_999, 9_999),
    ],
)
def test_fee_ceiled__known__is_rounded_up(gross: int, bps: int, expected: int) -> None:
    assert expected == fee_ceiled(Payout(gross), fee_bps=bps)


def test_redemption_id_of__written_with_another_hyphen_or_accent__is_the_same_id() -> None:
    def of(external_id: str) -> str:
        return redemption_id_of(
            chain_id=1,
            share_token_address=Address("0x" + "11" * 20),
            external_id=external_id,
        )

    assert of("Z\u00fcrich-1") == of("Zu\u0308rich\u20131")
    assert of("A-1") != of("a-1")
