"""A dry run from its beginning to its end: every book gone through once, and what came of it.

It takes the leases of its lanes like any node, so that it does not judge beside a node that
settles, reads the chain into the book like any node, and plans, signs and sends nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from settlement_node.node.context import Lane, NodeContext, Rehearsal
from settlement_node.node.cycle import PassEnd, run_pass
from settlement_node.node.lanes import hold_lanes, release
from settlement_node.store.book.funds import list_funds
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow

PATIENCE_SECONDS = 15.0
"""How long nothing may come on before the run ends with what it has."""
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would come of one fund's book now. `unjudged_because` is None when all of it was
    judged, else what kept the run from the rest."""

    fund: FundRow
    state: Rehearsal
    unjudged_because: str | None


def run_dry(
    context: NodeContext,
    stopping: threading.Event,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[Rehearsed]:
    """Judge every due redemption of every fund once, in the order of the funds.

    Ends when all that this node's lanes can judge is judged, when nothing has come on for
    `patience_seconds` (a pause, an endpoint that is away), or when `stopping` is set. Raises
    Transient when the database cannot be reached.
    """
    lanes: dict[str, Lane] = {}
    reasons: dict[str, str] = {}
    known, since = -1, time.monotonic()
    try:
        while True:
            hold_lanes(context, lanes)
            for key, lane in list(lanes.items()):
                result = run_pass(lane)
                reasons[key] = result.reason or ""
                if result.end is PassEnd.LEASE_LOST:
                    del lanes[key]
            found = _found(context, lanes, reasons)
            here = [one for one in found if _key(one.fund) in lanes]
            if stopping.is_set() or all(one.state.is_through for one in here):
                return found
            judged = sum(one.state.judged.bit_count() for one in here)
            if judged > known:
                known, since = judged, time.monotonic()
            elif time.monotonic() - since > patience_seconds:
                return found
            else:
                stopping.wait(PAUSE_SECONDS)
    finally:
        release(context.store, [lane.fence for lane in lanes.values()])


def _found(
    context: NodeContext, lanes: Mapping[str, Lane], reasons: Mapping[str, str]
) -> list[Rehearsed]:
    with context.store.read() as tx:
        funds = list_funds(tx)
    found = []
    for fund in funds:
        lane = lanes.get(_key(fund))
        state = (context.rehearsals or {}).get(fund.fund_id, Rehearsal())
        why = None if state.is_through else _why(context, fund, lane, state, reasons)
        found.append(Rehearsed(fund, state, why))
    return found


def _why(
    context: NodeContext,
    fund: FundRow,
    lane: Lane | None,
    state: Rehearsal,
    reasons: Mapping[str, str],
) -> str:
    key = _key(fund)
    if lane is None and (fund.chain_id, fund.lane_address) not in context.signers:
        return f"no signer for {fund.lane_address} is configured here"
    if lane is None:
        return f"another node holds the lane {key}; stop that one first"
    said = {**lane.unplanned, **lane.unscanned}
    fault = said.get(fund.fund_id) or state.obstacle or reasons.get(key)
    return fault or lane.memory.stalled_reason or "the run was stopped"


def _key(fund: FundRow) -> str:
    return lane_key(fund.chain_id, fund.lane_address)
