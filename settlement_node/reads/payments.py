"""What the chain shows as paid for one redemption, beside what should have been paid."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from settlement_node.booking.found import judged
from settlement_node.reads.shapes import AddressOut, Answer, BaseUnitsOut, HashOut
from settlement_node.store.book.terms import terms_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import FundRow, RedemptionRow, SettlerEventRow


class PaymentOut(Answer):
    """A payment that a settler's event shows, beside what should have been paid: by the batch that
    made it, or, where no settlement of this book did, by the fund's terms of its time. What a
    whole share was paid with is rounded down, fee taken off."""

    transaction_hash: HashOut
    settler_address: AddressOut
    block_number: int
    is_found: bool = Field(description="No settlement of this book made it.")
    shares_base_units: BaseUnitsOut
    payout_base_units: BaseUnitsOut
    expected_payout_base_units: BaseUnitsOut | None
    payout_per_share_base_units: BaseUnitsOut | None
    expected_payout_per_share_base_units: BaseUnitsOut | None
    difference: str | None = Field(description="What is wrong with it, in words.")


def payments_of(
    tx: ReadTx, fund: FundRow, row: RedemptionRow, planned: Mapping[str | None, int]
) -> list[PaymentOut]:
    """Every payment of a redemption that the settlers' events show, own or found, oldest first.
    `planned` is what each of its batches was to pay, by the hash of the attempt that was mined."""
    events = chain_book.payments_of(tx, fund.chain_id, row.redemption_id)
    history = terms_of(tx, fund) if events else []
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
    expected: int | None,
    difference: str | None,
    *,
    is_found: bool = True,
) -> PaymentOut:
    shares, payout = event.shares_base_units or 0, event.payout_base_units or 0

    def per_share(units: int | None) -> int | None:
        return None if units is None or not shares else units * 10**fund.share_decimals // shares

    return PaymentOut.of(
        event,
        is_found=is_found,
        shares_base_units=shares,
        payout_base_units=payout,
        expected_payout_base_units=expected,
        payout_per_share_base_units=per_share(payout),
        expected_payout_per_share_base_units=per_share(expected),
        difference=difference,
    )
