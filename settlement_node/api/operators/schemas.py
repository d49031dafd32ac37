"""What operators send, and the short answers they get."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settlement_node.api.fields import FundIdIn, InputSchema, ReasonIn, examples
from settlement_node.desk.doing import BreaksResolved
from settlement_node.desk.operators import RESOLVE_MAX
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.reads.shapes import EXAMPLE_ADDRESS, AddressOut, Answer, HashOut


class WhyIn(InputSchema):
    """Why: it goes into the audit trail under the caller's name."""

    model_config = examples({"reason": "payee's bank confirmed the address"})

    reason: ReasonIn


class RescanIn(InputSchema):
    """From which block the settlers' events are read again, and why."""

    model_config = examples({"from_block": 19_000_000, "reason": "endpoint had lost logs"})

    from_block: Annotated[int, Field(ge=0, le=2**63 - 1)]
    reason: ReasonIn


class ResolveIn(InputSchema):
    """Which breaks are closed, by number or by kind and fund, and why."""

    model_config = examples(
        {"break_ids": [3, 4, 5], "reason": "entered again; compared with the register"},
        {"kind": "amounts_differ", "fund_id": "growth-fund", "reason": "settled outside the node"},
    )

    break_ids: Annotated[
        list[Annotated[int, Field(ge=1, le=2**63 - 1)]] | None,
        Field(min_length=1, max_length=RESOLVE_MAX),
    ] = None
    kind: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    fund_id: FundIdIn | None = None
    reason: ReasonIn


class LaneOut(Answer):
    """A lane after the operation."""

    model_config = examples(
        {"chain_id": 1, "signer_address": EXAMPLE_ADDRESS, "paused": True, "reason": "key change"}
    )

    chain_id: int
    signer_address: AddressOut
    paused: bool
    reason: str


class TransactionAskedOut(Answer):
    """A transaction and what was asked for; the send stage carries it out at its next pass."""

    transaction_id: int
    transaction_hash: HashOut
    nonce: int
    status: TransactionStatus
    asked: str


class RescanOut(Answer):
    """A re-scan that the stages will do."""

    fund_id: str
    from_block: int


class BreakResolvedOut(Answer):
    """What came of one break: `resolved`, or `not_open` if it was closed before."""

    break_id: int
    status: str


class BreaksResolvedOut(Answer):
    """What came of each break, in the order they were named."""

    breaks: list[BreakResolvedOut]


def each_resolved(answer: BreaksResolved) -> BreaksResolvedOut:
    """From what came of each."""
    told = [
        BreakResolvedOut(break_id=number, status=word) for number, word in answer.breaks.items()
    ]
    return BreaksResolvedOut(breaks=told)


def only_resolved(answer: BreaksResolved) -> BreakResolvedOut:
    """Of the only one."""
    (only,) = each_resolved(answer).breaks
    return only
