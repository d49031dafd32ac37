"""What this book's own payments would have been, of those that it finds made by somebody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settlement_node.booking.found import judged
from settlement_node.domain.found import Judgement
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.domain.reconciliation import BookEntry
from settlement_node.node.context import NodeContext
from settlement_node.store.book import redemptions
from settlement_node.store.book.terms import terms_of
from settlement_node.store.rows import FundRow
from settlement_node.units import Hex32


def judge_found(
    context: NodeContext,
    fund: FundRow,
    book: Mapping[Hex32, BookEntry],
    events: Sequence[RedemptionSettledEvent],
) -> dict[Hex32, Judgement]:
    """What this book's own payments would have been, of those that it did not make."""
    found = [
        e
        for e in events
        if e.redemption_id_hex in book and not book[e.redemption_id_hex].is_own_payment
    ]
    if not found:
        return {}
    numbers = sorted({e.place.block_number for e in found})
    blocks = context.chains[fund.chain_id].client.blocks(numbers)
    with context.store.read() as tx:
        rows = redemptions.get_many(tx, [e.redemption_id_hex for e in found])
        history = terms_of(tx, fund)
    times = {number: block.timestamp_seconds for number, block in blocks.items()}
    return {
        e.redemption_id_hex: judged(
            rows[e.redemption_id_hex],
            e,
            history,
            timestamp_seconds=times.get(e.place.block_number),
        )
        for e in found
    }
