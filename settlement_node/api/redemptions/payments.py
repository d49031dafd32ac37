"""What the chain shows as paid for one redemption, beside what should have been paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settlement_node.api.fields import units_out
from settlement_node.api.redemptions.schemas import PaymentOut
from settlement_node.booking.found import judged
from settlement_node.store.book.terms import terms_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import (
    FundRow,
    ItemRow,
    RedemptionRow,
    SettlementRow,
    SettlerEventRow,
    TransactionRow,
)
from settlement_node.units import Hex32, Payout


def payments_of(
    tx: ReadTx,
    fund: FundRow,
    row: RedemptionRow,
    items: Sequence[ItemRow],
    batches: Mapping[int, SettlementRow],
    carried: Mapping[int, TransactionRow],
) -> list[PaymentOut]:
    """Every payment of a redemption that the settlers' events show, own or found, oldest first."""
    events = chain_book.payments_of(tx, fund.chain_id, row.redemption_id)
    history = terms_of(tx, fund) if events else []
    planned: dict[Hex32, Payout] = {}
    for item in items:
        mined = carried[batches[item.settlement_id].transaction_id].mined_attempt_hash
        if mined is not None:
            planned[mined] = item.payout_base_units
    told = []
    for event in events:
        own = planned.get(event.transaction_hash)
        if own is None:
            judgement = judged(row, event, history, timestamp_seconds=event.block_timestamp_seconds)
            told.append(_payment(fund, event, judgement.expected_base_units, judgement.fault))
        else:
            differs = None if own == event.payout_base_units else "the batch names another payout"
            told.append(_payment(fund, event, own, differs, is_found=False))
    return told


def _payment(
    fund: FundRow,
    event: SettlerEventRow,
    expected: Payout | None,
    difference: str | None,
    *,
    is_found: bool = True,
) -> PaymentOut:
    shares, payout = event.shares_base_units or 0, event.payout_base_units or 0

    def per_share(units: int | None) -> str | None:
        if units is None or not shares:
            return None
        return str(units * 10**fund.share_decimals // shares)

    return PaymentOut(
        transaction_hash=event.transaction_hash,
        settler_address=event.settler_address,
        block_number=event.block_number,
        is_found=is_found,
        shares_base_units=str(shares),
        payout_base_units=str(payout),
        expected_payout_base_units=units_out(expected),
        payout_per_share_base_units=per_share(payout),
        expected_payout_per_share_base_units=per_share(expected),
        difference=difference,
    )
