"""What the book says that keeps all of a fund's orders back, for planning and for people alike."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.domain.waiting import Standing
from settlement_node.store.database import ReadTx
from settlement_node.store.engine.lanes import list_lanes
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import funds_in_doubt


def read_standing(tx: ReadTx, fund: FundRow) -> Standing:
    """As the book stands in this transaction, which `fund` was read in."""
    return read_standings(tx, [fund])[fund.fund_id]


def read_standings(tx: ReadTx, funds: Sequence[FundRow]) -> dict[str, Standing]:
    """`read_standing` of several, by their ids, in two queries."""
    open_lanes = {
        (lane.chain_id, lane.signer_address) for lane in list_lanes(tx) if not lane.paused
    }
    doubted = funds_in_doubt(tx, [fund.fund_id for fund in funds])
    return {
        fund.fund_id: Standing(
            lane_paused=(fund.chain_id, fund.lane_address) not in open_lanes,
            fund_paused=fund.paused,
            break_open=fund.fund_id in doubted,
            nav_known=fund.terms() is not None,
        )
        for fund in funds
    }
