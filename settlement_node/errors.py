"""The five families of errors, by what the node does about them (ARCHITECTURE, Errors)."""

from __future__ import annotations

from typing import Any, ClassVar


class SettlementError(Exception):
    """Base of every error the project raises on purpose.

    `message` says what is wrong, where, and how to mend it, and is safe to show to a caller.
    `details` holds typed fields for programs; it never holds a key or a secret.
    """

    code: ClassVar[str] = "settlement_error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return self.message


class InvalidInput(SettlementError):
    """The caller's input is wrong; nothing was changed. Answered as a 4xx."""

    code: ClassVar[str] = "invalid_input"


class NotFound(InvalidInput):
    """What the caller names does not exist. Answered as 404."""

    code: ClassVar[str] = "not_found"


class Conflict(InvalidInput):
    """The request does not fit the present state. Answered as 409."""

    code: ClassVar[str] = "conflict"


class IdempotencyMismatch(InvalidInput):
    """One idempotency key came with two different bodies. Answered as 422."""

    code: ClassVar[str] = "idempotency_key_reused"


class Refused(SettlementError):
    """A permanent no from the chain, a token or a rule: hold the item for a person."""

    code: ClassVar[str] = "refused"


class Transient(SettlementError):
    """Nothing happened and the same command may be tried again, with bounded backoff."""

    code: ClassVar[str] = "transient"


class OutcomeUnknown(SettlementError):
    """The command may or may not have happened: look it up by hash, never plan anew."""

    code: ClassVar[str] = "outcome_unknown"


class InvariantBroken(SettlementError):
    """Something that must never be: stop the lane and alert."""

    code: ClassVar[str] = "invariant_broken"


class LeaseLost(InvariantBroken):
    """Another node holds the lane; this node's commit was refused by the fencing token."""

    code: ClassVar[str] = "lease_lost"


def words_of(error: Exception) -> str:
    """What a failure is called where it is noted: the message of ours, the kind and words of any
    other."""
    return str(error) if isinstance(error, SettlementError) else f"{type(error).__name__}: {error}"


def cause_of(error: SettlementError) -> str | None:
    """What lies behind an error, for a log line: the words it has for it, else the kind of what
    raised it, whose own words may hold an address with a key in it. None where nothing does."""
    if "cause" in error.details:
        return str(error.details["cause"])
    return None if error.__cause__ is None else type(error.__cause__).__name__
