"""A token's own errors: signatures, and the file with an ABI that names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import encode as abi_encode

from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.wire.words import selector
from settlement_node.errors import InvalidInput
from settlement_node.methods.error_abi import (
    ABI_FILE_BYTES_MAX,
    ERRORS_MAX,
    error_signatures,
    read_error_abi,
)

from .scripted import ACCOUNT

ABI = """{"abi": [
  {"type": "function", "name": "burn", "inputs": []},
  {"type": "error", "name": "HolderLocked", "inputs": [
    {"type": "address"},
    {"type": "tuple", "components": [{"type": "uint64"}, {"type": "string"}]}]},
  {"type": "error", "name": "Closed", "inputs": []}]}"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "token.abi.json"


def test_read_error_abi__an_error_with_a_struct__is_read_in_words(file: Path) -> None:
    file.write_text(ABI)
    signatures = read_error_abi(file)
    assert ("Closed()", "HolderLocked(address,(uint64,string))") == signatures
    data = selector(signatures[1]) + abi_encode(["address", "(uint64,string)"], [ACCOUNT, (7, "a")])
    assert f"HolderLocked({ACCOUNT.lower()}, (7, 'a'))" == revert_reason(data, signatures)
    assert "unknown error" in revert_reason(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is not JSON"),
        ("[" * 2_000, "it is not JSON"),
        ("5", "it holds no ABI"),
        ("{}", "it holds no ABI"),
        ("[]", "it names 0 errors"),
        ('[{"type": "function"}, {"type": "error"}]', "entry 1 is an error without a name"),
        ('[{"type": "error", "name": 3, "inputs": 5}]', "entry 0 is an error without a name"),
        ('[{"type": "error", "name": "a b", "inputs": []}]', "entry 0: 'a b()' is not the sig"),
        (
            '[5, {"type": "error", "name": "E", "inputs": [{"type": "uint7x"}]}]',
            "entry 1: 'E(uint7x)' has arguments that cannot be read",
        ),
        (
            '[{"type": "error", "name": "E", "inputs": [{"type": "Lock"}]}]',
            "entry 0: 'E(Lock)' has arguments that cannot be read",
        ),
    ],
)
def test_read_error_abi__no_abi__said_with_file_and_entry(
    file: Path, text: str, words: str
) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read_error_abi(file)
    assert {"field": "errors_abi"} == refused.value.details
    assert refused.value.message.startswith(f"{file}: ")
    assert words in refused.value.message


def test_read_error_abi__file_too_large__refused_unread(file: Path) -> None:
    file.write_bytes(b" " * (ABI_FILE_BYTES_MAX + 1))
    with pytest.raises(InvalidInput, match="is larger than"):
        read_error_abi(file)


def test_read_error_abi__not_text__is_not_json(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InvalidInput, match="it is not JSON"):
        read_error_abi(file)


@pytest.mark.parametrize(
    "signature",
    ["E", "E(uint)", "E(address,)", "E(address) ", "E(a", "()", "E(Lock)", f"E{'e' * 300}()"],
)
def test_error_signatures__none_of_an_error__refused_by_name(signature: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        error_signatures([signature])
    assert {"field": "errors"} == refused.value.details
    assert signature[:300] in refused.value.message


def test_error_signatures__more_than_are_kept__refused() -> None:
    assert ERRORS_MAX == len(error_signatures(f"E{n}()" for n in range(ERRORS_MAX)))
    with pytest.raises(InvalidInput, match="at most 500"):
        error_signatures(f"E{n}()" for n in range(ERRORS_MAX + 1))
