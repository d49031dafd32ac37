"""Signed bytes read back into fields, once per bytes: recovering a sender is the dear part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import rlp  # type: ignore[import-untyped]  # the package ships no types
from coincurve import PublicKey
from eth_utils.crypto import keccak


class MalformedTransaction(ValueError):
    """The bytes are no EIP-1559 transaction with a valid signature."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """An EIP-1559 transaction. Those of the simulator's own actors have no raw bytes."""

    hash_hex: str
    raw: bytes
    chain_id: int
    sender: bytes
    nonce: int
    to: bytes | None
    data: bytes
    value: int
    gas: int
    cap: int
    tip: int

    @property
    def intrinsic_gas(self) -> int:
        """Yellow paper, EIP-2028 and EIP-7623."""
        zeros = self.data.count(0)
        others = len(self.data) - zeros
        standard = 21_000 + 4 * zeros + 16 * others
        if self.to is None:
            standard += 32_000 + 2 * ((len(self.data) + 31) // 32)
        return max(standard, 21_000 + 10 * zeros + 40 * others)


@lru_cache(maxsize=20_000)
def decode(raw: bytes) -> Transaction:
    """Read signed bytes; raises MalformedTransaction."""
    try:
        if raw[:1] != b"\x02":
            raise ValueError("not type 2")
        fields = rlp.decode(raw[1:])
        chain_id, nonce, tip, cap, gas, to, value, data, access_list, parity, r, s = fields
        payload = [chain_id, nonce, tip, cap, gas, to, value, data, access_list]
        digest = keccak(b"\x02" + rlp.encode(payload))
        compact = r.rjust(32, b"\x00") + s.rjust(32, b"\x00") + bytes([_number(parity)])
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
        sender = bytes(keccak(key.format(compressed=False)[1:])[-20:])
    except (ValueError, TypeError, rlp.exceptions.RLPException) as error:
        raise MalformedTransaction(f"rlp: {error}") from error
    return Transaction(
        hash_hex="0x" + keccak(raw).hex(),
        raw=raw,
        chain_id=_number(chain_id),
        sender=sender,
        nonce=_number(nonce),
        to=to or None,
        data=data,
        value=_number(value),
        gas=_number(gas),
        cap=_number(cap),
        tip=_number(tip),
    )


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
