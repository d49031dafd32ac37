"""The state of the whole node on one page, from ten queries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy.engine import RowMapping

from settlement_node import __version__
from settlement_node.chain.context import ChainContext
from settlement_node.domain.token_checks import CheckAbout, CheckedToken
from settlement_node.reads.shapes import AddressOut, Answer, BaseUnitsOut, HashOut
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import list_funds
from settlement_node.store.database import ReadTx, Store
from settlement_node.store.engine.lanes import list_lanes
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import LaneRow
from settlement_node.store.telling import overview, records
from settlement_node.store.telling.attention import open_alerts
from settlement_node.store.telling.outbox import last_id


class EndpointOut(Answer):
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


class ChainOut(Answer):
    """A chain this process is configured for."""

    chain_id: int
    endpoints: list[EndpointOut]


class LaneOut(Answer):
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


class OwnCheckOut(Answer):
    """A question of the fund's own; `good` is the answer that lets a redemption go."""

    token: CheckedToken
    about: CheckAbout
    function: str
    good: bool | int


class ChecksOut(Answer):
    """What the fund's tokens are asked before planning: a preset for each, and questions of its
    own."""

    share_token: str | None
    payout_token: str | None
    more: list[OwnCheckOut]


class FundOut(Answer):
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


class ShortfallOut(Answer):
    """How much is needed and how much there is."""

    needed_base_units: BaseUnitsOut
    available_base_units: BaseUnitsOut
    decimals: int


class AlertOut(Answer):
    """Something a person should look at; `shortfall` where money or gas is short."""

    kind: str
    subject: str
    detail: str
    shortfall: ShortfallOut | None
    raised_at_utc: datetime


class WorkerOut(Answer):
    """A stage of a node."""

    node_id: str
    worker: str
    runs_count: int
    failures_count: int
    last_run_at_utc: datetime
    last_error: str | None


class StatusOut(Answer):
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


def read_status(
    store: Store, chains: Mapping[int, ChainContext], *, event_subscribers: int = 0
) -> StatusOut:
    """Read it all in one consistent view; of the chains, how their endpoints are."""
    with store.read() as tx:
        breaks, unfinal = overview.open_breaks_by_fund(tx), overview.unfinal_by_lane(tx)
        heads, leases = overview.heads_by_lane(tx), overview.leases_by_name(tx)
        return StatusOut(
            version=__version__,
            at_utc=tx.now_utc,
            redemptions_by_status=dict(redemptions.count_by_status(tx).items()),
            settlements_by_status=dict(overview.settlements_by_status(tx).items()),
            transactions_unfinal=sum(unfinal.values()),
            breaks_open_count=sum(breaks.values()),
            last_event_id=last_id(tx),
            event_subscribers=event_subscribers,
            alerts=list(map(AlertOut.of, open_alerts(tx))),
            chains=[_chain(chain_id, chain) for chain_id, chain in sorted(chains.items())],
            lanes=[
                _lane(tx, lane, unfinal.get(key, 0), heads.get(name), leases.get(name))
                for lane in list_lanes(tx)
                for key in [(lane.chain_id, lane.signer_address)]
                for name in [lane_key(*key)]
            ],
            funds=[
                FundOut.of(
                    fund,
                    lane=lane_key(fund.chain_id, fund.lane_address),
                    breaks_open_count=breaks.get(fund.fund_id, 0),
                )
                for fund in list_funds(tx)
            ],
            workers=list(map(WorkerOut.of, records.list_workers(tx))),
        )


def _chain(chain_id: int, chain: ChainContext) -> ChainOut:
    return ChainOut(
        chain_id=chain_id,
        endpoints=[EndpointOut.of(e, score=round(e.score, 3)) for e in chain.client.health()],
    )


def _lane(
    tx: ReadTx, lane: LaneRow, unfinal: int, head: RowMapping | None, lease: RowMapping | None
) -> LaneOut:
    seen: Mapping[str, Any] = {} if head is None else dict(head)
    began = seen.get("timestamp_seconds")
    age = None if began is None else round(max(0.0, tx.now_utc.timestamp() - began), 1)
    is_held = lease is not None and lease["expires_at_utc"] > tx.now_utc
    return LaneOut.of(
        lane,
        lane=lane_key(lane.chain_id, lane.signer_address),
        transactions_unfinal=unfinal,
        head_number=seen.get("block_number"),
        head_hash=seen.get("block_hash"),
        head_age_seconds=age,
        final_number=seen.get("final_number"),
        held_by=lease["holder"] if lease is not None and is_held else None,
    )
