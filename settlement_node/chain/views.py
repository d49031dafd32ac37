"""What the chain layer answers, beyond the observations the domain works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from settlement_node.domain.observations import Block, BurnStyle
from settlement_node.units import Address, Hex32, Payout


class SendRejection(StrEnum):
    """Why an endpoint did not take a signed transaction."""

    ALREADY_KNOWN = "already_known"
    """It has these very bytes; counts as accepted."""
    NONCE_TOO_LOW = "nonce_too_low"
    """The nonce is used: by this transaction, by another attempt of ours, or by a stranger."""
    NONCE_TOO_HIGH = "nonce_too_high"
    """A gap before this nonce; most endpoints queue instead of refusing."""
    REPLACEMENT_UNDERPRICED = "replacement_underpriced"
    """Another attempt at this nonce is in the mempool and the bump is too small."""
    UNDERPRICED = "underpriced"
    """Below the base fee, the endpoint's minimum tip, or the cheapest in a full mempool."""
    INSUFFICIENT_FUNDS = "insufficient_funds"
    """The sender cannot cover gas limit times fee cap plus value."""
    GAS_LIMIT_TOO_HIGH = "gas_limit_too_high"
    """Above the block gas limit or the protocol's cap for one transaction."""
    INTRINSIC_GAS = "intrinsic_gas"
    """The gas limit does not even cover the transaction's own bytes."""
    MEMPOOL_FULL = "mempool_full"
    """No room now; the same bytes later."""
    FEE_ABOVE_NODE_CAP = "fee_above_node_cap"
    """Gas limit times fee cap is more than this node's own setting lets through; another node, or
    this one set otherwise, takes the same bytes."""
    WRONG_CHAIN = "wrong_chain"
    """Signed for another chain id."""
    RATE_LIMITED = "rate_limited"
    """The endpoint did not look at it."""
    MALFORMED = "malformed"
    """Never acceptable as signed."""
    UNKNOWN = "unknown"
    """A wording not in the table: what happened is not known."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """At least one endpoint has the transaction in its mempool (or already had it)."""

    transaction_hash: Hex32


@dataclass(frozen=True, slots=True)
class Rejected:
    """Every endpoint answered and every one said no, in words that are understood."""

    reason: SendRejection
    message: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """At least one endpoint gave no answer that settles it: look the hash up, send the same bytes
    again, never plan at a new nonce."""

    message: str


SendAnswer = Accepted | Rejected | Unanswered


@dataclass(frozen=True, slots=True)
class HeadView:
    """The agreed head. `safe_number` and `finalized_number` are `None` where the chain has no such
    tag; they never exceed the head."""

    head: Block
    safe_number: int | None
    finalized_number: int | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A question that the endpoints answer differently, and nothing decides between them."""

    about: str
    detail: str
    """Who says what, by name."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Neither there nor absent: the endpoints differ, or could not say. It moves nothing."""

    why: str


@dataclass(frozen=True, slots=True)
class SettlerView:
    """A settler's settings and state at the agreed head.

    `floor_price` (0 for none) and `ceiling_price` are payout base units per whole share, of what
    the payee gets; both payout figures are base units of the payout token;
    `payout_available_base_units` is what the rolling daily limit still allows.
    `operator_address` is the zero address after a dismissal, `predecessor_address` where none was
    named.
    """

    settler_address: Address
    share_token_address: Address
    payout_token_address: Address
    treasury_address: Address
    burn_style: BurnStyle
    batch_hash: Hex32
    paused: bool
    daily_payout_limit_base_units: Payout
    payout_available_base_units: Payout
    floor_price: int
    ceiling_price: int
    item_gas_limit: int
    predecessor_address: Address
    operator_address: Address


@dataclass(frozen=True, slots=True)
class TokenView:
    """An ERC-20's figures at one block, in its base units.

    `paused` is `None` when the token has no `paused()`; `allowance_base_units` is `None` when none
    was asked for.
    """

    token_address: Address
    total_supply_base_units: int
    balances_base_units: Mapping[Address, int]
    allowance_base_units: int | None
    paused: bool | None
