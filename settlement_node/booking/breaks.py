"""Breaks that are over: what opened them is explained by what book and chain tell now.

Some breaks say that book or chain lacks a payment which the other has. Once both have it, with the
same figures, the node closes the break and says why. Every other kind waits for a person: that a
difference is not seen any more does not explain it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from settlement_node.domain.breaks import BreakKind, RedemptionBreak
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.domain.reconciliation import (
    EXPLAINED_BY_BOOKING,
    EXPLAINED_BY_EVENT,
    BookEntry,
    is_explained,
)
from settlement_node.store.book import redemptions
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.telling.attention import break_of, open_breaks, resolve_break
from settlement_node.units import Hex32

AT_ONCE_MAX = 1_000


def booked(tx: ReadTx, lane_key: str, fund: FundRow) -> dict[int, RedemptionSettledEvent]:
    """The open breaks of payments that the book lacked and has by now, by number, each with the
    final event that shows it: their orders were entered again after a restore, say."""
    found = _open(tx, fund, EXPLAINED_BY_BOOKING)
    if not found:
        return {}
    final = chain_book.highest_final(tx, lane_key)
    ids = list(found.values())
    events = chain_book.final_payments(tx, fund.chain_id, ids, final_number=final)
    return _explained(tx, found, events)


def close_shown(tx: Tx, fund: FundRow, events: Sequence[RedemptionSettledEvent]) -> int:
    """Close the breaks of payments that the chain did not show and that are among `events`, as
    reconciliation has just read them: those in the book may be what was wrong. Returns how many."""
    found = _open(tx, fund, EXPLAINED_BY_EVENT)
    return close(tx, _explained(tx, found, events)) if found else 0


def _open(tx: ReadTx, fund: FundRow, kinds: Collection[BreakKind]) -> dict[int, Hex32]:
    """The redemption of each open break of these kinds, by number."""
    rows = open_breaks(tx, fund_id=fund.fund_id, kinds=kinds, limit=AT_ONCE_MAX)
    opened = {row["break_id"]: break_of(row) for row in rows}
    return {n: b.redemption_id_hex for n, b in opened.items() if isinstance(b, RedemptionBreak)}


def _explained(
    tx: ReadTx, found: Mapping[int, Hex32], events: Sequence[RedemptionSettledEvent]
) -> dict[int, RedemptionSettledEvent]:
    """The breaks that are over, by number, each with the one payment that explains it."""
    times = Counter(event.redemption_id_hex for event in events)
    paid = {e.redemption_id_hex: e for e in events if times[e.redemption_id_hex] == 1}
    rows = redemptions.get_many(tx, list(found.values()))
    return {
        break_id: paid[redemption_id]
        for break_id, redemption_id in found.items()
        if redemption_id in paid
        and redemption_id in rows
        and is_explained(book_entry(rows[redemption_id]), paid[redemption_id])
    }


def book_entry(
    row: RedemptionRow, *, booked_paid: bool = False, is_own_payment: bool = False
) -> BookEntry:
    """A redemption as comparisons have it."""
    return BookEntry(
        redemption_id_hex=row.redemption_id,
        status=row.status,
        investor_address=row.investor_address,
        payee_address=row.payee_address,
        shares_base_units=row.shares_base_units,
        payout_base_units=row.payout_base_units,
        booked_paid=booked_paid,
        is_own_payment=is_own_payment,
    )


def close(tx: Tx, explained: dict[int, RedemptionSettledEvent]) -> int:
    """Close breaks that a payment explains; returns how many."""
    for break_id, event in explained.items():
        resolve_break(
            tx,
            break_id,
            reason="book and chain have the same payment now, in transaction"
            f" {event.place.transaction_hash}",
        )
    return len(explained)
