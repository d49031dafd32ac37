"""What the book says that keeps all of a fund's orders back, for planning and for people alike."""

from __future__ import annotations

from settlement_node.domain.waiting import Standing
from settlement_node.store.database import ReadTx
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import open_breaks


def read_standing(tx: ReadTx, fund: FundRow) -> Standing:
    """As the book stands in this transaction, which `fund` was read in."""
    lane = get_lane(tx, fund.chain_id, fund.lane_address)
    return Standing(
        lane_paused=lane is None or lane.paused,
        fund_paused=fund.paused,
        break_open=bool(open_breaks(tx, fund_id=fund.fund_id, money_only=True, limit=1)),
        nav_known=fund.terms() is not None,
    )
