"""What operators send, and the short answers they get."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settlement_node.api.fields import (
    EXAMPLE_ADDRESS,
    AddressOut,
    HashOut,
    InputSchema,
    ReasonIn,
    Schema,
    examples,
)
from settlement_node.domain.lifecycle import TransactionStatus


class WhyIn(InputSchema):
    """Why: it goes into the audit trail under the caller's name."""

    model_config = examples({"reason": "payee's bank confirmed the address"})

    reason: ReasonIn


class RescanIn(InputSchema):
    """From which block the settlers' events are read again, and why."""

    model_config = examples({"from_block": 19_000_000, "reason": "endpoint had lost logs"})

    from_block: Annotated[int, Field(ge=0, le=2**63 - 1)]
    reason: ReasonIn


class LaneOut(Schema):
    """A lane after the operation."""

    model_config = examples(
        {"chain_id": 1, "signer_address": EXAMPLE_ADDRESS, "paused": True, "reason": "key change"}
    )

    chain_id: int
    signer_address: AddressOut
    paused: bool
    reason: str


class TransactionAskedOut(Schema):
    """A transaction and what was asked for; the send stage carries it out at its next pass."""

    transaction_id: int
    transaction_hash: HashOut
    nonce: int
    status: TransactionStatus
    asked: str


class RescanOut(Schema):
    """A re-scan that the stages will do."""

    fund_id: str
    from_block: int


class BreakResolvedOut(Schema):
    """A break that is closed."""

    break_id: int
    status: str
