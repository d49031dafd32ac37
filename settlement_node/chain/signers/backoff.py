"""Waiting longer and longer before a signer that failed is asked again.

A lane is looked at every second or two. Without this, a signer that hangs would be waited for in
every pass, and every other lane of the process would wait with it.
"""

from __future__ import annotations

from collections.abc import Callable

from settlement_node.chain.signers.base import SignedTransaction, Signer, TransactionFields
from settlement_node.errors import Refused, Transient
from settlement_node.units import Address

FIRST_PAUSE_SECONDS = 1.0
PAUSE_SECONDS_MAX = 30.0


class BackoffSigner:
    """Another signer, left alone for a while after it failed; one success ends the pauses.

    In a pause the last failure is raised again, at once, as the same family with the same words.
    """

    __slots__ = ("_asks_again_at", "_failure", "_now", "_pause_seconds", "_signer")

    def __init__(self, signer: Signer, *, now: Callable[[], float]) -> None:
        """`now` is a clock that only goes forward, in seconds."""
        self._signer = signer
        self._now = now
        self._failure: Refused | Transient | None = None
        self._pause_seconds = 0.0
        self._asks_again_at = 0.0

    @property
    def address(self) -> Address:
        """The other signer's address."""
        return self._signer.address

    def sign(self, fields: TransactionFields) -> SignedTransaction:
        """Ask the other signer unless it is being left alone; raises as `Signer.sign` says."""
        if self._failure is not None and self._now() < self._asks_again_at:
            raise type(self._failure)(self._failure.message, **self._failure.details)
        try:
            signed = self._signer.sign(fields)
        except (Refused, Transient) as error:
            self._failure = type(error)(error.message, **error.details)
            self._pause_seconds = min(
                max(2 * self._pause_seconds, FIRST_PAUSE_SECONDS), PAUSE_SECONDS_MAX
            )
            self._asks_again_at = self._now() + self._pause_seconds
            raise
        self._failure, self._pause_seconds = None, 0.0
        return signed

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._signer!r})"
