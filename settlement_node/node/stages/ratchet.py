"""What the book says before planning: where the next batch comes in, the lane's next nonce, what is
in flight, and anything that forbids planning now."""

from __future__ import annotations

from settlement_node.domain.planning import BookView, InFlight
from settlement_node.domain.waiting import WaitingFor
from settlement_node.methods import method_of
from settlement_node.node.context import Lane
from settlement_node.reads.standing import read_standing
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import is_read_to
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import FundRow
from settlement_node.units import ZERO_HASH, Payout


def read_book_view(tx: ReadTx, lane: Lane, fund: FundRow) -> BookView:
    """Read everything the book knows that decides whether and how to plan."""
    policy = lane.policy
    lane_row = get_lane(tx, lane.chain_id, lane.signer_address)
    unmined = transactions.unmined(tx, lane.chain_id, lane.signer_address)
    last_live = settlements.last_live(tx, fund.fund_id)
    tip = chain_book.ratchet_tip(tx, lane.chain_id, fund.settler_address)
    in_flight = InFlight(
        undecided=tuple(settlements.undecided(tx, fund.fund_id)),
        last_mark=None if last_live is None else last_live.batch_hash,
        mined_mark=ZERO_HASH if tip is None or tip.batch_hash is None else tip.batch_hash,
    )
    attempts = transactions.attempts_of(tx, [row.transaction_id for row in unmined])
    committed = sum(
        row.gas_limit
        * max((a.max_fee_per_gas_wei for a in attempts[row.transaction_id]), default=0)
        for row in unmined
    )
    obstacle = next(iter(read_standing(tx, get_fund(tx, fund.fund_id)).obstacles()), None)
    if obstacle is None and (
        lane_row is None
        or lane_row.next_nonce is None
        # A re-scan has taken events out of the book.
        or not is_read_to(tx, fund.fund_id, lane.head.number)
        or len(unmined) >= policy.in_flight_max
        or transactions.count_unfinal(tx, lane.chain_id, lane.signer_address) >= policy.unfinal_max
        or not method_of(fund).may_follow(in_flight)
    ):
        obstacle = WaitingFor.EARLIER_BATCH
    return BookView(
        obstacle=obstacle,
        in_flight=in_flight,
        next_nonce=-1 if lane_row is None or lane_row.next_nonce is None else lane_row.next_nonce,
        in_flight_base_units=Payout(redemptions.in_flight_payout(tx, fund.fund_id)),
        gas_committed_wei=committed,
    )
