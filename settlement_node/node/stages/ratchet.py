"""What the book says before planning: the ratchet's next hash, the lane's next nonce, what is in
flight, and anything that forbids planning now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.waiting import WaitingFor
from settlement_node.node.context import Lane
from settlement_node.reads.standing import read_standing
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import is_read_to
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import FundRow, SettlementRow
from settlement_node.units import ZERO_HASH, Hex32, Payout


@dataclass(frozen=True, slots=True)
class BookState:
    """The book's side of planning for one fund. `chain_tip` is the ratchet as replayed from
    events; `next_previous_hash` also counts the batches in flight, of which `last_live` is the
    newest and `undecided` are those that are not mined well."""

    obstacle: WaitingFor | None
    chain_tip: Hex32
    next_previous_hash: Hex32
    next_nonce: int
    last_live: int | None
    undecided: tuple[settlements.Undecided, ...]
    in_flight_base_units: Payout
    gas_committed_wei: int
    settled_on_chain: frozenset[Hex32]

    def after_settled(self, settled_on_chain: frozenset[Hex32]) -> BookState:
        """The same state over another set of looked-up redemptions, for comparison."""
        return replace(self, settled_on_chain=settled_on_chain)


def read_book_state(
    tx: ReadTx,
    policy: EnginePolicy,
    lane: Lane,
    fund: FundRow,
    redemption_ids: Sequence[Hex32],
) -> BookState:
    """Read everything the book knows that decides whether and how to plan."""
    lane_row = get_lane(tx, lane.chain_id, lane.signer_address)
    unmined = transactions.unmined(tx, lane.chain_id, lane.signer_address)
    undecided = tuple(settlements.undecided(tx, fund.fund_id))
    last_live = settlements.last_live(tx, fund.fund_id)
    tip = chain_book.ratchet_tip(tx, lane.chain_id, fund.settler_address)
    chain_tip = ZERO_HASH if tip is None or tip.batch_hash is None else tip.batch_hash
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
        or not _ratchet_is_clear(undecided, last_live, chain_tip)
    ):
        obstacle = WaitingFor.EARLIER_BATCH
    paid = chain_book.settled_events(tx, lane.chain_id, redemption_ids)
    return BookState(
        obstacle=obstacle,
        chain_tip=chain_tip,
        next_previous_hash=chain_tip if last_live is None else last_live.batch_hash,
        next_nonce=-1 if lane_row is None or lane_row.next_nonce is None else lane_row.next_nonce,
        last_live=None if last_live is None else last_live.settlement_id,
        undecided=undecided,
        in_flight_base_units=Payout(redemptions.in_flight_payout(tx, fund.fund_id)),
        gas_committed_wei=committed,
        settled_on_chain=frozenset(paid),
    )


def _ratchet_is_clear(
    undecided: Sequence[settlements.Undecided], last_live: SettlementRow | None, chain_tip: Hex32
) -> bool:
    """Whether a further batch can follow those in flight.

    Not while one of them may fail as a whole (reverted, or a cancel is under way): the batches
    behind it would be refused by the ratchet. Not when the first one still unmined does not follow
    the settler's last hash: somebody else moved the ratchet, and ours are about to revert.
    """
    if any(batch.may_fail for batch in undecided):
        return False
    if undecided:
        return undecided[0].previous_batch_hash == chain_tip
    return last_live is None or last_live.batch_hash == chain_tip
