"""The node at a glance, as JSON."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from settlement_node.api.fields import AddressOut, BaseUnitsOut, HashOut, Schema
from settlement_node.domain.token_checks import CheckAbout, CheckedToken


class EndpointOut(Schema):
    """One endpoint as this process sees it."""

    name: str
    head_number: int | None
    latency_milliseconds: float | None
    score: float = Field(description="0 is bad, 1 is good.")
    quarantined: bool
    last_error: str | None
    contradiction: str | None = Field(
        description="The last answer of it that others or a proof showed as false, for an hour."
    )


class ChainOut(Schema):
    """A chain this process is configured for."""

    chain_id: int
    endpoints: list[EndpointOut]


class LaneOut(Schema):
    """One signer on one chain, and who works on it."""

    lane: str = Field(examples=["31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])
    chain_id: int
    signer_address: AddressOut
    paused: bool
    pause_reason: str | None
    next_nonce: int | None
    transactions_unfinal: int
    head_number: int | None
    head_hash: HashOut | None
    head_age_seconds: float | None
    final_number: int | None
    held_by: str | None = Field(description="The node that holds the lease, if one does now.")


class OwnCheckOut(Schema):
    """A question of the fund's own; `good` is the answer that lets a redemption go."""

    token: CheckedToken
    about: CheckAbout
    function: str
    good: bool | int


class ChecksOut(Schema):
    """What the fund's tokens are asked before planning: a preset for each, and questions of its
    own."""

    share_token: str | None
    payout_token: str | None
    more: list[OwnCheckOut]


class FundOut(Schema):
    """A fund of the book."""

    fund_id: str
    name: str
    chain_id: int
    lane: str
    settler_address: AddressOut
    treasury_address: AddressOut
    share_token_address: AddressOut
    share_decimals: int
    payout_token_address: AddressOut
    payout_decimals: int
    nav_per_share: BaseUnitsOut | None
    nav_decimals: int
    nav_at_utc: datetime | None
    fee_bps: int
    paused: bool
    pause_reason: str | None
    checks: ChecksOut
    breaks_open_count: int


class AlertOut(Schema):
    """Something a person should look at."""

    kind: str
    subject: str
    detail: str
    raised_at_utc: datetime


class WorkerOut(Schema):
    """A stage of a node."""

    node_id: str
    worker: str
    runs_count: int
    failures_count: int
    last_run_at_utc: datetime
    last_error: str | None


class StatusOut(Schema):
    """Everything at a glance. Counts are over the whole book."""

    version: str
    at_utc: datetime
    redemptions_by_status: dict[str, int]
    settlements_by_status: dict[str, int]
    transactions_unfinal: int
    breaks_open_count: int
    last_event_id: int
    event_subscribers: int
    alerts: list[AlertOut]
    chains: list[ChainOut]
    lanes: list[LaneOut]
    funds: list[FundOut]
    workers: list[WorkerOut]
