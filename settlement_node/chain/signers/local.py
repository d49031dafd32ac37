"""Signers whose key is in this process: for development, tests and small installations."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from coincurve import PrivateKey

from settlement_node.chain.signers.base import (
    Signature,
    SignedTransaction,
    TransactionFields,
    sign_with,
)
from settlement_node.chain.wire.recursion import own_recursion_limit
from settlement_node.chain.wire.words import address_of_public_key
from settlement_node.errors import InvalidInput
from settlement_node.units import Address

_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


class KeySigner:
    """Signs with a private key held in memory. Deterministic: same fields, same bytes."""

    __slots__ = ("_address", "_private_key")

    def __init__(self, private_key: bytes) -> None:
        """`private_key` is 32 bytes; raises InvalidInput otherwise, without showing it."""
        try:
            if len(private_key) != 32:
                raise ValueError
            self._private_key = PrivateKey(private_key)
        except ValueError:
            raise InvalidInput("the private key is not a valid 32-byte key") from None
        self._address = address_of_public_key(self._private_key.public_key)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """From 64 hex digits, with or without 0x."""
        match = _KEY.fullmatch(text.strip())
        if match is None:
            raise InvalidInput("the private key must be 64 hex digits")
        return cls(bytes.fromhex(match.group(1)))

    @classmethod
    def from_environment(cls, variable: str, environment: Mapping[str, str] | None = None) -> Self:
        """From an environment variable holding 64 hex digits; for development."""
        return cls.from_hex(read_variable(variable, environment))

    @property
    def address(self) -> Address:
        """The key's address."""
        return self._address

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        """Sign with RFC 6979 nonces, so that a retry gives the same bytes."""
        return sign_with(fields, signer_address=self._address, sign_digest=self._sign_digest)

    def _sign_digest(self, digest: bytes) -> Signature:
        compact = self._private_key.sign_recoverable(digest, hasher=None)
        return Signature(
            r=int.from_bytes(compact[:32], "big"),
            s=int.from_bytes(compact[32:64], "big"),
            y_parity=compact[64],
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address})"

    def __reduce__(self) -> str:
        raise TypeError("a signer cannot be pickled, since that would write its key down")


class KeystoreSigner(KeySigner):
    """Signs with a key kept in an encrypted JSON keystore (Web3 Secret Storage)."""

    __slots__ = ()

    @classmethod
    def from_keystore(
        cls,
        keystore_path: Path,
        *,
        password_path: Path | None = None,
        password_variable: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Open the keystore with the password from a file (its first line) or from a variable.

        Raises InvalidInput naming the file, never the password, when it does not open.
        """
        with own_recursion_limit():  # and here, since who has no keystore starts sooner without
            from eth_keyfile.keyfile import decode_keyfile_json
        password = read_password(password_path, password_variable, environment)
        try:
            keystore = json.loads(keystore_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InvalidInput(f"keystore {keystore_path} is not a readable JSON file") from None
        try:
            private_key = decode_keyfile_json(keystore, password.encode("utf-8"))
        except (ValueError, KeyError, TypeError, NotImplementedError):
            raise InvalidInput(
                f"keystore {keystore_path} does not open: wrong password or damaged file"
            ) from None
        return cls(bytes(private_key))


def encrypt_key(private_key: bytes, password: str) -> dict[str, Any]:
    """A keystore's content, as `KeystoreSigner` opens it."""
    with own_recursion_limit():
        from eth_keyfile.keyfile import create_keyfile_json
    return create_keyfile_json(private_key, password.encode("utf-8"))


def read_variable(variable: str, environment: Mapping[str, str] | None = None) -> str:
    """What an environment variable holds; InvalidInput naming it when that is nothing."""
    text = (os.environ if environment is None else environment).get(variable)
    if not text:
        raise InvalidInput(f"environment variable {variable} is not set", field=variable)
    return text


def read_password(
    path: Path | None, variable: str | None, environment: Mapping[str, str] | None = None
) -> str:
    """A keystore's password: the first line of a file, or a variable. InvalidInput names what it
    cannot be read from, never the password."""
    if path is not None and variable is None:
        try:
            return path.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except (OSError, UnicodeDecodeError):
            raise InvalidInput(
                f"password file {path} cannot be read", field="password_file"
            ) from None
    if path is None and variable is not None:
        return read_variable(variable, environment)
    raise InvalidInput("give the keystore's password by a file or by a variable, one of them")
