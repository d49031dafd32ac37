"""Signing: the bytes are the protocol's, a wrong signature is refused, a key is never shown."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_keyfile.keyfile import create_keyfile_json
from hypothesis import given
from hypothesis import strategies as st

from settlement_node.chain.signers.base import Signature, TransactionFields, sign_with
from settlement_node.chain.signers.local import KeySigner, KeystoreSigner
from settlement_node.errors import InvalidInput, Refused
from settlement_node.units import Wei

from .scripted import OTHER

KEY = (0xA11CE).to_bytes(32, "big")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELDS = TransactionFields(
    chain_id=1,
    nonce=7,
    to_address=OTHER,
    data=b"data",
    value_wei=Wei(0),
    gas_limit=100_000,
    max_fee_per_gas_wei=Wei(30 * 10**9),
    max_priority_fee_per_gas_wei=Wei(10**9),
)


@given(
    nonce=st.integers(0, 2**64 - 2),
    value=st.integers(0, 2**128),
    data=st.binary(max_size=300),
    gas=st.integers(21_000, 2**40),
    tip=st.integers(0, 2**60),
    over=st.integers(0, 2**60),
    chain_id=st.integers(1, 2**53),
)
def test_sign__any_fields__the_bytes_another_library_makes(
    nonce: int, value: int, data: bytes, gas: int, tip: int, over: int, chain_id: int
) -> None:
    fields = TransactionFields(
        chain_id, nonce, OTHER, data, Wei(value), gas, Wei(tip + over), Wei(tip)
    )
    expected = Account.from_key(KEY).sign_transaction(
        {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "to": OTHER,
            "data": data,
            "value": value,
            "gas": gas,
            "maxFeePerGas": tip + over,
            "maxPriorityFeePerGas": tip,
        }
    )

    signed = KeySigner(KEY).sign(fields)

    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.hash_hex == "0x" + expected.hash.hex()


def test_sign__twice__same_bytes() -> None:
    assert KeySigner(KEY).sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


def high_s(digest: bytes) -> Signature:
    compact = PrivateKey(KEY).sign_recoverable(digest, hasher=None)
    s = int.from_bytes(compact[32:64], "big")
    return Signature(int.from_bytes(compact[:32], "big"), ORDER - s, compact[64] ^ 1)


def test_sign_with__signature_in_high_s_form__brought_to_low_s() -> None:
    signer = KeySigner(KEY)

    assert sign_with(FIELDS, signer_address=signer.address, sign_digest=high_s) == signer.sign(
        FIELDS
    )


def test_sign_with__signature_of_another_key__refused() -> None:
    other = KeySigner((0xB0B).to_bytes(32, "big"))

    with pytest.raises(Refused, match="returned a signature of"):
        sign_with(FIELDS, signer_address=KeySigner(KEY).address, sign_digest=other._sign_digest)


@pytest.mark.parametrize(
    "signature",
    [
        Signature(0, 1, 0),
        Signature(1, 0, 0),
        Signature(ORDER, 1, 0),
        Signature(1, ORDER, 0),
        Signature(1, 1, 2),
        Signature(5, 1, 0),
    ],
)
def test_sign_with__not_a_signature__refused(signature: Signature) -> None:
    with pytest.raises(Refused):
        sign_with(FIELDS, signer_address=OTHER, sign_digest=lambda _digest: signature)


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 0},
        {"nonce": -1},
        {"nonce": 2**64},
        {"gas_limit": 20_999},
        {"value_wei": -1},
        {"max_priority_fee_per_gas_wei": 31 * 10**9},
        {"max_priority_fee_per_gas_wei": -1},
    ],
)
def test_sign__fields_no_chain_takes__invalid_input(change: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        KeySigner(KEY).sign(replace(FIELDS, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex(), f" {KEY.hex()}\n"])
def test_from_hex__usual_forms__same_address(text: str) -> None:
    assert KeySigner.from_hex(text).address == KeySigner(KEY).address


@pytest.mark.parametrize("text", ["", "0x12", "zz" * 32, "00" * 32, "ff" * 32, KEY.hex() + "00"])
def test_from_hex__no_key__invalid_input_without_the_text(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        KeySigner.from_hex(text)

    assert not text or text not in str(caught.value)


def test_from_environment__not_set__names_the_variable() -> None:
    with pytest.raises(InvalidInput, match="LANE_KEY"):
        KeySigner.from_environment("LANE_KEY", {})


def test_repr__signer__shows_the_address_and_not_the_key() -> None:
    signer = KeySigner(KEY)

    shown = f"{signer} {signer!r} {vars(type(signer))}"

    assert signer.address in shown
    assert KEY.hex() not in shown


def test_pickle__signer__refused() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(KeySigner(KEY))


@pytest.fixture
def keystore_path(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.json"
    content = create_keyfile_json(KEY, b"correct horse", iterations=2)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_from_keystore__password_file__opens(keystore_path: Path, tmp_path: Path) -> None:
    password_path = tmp_path / "password"
    password_path.write_text("correct horse\n", encoding="utf-8")

    signer = KeystoreSigner.from_keystore(keystore_path, password_path=password_path)

    assert signer.address == KeySigner(KEY).address


def test_from_keystore__password_variable__opens(keystore_path: Path) -> None:
    signer = KeystoreSigner.from_keystore(
        keystore_path, password_variable="P", environment={"P": "correct horse"}
    )

    assert signer.address == KeySigner(KEY).address


def test_from_keystore__wrong_password__names_the_file_and_not_the_password(
    keystore_path: Path,
) -> None:
    with pytest.raises(InvalidInput, match="does not open") as caught:
        KeystoreSigner.from_keystore(
            keystore_path, password_variable="P", environment={"P": "wrong battery"}
        )

    assert "wrong battery" not in str(caught.value)
    assert str(keystore_path) in str(caught.value)


def test_from_keystore__damaged_file__invalid_input(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    path.write_text('{"crypto": {}}', encoding="utf-8")

    with pytest.raises(InvalidInput):
        KeystoreSigner.from_keystore(path, password_variable="P", environment={"P": "x"})


def test_from_keystore__two_sources_of_a_password__invalid_input(keystore_path: Path) -> None:
    with pytest.raises(InvalidInput, match="one of them"):
        KeystoreSigner.from_keystore(
            keystore_path, password_path=keystore_path, password_variable="P"
        )
