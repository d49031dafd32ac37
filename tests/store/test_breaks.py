"""Every kind of break comes back from its row as it was opened."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from settlement_node.domain.attention import BREAKS
from settlement_node.domain.breaks import (
    AmountsDiffer,
    BookedNotPaid,
    Break,
    BreakKind,
    BurnTransfersDiffer,
    DoublePaid,
    FundBreak,
    PaidButNotBooked,
    PaidNotInBook,
    Parties,
    PayoutTransfersDiffer,
    PriceDiffers,
    RatchetGap,
    SupplyDiffers,
    TreasuryDiffers,
)
from settlement_node.domain.lane_breaks import (
    BookWasBehind,
    BrokenInvariant,
    LaneBreak,
    NonceLost,
    ReorganisationBeyondFinality,
    StrangerAtNonce,
    UnknownBatch,
)
from settlement_node.domain.lifecycle import RedemptionStatus, TransactionOutcome
from settlement_node.store.database import Store
from settlement_node.store.tables import breaks
from settlement_node.store.telling import attention
from settlement_node.units import UINT256_MAX, Payout, Shares
from tests_support.book import CHAIN_ID, LANE_ADDRESS, add_fund, address, hash32

ID, AT, WHO, SETTLER = hash32("redemption"), hash32("transaction"), address("who"), address("s")
LANE = (CHAIN_ID, LANE_ADDRESS)
PARTIES = Parties(WHO, WHO, Shares(1), Payout(UINT256_MAX))
ONE_OF_EACH: tuple[Break, ...] = (
    DoublePaid(ID, 2, AT),
    PaidNotInBook(ID, WHO, Payout(UINT256_MAX), AT, is_history=True),
    PaidButNotBooked(ID, RedemptionStatus.CANCELLED, AT),
    AmountsDiffer(ID, PARTIES, PARTIES, AT),
    PriceDiffers(ID, None, Payout(7), "no terms {give} it", AT),
    BookedNotPaid(ID),
    PayoutTransfersDiffer(AT, ((2, UINT256_MAX, WHO),), ()),
    BurnTransfersDiffer(AT, (), ((1, 5, WHO),)),
    SupplyDiffers("alpha", UINT256_MAX, 0),
    TreasuryDiffers("alpha", 0, 1),
    RatchetGap(SETTLER, hash32("batch"), hash32("a"), hash32("b")),
    ReorganisationBeyondFinality(*LANE, 10, 9),
    StrangerAtNonce(*LANE, 7, "somebody"),
    UnknownBatch(*LANE, SETTLER, hash32("batch"), AT, WHO, 8),
    BookWasBehind(*LANE, 3, chain_nonce=5, replayed_to_block=70),
    NonceLost(*LANE, 4, TransactionOutcome.REVERTED),
    BrokenInvariant(*LANE, "a thing"),
)


def test_breaks__one_of_each__are_all_the_kinds() -> None:
    assert list(BreakKind) == [found.kind for found in ONE_OF_EACH]
    assert set(BreakKind) == set(BREAKS)


@pytest.mark.parametrize("found", ONE_OF_EACH, ids=lambda found: found.kind)
def test_open_break__of_each_kind__is_read_back_the_same(store: Store, found: Break) -> None:
    fund = add_fund(store)
    with store.transaction(actor="n") as tx:
        if isinstance(found, LaneBreak):
            attention.open_lane_break(tx, found)
        else:
            assert isinstance(found, FundBreak)
            attention.open_break(tx, fund, found)
    with store.read() as tx:
        (row,) = attention.breaks_concerning(tx, fund)
        assert attention.get_open_break(tx, row["break_id"]) == found
    assert (found.kind, found.subject) == (row["kind"], row["subject"])
    assert all("{self" not in words for words in found.words().values())


def test_open_break__amounts__are_decimal_strings_in_the_payload(store: Store) -> None:
    fund = add_fund(store)
    with store.transaction(actor="n") as tx:
        attention.open_break(tx, fund, AmountsDiffer(ID, PARTIES, PARTIES, AT))
        payload = tx.connection.execute(sa.select(breaks.c.payload)).scalar_one()
    assert str(UINT256_MAX) == payload["ordered"]["payout_base_units"]


def test_open_lane_breaks__of_two_lanes__are_told_apart(store: Store) -> None:
    other = (CHAIN_ID, address("another lane"))
    with store.transaction(actor="n") as tx:
        for lane in (LANE, other):
            attention.open_lane_break(tx, StrangerAtNonce(*lane, 7, "somebody"))
        (row,) = attention.open_lane_breaks(tx, *other)
    assert f"{CHAIN_ID}:{other[1]}:7" == row["subject"]
