"""What a person may have a node do right now, beside what its workers do by themselves."""

from __future__ import annotations

from settlement_node.errors import Conflict
from settlement_node.node.context import NodeContext
from settlement_node.node.stages.reconcile import reconcile_now
from settlement_node.reads.reconciliation import FundRunOut, ReconciledOut, read_reconciliation
from settlement_node.store.book.funds import get_fund, list_funds


def reconcile_asked(
    context: NodeContext, fund_id: str | None, *, leaves_others_out: bool = False
) -> ReconciledOut:
    """Reconcile a fund, or all of them, over what has become final since the last run.

    Raises NotFound for an unknown fund, Transient when its chain does not answer, Conflict for a
    fund of a chain that this process has no endpoints for, unless all were asked for and such are
    left out.
    """
    with context.store.read() as tx:
        funds = list_funds(tx) if fund_id is None else [get_fund(tx, fund_id)]
    served = [fund for fund in funds if fund.chain_id in context.chains]
    if len(served) < len(funds) and not (leaves_others_out and fund_id is None):
        away = next(fund.chain_id for fund in funds if fund.chain_id not in context.chains)
        raise Conflict(f"this process has no endpoints for chain {away}", field="fund_id")
    runs = [FundRunOut.of(reconcile_now(context, fund)) for fund in served]
    return ReconciledOut(agrees=read_reconciliation(context.store, fund_id).agrees, runs=runs)
