"""The breaks of a lane: what must never be, and the error with which a stage stops the lane."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.domain.breaks import Break, BreakKind
from settlement_node.domain.lifecycle import TransactionOutcome
from settlement_node.errors import InvariantBroken
from settlement_node.units import Address, Hex32


@dataclass(frozen=True, slots=True)
class LaneBreak(Break):
    """A break of one lane, whatever funds it settles for."""

    subject_template = "{self.chain_id}:{self.signer_address}"
    chain_id: int
    signer_address: Address


class LaneStopped(InvariantBroken):
    """Raised by a stage that met what stops its lane; `found` is the break to open."""

    def __init__(self, found: LaneBreak) -> None:
        super().__init__(found.words()["detail"])
        self.found = found


@dataclass(frozen=True, slots=True)
class ReorganisationBeyondFinality(LaneBreak):
    """Blocks from the first undone one on changed, and `final_block` was final."""

    kind = BreakKind.REORGANISATION_BEYOND_FINALITY
    expected_template = "block {self.final_block} final"
    actual_template = "{self.first_undone_block}"
    detail_template = (
        "a reorganisation reaches block {self.first_undone_block}, but block {self.final_block}"
        " was final"
    )
    final_block: int
    first_undone_block: int


@dataclass(frozen=True, slots=True)
class NonceBreak(LaneBreak):
    """A break at one nonce of a lane."""

    subject_template = "{self.chain_id}:{self.signer_address}:{self.nonce}"
    nonce: int


@dataclass(frozen=True, slots=True)
class StrangerAtNonce(NonceBreak):
    """A nonce of ours is used on the chain by bytes that are not ours; `why` says how it shows."""

    kind = BreakKind.STRANGER_AT_NONCE
    detail_template = "{self.why}"
    why: str


@dataclass(frozen=True, slots=True)
class UnknownBatch(LaneBreak):
    """A batch at one of the lane's settlers that this book did not plan. The first batch of one
    settler may be that of another, byte for byte."""

    kind = BreakKind.UNKNOWN_BATCH
    subject_template = (
        "{self.chain_id}:{self.signer_address}:{self.settler_address}:{self.batch_hash}"
    )
    detail_template = (
        "a batch that this book did not plan was settled at {self.settler_address} in transaction"
        " {self.transaction_hash}, sent by {self.sender_address} with nonce {self.sender_nonce}:"
        " somebody else settles with this key or was made operator, or another node runs on another"
        " database"
    )
    settler_address: Address
    batch_hash: Hex32
    transaction_hash: Hex32
    sender_address: Address
    sender_nonce: int


@dataclass(frozen=True, slots=True)
class BookWasBehind(NonceBreak):
    """The chain had used nonces from `nonce` to below `chain_nonce` that the book never gave. What
    they paid was replayed, and is judged payment by payment; this is closed only once every fund
    of the lane is reconciled up to the block of that replay."""

    kind = BreakKind.BOOK_WAS_BEHIND
    expected_template = "nonce {self.nonce}"
    actual_template = "{self.replayed_to_block}"
    detail_template = (
        "the chain has used the nonces from {self.nonce} to below {self.chain_nonce} for batches"
        " that this book does not know: it was restored, or somebody else has its key; what they"
        " paid was replayed from the settlers' events up to block {self.replayed_to_block}"
    )
    chain_nonce: int
    replayed_to_block: int

    @property
    def is_money(self) -> bool:
        """What was paid has breaks of its own."""
        return False


@dataclass(frozen=True, slots=True)
class NonceLost(NonceBreak):
    """The chain has lost a transaction of ours that must not go out again."""

    kind = BreakKind.NONCE_LOST
    detail_template = (
        "the chain has lost nonce {self.nonce} of {self.signer_address}, whose transaction was"
        " {self.outcome}: use that nonce with a transfer of nothing to yourself"
    )
    outcome: TransactionOutcome | None


@dataclass(frozen=True, slots=True)
class BrokenInvariant(LaneBreak):
    """Anything else that must never be."""

    kind = BreakKind.INVARIANT_BROKEN
    detail_template = "{self.why}"
    why: str
