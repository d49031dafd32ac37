"""The lane's signer, with a key everybody knows, and its bad moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from settlement_node.chain.signers import KeySigner, SignedTransaction, TransactionFields
from settlement_node.errors import Refused, Transient
from settlement_node.units import Address
from tests.simulation.faults import Faults


@cache
def lane_key() -> KeySigner:
    """The key of the lane, in every run."""
    return KeySigner(bytes.fromhex("11" * 32))


@lru_cache(maxsize=50_000)
def sign(fields: TransactionFields) -> SignedTransaction:
    """Signing is deterministic, so replays need not do it again."""
    return lane_key().sign(fields)


class SimSigner:
    """Signs, sometimes late, sometimes not at all. A wrong signature is found by the shared check
    of every signer, so what the node sees of it is Refused."""

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
            raise Refused("the signer returned a signature of another address")
        if self._faults.hits("signer_slow"):
            self._pass_time(18.0)
        return sign(fields)
