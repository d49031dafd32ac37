"""What `run --dry-run` prints: for each fund what would be settled, held and left waiting."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import stop_on_signals
from settlement_node.cli.output import (
    EXIT_DONE,
    EXIT_LATER,
    EXIT_WRONG,
    emit,
    finish,
    table,
)

if TYPE_CHECKING:
    from settlement_node.node.context import NodeContext
    from settlement_node.node.dry_run import Rehearsed


def rehearse(context: NodeContext, *, json_output: bool) -> NoReturn:
    """Judge every book once, print the summary, and end with its status."""
    from settlement_node.node.dry_run import run_dry

    stopping = threading.Event()
    stop_on_signals(stopping.set)
    found = run_dry(context, stopping)
    emit(
        {"dry_run": True, "funds": [_document(one) for one in found]},
        json_output=json_output,
        human=lambda console: _show(console, found),
    )
    finish(_status(found))


def _status(found: Sequence[Rehearsed]) -> int:
    if any(one.unjudged_because is not None for one in found):
        return EXIT_LATER
    return EXIT_WRONG if any(o.state.would_hold or o.state.would_wait for o in found) else EXIT_DONE


def _document(one: Rehearsed) -> dict[str, Any]:
    state = one.state
    return {
        "fund_id": one.fund.fund_id,
        "would_settle_count": state.would_settle_count,
        "would_pay_base_units": str(state.would_pay_base_units),
        "would_hold": [
            {
                "external_id": hold.external_id,
                "redemption_id": hold.redemption_id,
                "reason": hold.reason.value,
                "detail": hold.detail,
            }
            for hold in state.would_hold
        ],
        "would_wait": dict(state.would_wait),
        "unjudged_because": one.unjudged_because,
    }


def _show(console: Console, found: Sequence[Rehearsed]) -> None:
    from settlement_node.units import format_units

    console.print("dry run: nothing was planned, signed or sent")
    if not found:
        console.print("the book has no fund yet; settlement-node fund add FILE enters one")
    for one in found:
        fund, state = one.fund, one.state
        paying = format_units(state.would_pay_base_units, fund.payout_decimals)
        console.print(
            f"\n{escape(fund.fund_id)}  would settle {state.would_settle_count} (paying {paying})"
            f" · hold {len(state.would_hold)} · leave waiting {state.would_wait.total()}"
        )
        for waiting_on, count in state.would_wait.items():
            console.print(f"  {count} would wait for {waiting_on}")
        if one.unjudged_because is not None:
            console.print(f"  not all of it was judged: {escape(one.unjudged_because)}")
        if state.would_hold:
            holds = [(h.external_id, h.reason.value, h.detail) for h in state.would_hold]
            console.print(table("", "would be held", "reason", "detail", rows=holds))
