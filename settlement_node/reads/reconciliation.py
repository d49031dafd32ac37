"""Where book and chain stand: the latest run of each fund, and the breaks that are open."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from settlement_node.reads.shapes import Answer, BaseUnitsOut
from settlement_node.store.book.funds import get_fund, list_funds
from settlement_node.store.database import Store
from settlement_node.store.telling import overview
from settlement_node.store.telling.attention import breaks_concerning


class BreakOut(Answer):
    """An open difference between book and chain, with its owner."""

    break_id: int
    fund_id: str | None
    chain_id: int
    kind: str
    subject: str
    is_money: bool = Field(description="A money break stops planning until it is resolved.")
    expected: str
    actual: str
    detail: str
    owner: str
    opened_at_utc: datetime


class RunOut(Answer):
    """The latest run over a fund's final blocks, and the figures it ended with; these are null
    within a long history whose old balances no endpoint has."""

    reconciliation_id: int
    from_block: int
    to_block: int
    share_supply_base_units: BaseUnitsOut | None
    treasury_base_units: BaseUnitsOut | None
    settled_count: int
    breaks_opened_count: int
    ran_at_utc: datetime


class FundReconciliationOut(Answer):
    """One fund. `last_run` is null before the first."""

    fund_id: str
    breaks_open_count: int
    last_run: RunOut | None


class ReconciliationOut(Answer):
    """Where book and chain stand. `agrees` means that no break is open."""

    agrees: bool
    funds: list[FundReconciliationOut]
    breaks: list[BreakOut] = Field(description="Open breaks, oldest first, at most 200.")


class FundRunOut(Answer):
    """What the run just made found. `to_block` equals `from_block` when nothing new was final."""

    fund_id: str
    from_block: int
    to_block: int
    settled_count: int
    breaks_opened_count: int
    breaks_open_count: int


class ReconciledOut(Answer):
    """The runs just made, by fund."""

    agrees: bool
    runs: list[FundRunOut]


def read_reconciliation(store: Store, fund_id: str | None) -> ReconciliationOut:
    """Of one fund and its lane, or of all; raises NotFound for an unknown one."""
    with store.read() as tx:
        funds = list_funds(tx) if fund_id is None else [get_fund(tx, fund_id)]
        runs = {r["fund_id"]: r for r in overview.latest_reconciliations(tx, fund_id=fund_id)}
        counts = overview.open_breaks_by_fund(tx)
        breaks = breaks_concerning(tx, None if fund_id is None else funds[0])
    return ReconciliationOut(
        agrees=not breaks,
        funds=[
            FundReconciliationOut(
                fund_id=fund.fund_id,
                breaks_open_count=counts.get(fund.fund_id, 0),
                last_run=RunOut.of(runs[fund.fund_id]) if fund.fund_id in runs else None,
            )
            for fund in funds
        ],
        breaks=list(map(BreakOut.of, breaks)),
    )
