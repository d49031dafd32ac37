"""What every signer shares: the EIP-1559 bytes, the checks on a signature, the assembly.

A concrete signer only turns a 32-byte digest into `(r, s, y_parity)`. Everything that decides
what is signed, and whether the answer may be used, is here and the same for a key in memory, a
key service or a remote signer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import rlp  # type: ignore[import-untyped]  # the package ships no types
from coincurve import PublicKey
from eth_utils.crypto import keccak

from settlement_node.chain.wire.words import address_of_public_key
from settlement_node.errors import InvalidInput, Refused
from settlement_node.units import Address, Hex32, Wei, to_hex32

_TRANSACTION_TYPE = b"\x02"
"""EIP-1559."""
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_NONCE_MAX = 2**64 - 2
"""EIP-2681."""


@dataclass(frozen=True, slots=True)
class TransactionFields:
    """The fields of one EIP-1559 transaction. `to_address` is `None` to create a contract."""

    chain_id: int
    nonce: int
    to_address: Address | None
    data: bytes
    value_wei: Wei
    gas_limit: int
    max_fee_per_gas_wei: Wei
    max_priority_fee_per_gas_wei: Wei


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is written before it is sent: the raw bytes and their hash."""

    raw: bytes
    hash_hex: Hex32


@dataclass(frozen=True, slots=True)
class Signature:
    """An ECDSA signature over secp256k1."""

    r: int
    s: int
    y_parity: int


class Signer(Protocol):
    """Signs transactions of one address."""

    @property
    def address(self) -> Address:
        """The address whose nonces the lane uses."""

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        """Sign; the same fields give the same bytes where the signer is deterministic (RFC 6979).

        Raises InvalidInput for fields no chain takes, Refused for a signature that is not this
        address's, Transient when the signer cannot be reached.
        """


def sign_with(
    fields: TransactionFields,
    *,
    signer_address: Address,
    sign_digest: Callable[[bytes], Signature],
) -> SignedTransaction:
    """Build the bytes, have the digest signed, check the answer and assemble.

    The signature is brought to low-s form (EIP-2) and recovered: a signature that belongs to any
    other address is Refused, before anything could be sent under a wrong nonce.
    """
    digest = keccak(unsigned_bytes(fields))
    signature = low_s(sign_digest(digest))
    recovered = recover_address(digest, signature)
    if recovered != signer_address:
        raise Refused(
            f"the signer of {signer_address} returned a signature of {recovered}",
            expected_address=signer_address,
            recovered_address=recovered,
        )
    signed = [*_payload(fields), signature.y_parity, signature.r, signature.s]
    raw = _TRANSACTION_TYPE + rlp.encode(signed)
    return SignedTransaction(raw=raw, hash_hex=to_hex32(keccak(raw)))


class DistantSigner(ABC):
    """A signer whose key is elsewhere. Its address is given, so that a node starts while it is
    away; before the first signature it is asked once whether it has the key of that address."""

    __slots__ = ("_address", "_checked")

    def __init__(self, address: Address) -> None:
        """Nothing is asked yet."""
        self._address = address
        self._checked = False

    @property
    def address(self) -> Address:
        """The address the key must have."""
        return self._address

    def check(self) -> None:
        """Compare the key's own address with the given one, once.

        Raises InvalidInput when another is configured, Refused when the key is not there or cannot
        be used, Transient when it cannot be asked for now.
        """
        if not self._checked:
            self._compare()
            self._checked = True

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        """Sign; raises as `Signer.sign` says, and what `check` raises before the first time."""
        unsigned = unsigned_bytes(fields)
        try:
            self.check()
        except InvalidInput as error:
            # While running it is the signer that is wrong, not a caller's input.
            raise Refused(error.message, **error.details) from None
        return sign_with(
            fields,
            signer_address=self._address,
            sign_digest=lambda digest: self._signature(unsigned, digest),
        )

    @abstractmethod
    def _compare(self) -> None:
        """Raise as `check` does unless the key is that of the address."""

    @abstractmethod
    def _signature(self, unsigned: bytes, digest: bytes) -> Signature:
        """Have the bytes, or their digest, signed."""


def unsigned_bytes(fields: TransactionFields) -> bytes:
    """The bytes whose keccak hash is signed; for signers that hash by themselves.

    Raises InvalidInput for fields that no chain would take.
    """
    check_fields(fields)
    return _TRANSACTION_TYPE + bytes(rlp.encode(_payload(fields)))


def check_fields(fields: TransactionFields) -> None:
    """Raise InvalidInput for fields that no chain would take."""
    if fields.chain_id < 1:
        raise InvalidInput("chain_id must be at least 1", field="chain_id")
    if not 0 <= fields.nonce <= _NONCE_MAX:
        raise InvalidInput("nonce is out of range", field="nonce")
    if fields.gas_limit < 21_000:
        raise InvalidInput("gas_limit is below any transaction's cost", field="gas_limit")
    if fields.value_wei < 0:
        raise InvalidInput("value_wei is negative", field="value_wei")
    if not 0 <= fields.max_priority_fee_per_gas_wei <= fields.max_fee_per_gas_wei:
        raise InvalidInput(
            "max_priority_fee_per_gas_wei must lie between 0 and max_fee_per_gas_wei",
            field="max_priority_fee_per_gas_wei",
        )


def recover_address(digest: bytes, signature: Signature) -> Address:
    """The address that made `signature` over `digest`; Refused when it is not a signature."""
    if signature.y_parity not in (0, 1) or not 0 < signature.r < _CURVE_ORDER:
        raise Refused("the signer returned something that is not a signature")
    compact = (
        signature.r.to_bytes(32, "big")
        + signature.s.to_bytes(32, "big")
        + bytes([signature.y_parity])
    )
    try:
        public_key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError:
        raise Refused("the signer returned something that is not a signature") from None
    return address_of_public_key(public_key)


def _payload(fields: TransactionFields) -> list[object]:
    """What is signed, in EIP-1559's order; rlp writes integers without leading zeros."""
    return [
        fields.chain_id,
        fields.nonce,
        fields.max_priority_fee_per_gas_wei,
        fields.max_fee_per_gas_wei,
        fields.gas_limit,
        b"" if fields.to_address is None else bytes.fromhex(fields.to_address[2:]),
        fields.value_wei,
        fields.data,
        [],  # no access list
    ]


def low_s(signature: Signature) -> Signature:
    """Chains refuse the upper half of s (EIP-2); key services do not know that."""
    if not 0 < signature.s < _CURVE_ORDER:
        raise Refused("the signer returned something that is not a signature")
    if signature.s <= _CURVE_ORDER // 2:
        return signature
    return Signature(signature.r, _CURVE_ORDER - signature.s, signature.y_parity ^ 1)
