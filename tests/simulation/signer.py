"""The lane's signer, with a key everybody knows, and its bad moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from coincurve import PrivateKey

from settlement_node.chain.signers.base import (
    Signature,
    SignedTransaction,
    TransactionFields,
    sign_with,
)
from settlement_node.chain.signers.local import KeySigner
from settlement_node.errors import Transient
from settlement_node.units import Address
from tests.simulation.faults import Faults

LANE_KEY = bytes.fromhex("11" * 32)
OTHER_KEY = bytes.fromhex("22" * 32)


@cache
def lane_key() -> KeySigner:
    """The key of the lane, in every run."""
    return KeySigner(LANE_KEY)


@lru_cache(maxsize=50_000)
def sign(fields: TransactionFields) -> SignedTransaction:
    """Signing is deterministic, so replays need not do it again."""
    return lane_key().sign(fields)


def wrong_signature(digest: bytes) -> Signature:
    """What a broken key service answers: the digest decides in which way it is wrong."""
    way = digest[0] % 4
    key = PrivateKey(OTHER_KEY if way == 0 else LANE_KEY)
    compact = key.sign_recoverable(digest, hasher=None)
    r, s, parity = int.from_bytes(compact[:32]), int.from_bytes(compact[32:64]), compact[64]
    if way == 1:
        return Signature(r, s, parity ^ 1)
    if way == 2:
        return Signature(s, r, parity)
    if way == 3:
        return Signature(r, s, 27 + parity)
    return Signature(r, s, parity)


class SimSigner:
    """Signs, sometimes late, sometimes not at all, sometimes wrongly: then it is the check that
    every signer shares that must refuse, and without it wrong bytes would leave."""

    def __init__(self, faults: Faults, pass_time: Callable[[float], None]) -> None:
        self._faults = faults
        self._pass_time = pass_time

    @property
    def address(self) -> Address:
        """The lane's address."""
        return lane_key().address

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        """Sign, unless something is wrong."""
        if self._faults.hits("signer_down"):
            raise Transient("the signer cannot be reached")
        if self._faults.hits("signer_wrong"):
            return sign_with(fields, signer_address=self.address, sign_digest=wrong_signature)
        if self._faults.hits("signer_slow"):
            self._pass_time(18.0)
        return sign(fields)
