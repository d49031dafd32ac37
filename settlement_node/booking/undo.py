"""What a reorganisation took back, taken back in the book too."""

from __future__ import annotations

from settlement_node.booking.outcomes import undo_mined
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import list_funds
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow
from settlement_node.units import Address


def undo_from(tx: Tx, *, chain_id: int, signer_address: Address, first_undone_number: int) -> None:
    """Take back everything of the lane that stood on undone blocks; transactions, redemptions,
    postings, settler events and heads, in the commit at hand."""
    lane = lane_key(chain_id, signer_address)
    for row in transactions.mined(tx, chain_id, signer_address, from_block=first_undone_number):
        undo_mined(tx, row)
    for fund in list_funds(tx, chain_id=chain_id, lane_address=signer_address):
        undo_events(tx, fund, first_undone_number=first_undone_number)
    chain_book.forget_heads(tx, lane, from_number=first_undone_number)
    tx.audit("head_reorganised", "lane", lane, {"first_undone_number": first_undone_number})
    tx.emit(
        "head.reorganised",
        lane,
        {"lane": lane, "first_undone_number": first_undone_number},
    )


def undo_events(tx: Tx, fund: FundRow, *, first_undone_number: int) -> None:
    """Forget a fund's settler events from a block on. A redemption that another settler than the
    fund's present one had paid there is held for that, also one that is held already: the payment
    may be mined again at any time, and neither the present settler's ratchet nor its bitmap knows
    of it. One that is settling or paid has a payment of the present settler besides, planned while
    the other, closed then, had paid nothing: what becomes of this event, reconciliation tells."""
    for settler in settlers_of(tx, fund.fund_id):
        address = Address(settler["settler_address"])
        if address != fund.settler_address:
            paid = chain_book.settled_from(
                tx, fund.chain_id, address, from_number=first_undone_number
            )
            redemptions.record_facts(
                tx,
                [
                    redemptions.hold(
                        row,
                        HoldReason.PAYMENT_UNDONE,
                        f"settler {address} paid it in {paid[row.redemption_id]}, which a"
                        " reorganisation took back and which may be mined again",
                    )
                    for row in redemptions.get_many(tx, list(paid)).values()
                    if row.status in (RedemptionStatus.APPROVED, RedemptionStatus.HELD)
                ],
            )
        chain_book.forget_events(
            tx, fund.chain_id, fund.fund_id, address, from_number=first_undone_number
        )
