"""The status report from ten queries; the CLI prints the same one."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import RowMapping

from settlement_node import __version__
from settlement_node.api.status.schemas import (
    AlertOut,
    ChainOut,
    ChecksOut,
    EndpointOut,
    FundOut,
    LaneOut,
    StatusOut,
    WorkerOut,
)
from settlement_node.chain.context import ChainContext
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import list_funds
from settlement_node.store.database import ReadTx
from settlement_node.store.engine.lanes import list_lanes
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow, LaneRow
from settlement_node.store.telling import overview, records
from settlement_node.store.telling.attention import open_alerts
from settlement_node.store.telling.outbox import last_id


def report(
    tx: ReadTx, chains: Mapping[int, ChainContext], *, event_subscribers: int = 0
) -> StatusOut:
    """Read it all in one consistent view."""
    breaks = overview.open_breaks_by_fund(tx)
    unfinal = overview.unfinal_by_lane(tx)
    heads, leases = overview.heads_by_lane(tx), overview.leases_by_lane(tx)
    return StatusOut(
        version=__version__,
        at_utc=tx.now_utc,
        redemptions_by_status={s.value: n for s, n in redemptions.count_by_status(tx).items()},
        settlements_by_status={s.value: n for s, n in overview.settlements_by_status(tx).items()},
        transactions_unfinal=sum(unfinal.values()),
        breaks_open_count=sum(breaks.values()),
        last_event_id=last_id(tx),
        event_subscribers=event_subscribers,
        alerts=[
            AlertOut(**{name: row[name] for name in AlertOut.model_fields})
            for row in open_alerts(tx)
        ],
        chains=[_chain(chain_id, chain) for chain_id, chain in sorted(chains.items())],
        lanes=[
            _lane(
                tx,
                lane,
                unfinal.get((lane.chain_id, lane.signer_address), 0),
                heads.get(lane_key(lane.chain_id, lane.signer_address)),
                leases.get(lane_key(lane.chain_id, lane.signer_address)),
            )
            for lane in list_lanes(tx)
        ],
        funds=[_fund(fund, breaks.get(fund.fund_id, 0)) for fund in list_funds(tx)],
        workers=[
            WorkerOut(**{name: row[name] for name in WorkerOut.model_fields})
            for row in records.list_workers(tx)
        ],
    )


def _chain(chain_id: int, chain: ChainContext) -> ChainOut:
    return ChainOut(
        chain_id=chain_id,
        endpoints=[
            EndpointOut(
                name=e.name,
                head_number=e.head_number,
                latency_milliseconds=e.latency_milliseconds,
                score=round(e.score, 3),
                quarantined=e.quarantined,
                last_error=e.last_error,
                contradiction=e.contradiction,
            )
            for e in chain.client.health()
        ],
    )


def _lane(
    tx: ReadTx, lane: LaneRow, unfinal: int, head: RowMapping | None, lease: RowMapping | None
) -> LaneOut:
    held = lease is not None and lease["expires_at_utc"] > tx.now_utc
    return LaneOut(
        lane=lane_key(lane.chain_id, lane.signer_address),
        chain_id=lane.chain_id,
        signer_address=lane.signer_address,
        paused=lane.paused,
        pause_reason=lane.pause_reason,
        next_nonce=lane.next_nonce,
        transactions_unfinal=unfinal,
        head_number=None if head is None else head["block_number"],
        head_hash=None if head is None else head["block_hash"],
        head_age_seconds=(
            None
            if head is None
            else round(max(0.0, tx.now_utc.timestamp() - head["timestamp_seconds"]), 1)
        ),
        final_number=None if head is None else head["final_number"],
        held_by=lease["holder"] if lease is not None and held else None,
    )


def _fund(fund: FundRow, breaks_open_count: int) -> FundOut:
    return FundOut(
        fund_id=fund.fund_id,
        name=fund.name,
        chain_id=fund.chain_id,
        lane=lane_key(fund.chain_id, fund.lane_address),
        settler_address=fund.settler_address,
        treasury_address=fund.treasury_address,
        share_token_address=fund.share_token_address,
        share_decimals=fund.share_decimals,
        payout_token_address=fund.payout_token_address,
        payout_decimals=fund.payout_decimals,
        nav_per_share=None if fund.nav_per_share is None else str(fund.nav_per_share),
        nav_decimals=fund.nav_decimals,
        nav_at_utc=fund.nav_at_utc,
        fee_bps=fund.fee_bps,
        paused=fund.paused,
        pause_reason=fund.pause_reason,
        checks=ChecksOut.model_validate(fund.checks.document()),
        breaks_open_count=breaks_open_count,
    )
