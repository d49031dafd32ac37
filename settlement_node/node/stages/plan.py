"""Plan: group what is due into a settlement, with a price, a nonce and its place among the others.

Everything is read and decided first, outside any database transaction (`preflight`); then one
fenced commit carries the plan out: it gives the nonce, binds the redemptions, books what is owed,
and notes what is held and what waits. Nothing leaves the process here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from settlement_node.domain.attention import Alert, AlertKind, OfFund
from settlement_node.domain.lifecycle import PLANNED_AS, RedemptionStatus
from settlement_node.domain.planning import BookView, Plan, PlannedBatch
from settlement_node.domain.waiting import WaitingFor
from settlement_node.errors import Refused, Transient
from settlement_node.methods import method_of
from settlement_node.node.context import Footing, Lane, Rehearsal, Rest
from settlement_node.node.stages.preflight import make_plan
from settlement_node.node.stages.ratchet import read_book_view
from settlement_node.node.stages.rehearse import rehearse_fund
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import lock_fund_to_plan
from settlement_node.store.book.redemptions import Advance
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.lanes import lock_lane
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.telling.attention import tell
from settlement_node.units import Hex32

log = structlog.get_logger(__name__)
MONEY_WAITS = frozenset({WaitingFor.LIQUIDITY.value, WaitingFor.LIMITS.value})


def plan(lane: Lane) -> int:
    """Plan at most one settlement for each fund of the lane whose settlers are read to the head;
    returns how many were planned. Nothing is planned while the head is behind one seen before."""
    if lane.head.is_behind:
        return 0
    funds = [one.fund for one in lane.work().funds.values()]
    kept_back = {*lane.unscanned, *lane.unplanned}
    return sum(_plan_apart(lane, fund) for fund in funds if fund.fund_id not in kept_back)


def _plan_apart(lane: Lane, fund: FundRow) -> bool:
    """Plan one fund so that trouble that concerns it alone does not keep back the others: a refusal
    is an alert, and what passes ends the pass once the others are planned."""
    try:
        if (rehearsals := lane.context.rehearsals) is None:
            return plan_fund(lane, fund)
        rehearse_fund(lane, fund, rehearsals.setdefault(fund.fund_id, Rehearsal()))
    except Refused as error:
        log.warning("planning_refused", fund_id=fund.fund_id, reason=error.message)
        with lane.commit() as tx:
            about = OfFund(fund.fund_id)
            tell(tx, Alert(AlertKind.PLANNING_REFUSED, about, error.message))
    except Transient as error:
        lane.unplanned[fund.fund_id] = error.message
    return False


def plan_fund(lane: Lane, fund: FundRow) -> bool:
    """Plan the next settlement of one fund, if there is one; True when one was planned. Where
    nothing could be and nothing has changed since, nobody is asked again."""
    rest = _still_asked(lane, fund, lane.memory.resting.pop(fund.fund_id, None))
    with lane.store.read() as tx:
        approved = redemptions.approved_moves(tx, fund.fund_id)
        if not approved[0]:
            return False
        footing = Footing(fund, approved, read_book_view(tx, lane, fund))
        # A settlement date comes once for every node of a database, whatever their clocks say.
        at_utc = lane.store.database_now(tx.connection)
        if rest is not None and rest.holds(footing, at_utc):
            lane.memory.resting[fund.fund_id] = rest
            return False
        due = _due(tx, lane, fund, at_utc)
        paid = chain_book.settled_ids(tx, fund.chain_id, [row.redemption_id for row in due])
        until_utc = redemptions.next_date(tx, fund.fund_id, at_utc=at_utc)
    due = [row for row in due if row.redemption_id not in paid]
    made = make_plan(lane, fund, due, footing.book) if due else Plan()
    if due and _carry_out(lane, fund, due, footing.book, made):
        return True
    # What was noted only now decides who is asked about next; what the chain shows as paid may be
    # forgotten by a re-scan.
    if not paid and _is_noted(due, made):
        lane.memory.resting[fund.fund_id] = Rest(
            footing, lane.head.block_hash, made.chain, made.is_of_block, until_utc
        )
    return False


def _still_asked(lane: Lane, fund: FundRow, rest: Rest | None) -> Rest | None:
    """What rests at this head too: the chain is asked what it was asked then."""
    if rest is None or rest.block_hash == lane.head.block_hash:
        return rest
    if rest.is_of_block:
        return None
    if rest.chain is not None and rest.chain != method_of(fund).state(lane.chain.client):
        return None
    return replace(rest, block_hash=lane.head.block_hash)


def _due(tx: ReadTx, lane: Lane, fund: FundRow, at_utc: datetime) -> list[RedemptionRow]:
    """The oldest due redemptions, twice a batch, so that one that cannot go does not starve those
    behind it. When all of them wait for money, the smallest due ones besides: if any of the fund's
    redemptions can be paid now, one of these can."""
    ahead = 2 * lane.policy.batch_items_max
    due = redemptions.due(tx, fund.fund_id, at_utc=at_utc, limit=ahead)
    if len(due) == ahead and all(row.waiting_on in MONEY_WAITS for row in due):
        known = {row.redemption_id for row in due}
        small = redemptions.due_smallest(tx, fund.fund_id, at_utc=at_utc, limit=ahead)
        due += [row for row in small if row.redemption_id not in known]
    return due


def _carry_out(
    lane: Lane, fund: FundRow, due: Sequence[RedemptionRow], book: BookView, made: Plan
) -> bool:
    """Commit a plan, if there is anything new in it; True when it has a batch."""
    if _is_noted(due, made) and not (made.batch or made.holds or made.alerts or made.gas_short):
        return False
    with lane.commit("plan") as tx:
        _stand_on(tx, lane, fund)
        now = redemptions.get_many(tx, [hold.redemption_id_hex for hold in made.holds])
        redemptions.record_facts(
            tx,
            [
                redemptions.hold(now[hold.redemption_id_hex], hold.reason, hold.words)
                for hold in made.holds
                if now[hold.redemption_id_hex].status is RedemptionStatus.APPROVED
            ],
        )
        for waiting_for, ids in made.waits.items():
            redemptions.set_waiting_on(tx, list(ids), waiting_for.value)
        _tell(tx, lane, fund, made)
        if made.batch is not None:
            rows = {row.redemption_id: row for row in due}
            _commit_batch(tx, lane, fund, book, (made.batch, rows))
    if made.batch is None:
        return False
    log.info(
        "settlement_planned",
        fund_id=fund.fund_id,
        items=len(made.batch.orders),
        gas_limit=made.batch.encoded.gas_limit,
    )
    return True


def _is_noted(due: Sequence[RedemptionRow], made: Plan) -> bool:
    """Whether the book has of each what it waits for."""
    noted = {row.redemption_id: row.waiting_on for row in due}
    return all(
        noted[i] == waiting_for.value for waiting_for, ids in made.waits.items() for i in ids
    )


def _tell(tx: Tx, lane: Lane, fund: FundRow, made: Plan) -> None:
    for kind, words in made.alerts.items():
        amounts = None if words is None else made.shortfalls.get(kind)
        tell(tx, Alert(kind, OfFund(fund.fund_id), words, amounts))
    if made.gas_short is not None:
        detail = f"{lane.signer_address} can pay for no batch: {made.gas_short}; send it coins"
        tell(tx, Alert(AlertKind.GAS_LOW, lane.subject, detail, made.gas_short))


def _stand_on(tx: Tx, lane: Lane, fund: FundRow) -> None:
    """Lock what the plan was made on, so that a pause, a price, a settler or a break is either
    seen by this commit or comes after it. Raises Transient when the price, the settler or the
    checks are not what the plan was made with."""
    now = lock_fund_to_plan(tx, fund.fund_id)
    lock_lane(tx, lane.chain_id, lane.signer_address)
    if (now.terms(), now.settler_address, now.checks) != (
        fund.terms(),
        fund.settler_address,
        fund.checks,
    ):
        raise Transient("the fund's price, settler or checks changed; the batch is prepared anew")


def _commit_batch(
    tx: Tx,
    lane: Lane,
    fund: FundRow,
    book: BookView,
    planned: tuple[PlannedBatch, Mapping[Hex32, RedemptionRow]],
) -> None:
    batch, due = planned
    ids = [order.redemption_id_hex for order in batch.orders]
    if read_book_view(tx, lane, fund) != book or chain_book.settled_ids(tx, fund.chain_id, ids):
        raise Transient("the book changed while the batch was being prepared; it is planned anew")
    encoded, cancel_after = batch.encoded, lane.policy.cancel_after_blocks
    transaction = transactions.plan_transaction(
        tx,
        chain_id=lane.chain_id,
        signer_address=lane.signer_address,
        nonce=book.next_nonce,
        to_address=encoded.to_address,
        data=encoded.data,
        gas_limit=encoded.gas_limit,
        deadline_block=lane.head.number + cancel_after if cancel_after else None,
    )
    rows = redemptions.record_facts(
        tx,
        [
            Advance(
                due[order.redemption_id_hex],
                PLANNED_AS[encoded.leg],
                changes={
                    "gross_base_units": order.price.gross_base_units,
                    "fee_base_units": order.price.fee_base_units,
                    "payout_base_units": order.price.payout_base_units,
                    "nav_per_share": fund.nav_per_share,
                },
                detail={
                    "transaction_id": transaction.transaction_id,
                    "payout_base_units": str(order.price.payout_base_units),
                    "fee_base_units": str(order.price.fee_base_units),
                    "nav_per_share": str(fund.nav_per_share),
                },
            )
            for order in batch.orders
        ],
    )
    settlements.add_settlement(
        tx,
        fund,
        leg=encoded.leg,
        transaction_id=transaction.transaction_id,
        previous_batch_hash=encoded.following,
        batch_hash=encoded.mark,
        items=rows,
    )
