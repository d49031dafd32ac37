"""Revert data in words."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.chain.error_abi import error_signatures
from settlement_node.chain.reverts import revert_reason
from settlement_node.chain.words import selector
from settlement_node.errors import InvalidInput

from .scripted import ACCOUNT


def error_string(text: str) -> bytes:
    return selector("Error(string)") + abi_encode(["string"], [text])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no reason given"),
        (
            error_string("Blacklistable: account is blacklisted"),
            "Blacklistable: account is blacklisted",
        ),
        (error_string(""), "no reason given"),
        (
            selector("Panic(uint256)") + abi_encode(["uint256"], [0x11]),
            "arithmetic overflow or underflow (Panic 0x11)",
        ),
        (selector("EnforcedPause()"), "EnforcedPause()"),
        (
            selector("HolderNotPermitted(address)") + abi_encode(["address"], [ACCOUNT]),
            f"HolderNotPermitted({ACCOUNT.lower()})",
        ),
        (
            selector("CMTAT_InvalidTransfer(address,address,uint256)")
            + abi_encode(["address", "address", "uint256"], [ACCOUNT, ACCOUNT, 5]),
            f"CMTAT_InvalidTransfer({ACCOUNT.lower()}, {ACCOUNT.lower()}, 5)",
        ),
        (b"\xde\xad\xbe\xef" + bytes(32), "unknown error 0xdeadbeef with 32 bytes of arguments"),
        (b"\x01", "unknown error 0x01 with 0 bytes of arguments"),
        (selector("NotOwner(address)"), "unreadable reason 0x245aecd3 with 4 bytes"),
    ],
)
def test_revert_reason__forms__words(data: bytes, reason: str) -> None:
    assert revert_reason(data) == reason


ABI = """{"abi": [
  {"type": "function", "name": "burn", "inputs": []},
  {"type": "error", "name": "HolderLocked", "inputs": [
    {"type": "address"},
    {"type": "tuple", "components": [{"type": "uint64"}, {"type": "string"}]}]}]}"""


def test_revert_reason__an_error_of_the_funds_own_abi__is_read() -> None:
    (signature,) = error_signatures(ABI)
    assert "HolderLocked(address,(uint64,string))" == signature
    data = selector(signature) + abi_encode(["address", "(uint64,string)"], [ACCOUNT, (7, "a")])
    assert f"HolderLocked({ACCOUNT.lower()}, (7, 'a'))" == revert_reason(data, (signature,))
    assert "unknown error" in revert_reason(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "5",
        '[{"type": "error"}]',
        '[{"type": "error", "name": 3, "inputs": 5}]',
        '[{"type": "error", "name": "E", "inputs": [{"type": "uint7x"}]}]',
        '[{"type": "error", "name": "E", "inputs": [{"type": "uint7"}]}]',
    ],
)
def test_error_signatures__no_abi__is_refused_by_its_key(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        error_signatures(text)
    assert {"field": "errors_abi"} == refused.value.details


def test_revert_reason__control_characters__replaced() -> None:
    assert revert_reason(error_string("one\ntwo\x1b[31m")) == "one?two?[31m"


def test_revert_reason__endless_text__cut() -> None:
    assert len(revert_reason(error_string("x" * 10_000))) < 320


@given(
    st.binary(max_size=300),
    st.sampled_from(["Error(string)", "Panic(uint256)", "NotOwner(address)"]),
)
def test_revert_reason__arbitrary_bytes__a_line_and_no_error(data: bytes, signature: str) -> None:
    assert revert_reason(data)
    assert "\n" not in revert_reason(selector(signature) + data)
