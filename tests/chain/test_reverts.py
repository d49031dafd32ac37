"""Revert data in words."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.chain.contracts.reverts import SETTLER_SAYS, revert_reason, skip_words
from settlement_node.chain.wire.words import selector
from settlement_node.domain.observations import SkipReason

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


def test_skip_words__the_settlers_own_rule__says_the_rule() -> None:
    assert skip_words(SkipReason.PAYEE_NOT_PERMITTED, b"") == (
        "the settler restricts payees, and this one is neither the investor nor permitted for it"
    )


def test_skip_words__a_token_that_gave_a_reason__is_that() -> None:
    assert "frozen" == skip_words(SkipReason.BURN_FAILED, error_string("frozen"))


def test_skip_words__a_token_that_gave_none__says_so() -> None:
    assert "no reason given" == skip_words(SkipReason.PAYOUT_FAILED, b"")


def test_skip_words__every_skip_but_a_tokens__has_words_of_its_own() -> None:
    of_tokens = {SkipReason.NONE, SkipReason.BURN_FAILED, SkipReason.PAYOUT_FAILED}
    assert set(SkipReason) - of_tokens == set(SETTLER_SAYS)
