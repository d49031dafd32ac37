"""Redemptions as they stand, one and in pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field

from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.errors import InvalidInput
from settlement_node.reads.pages import CursorOut, Listing
from settlement_node.reads.shapes import AddressOut, Answer, BaseUnitsOut, HashOut
from settlement_node.reads.standing import read_standings
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund, list_funds
from settlement_node.store.book.redemptions import RedemptionFilter
from settlement_node.store.book.waits import Told
from settlement_node.store.database import Store
from settlement_node.store.rows import RedemptionRow

__all__ = ["RedemptionFilter"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RedemptionOut(Answer):
    """A redemption as it stands. The payout figures are there once it is priced."""

    redemption_id: HashOut
    fund_id: str
    external_id: str
    redemption_index: int = Field(description="Its bit in the settler, for ever.")
    status: RedemptionStatus
    investor_address: AddressOut
    payee_address: AddressOut
    shares_base_units: BaseUnitsOut
    gross_base_units: BaseUnitsOut | None
    fee_base_units: BaseUnitsOut | None
    payout_base_units: BaseUnitsOut | None
    nav_per_share: BaseUnitsOut | None
    hold_reason: str | None
    hold_detail: str | None
    settle_after_utc: datetime | None
    requested_at_utc: datetime
    approved_at_utc: datetime | None
    broadcast_at_utc: datetime | None
    settled_at_utc: datetime | None
    updated_at_utc: datetime


class RedemptionPage(Answer):
    """Newest first."""

    items: list[RedemptionOut]
    next_cursor: CursorOut


def page_of_redemptions(
    store: Store, wanted: RedemptionFilter, *, limit: int, cursor: str | None
) -> RedemptionPage:
    """Newest first, a page at a time. Raises NotFound for an unknown fund, InvalidInput for a
    cursor of another listing."""
    listing = Listing("redemptions", [wanted], [int, str])
    position = listing.position(cursor)
    after = None if position is None else (_time_at(position[0]), position[1])
    with store.read() as tx:
        told = None
        if wanted.waiting_for is not None:
            funds = list_funds(tx) if wanted.fund_id is None else [get_fund(tx, wanted.fund_id)]
            told = Told(read_standings(tx, funds), store.database_now(tx.connection))
        rows = redemptions.page(tx, wanted, limit=limit + 1, after=after, told=told)
    shown, following = listing.cut(rows, limit=limit, place=_place)
    return RedemptionPage(items=list(map(RedemptionOut.of, shown)), next_cursor=following)


def _place(row: RedemptionRow) -> tuple[int, str]:
    return (row.requested_at_utc - _EPOCH) // _MICROSECOND, row.redemption_id


def _time_at(microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise InvalidInput("cursor holds no time; leave it out", field="cursor") from None
