"""Taking redemptions in: orders become approved redemptions, unless the chain knows them as paid.

Source of invariant 1 at the door: a redemption's id is the same however often it is entered, so
whatever the settlers' events show as paid is recorded as settled and never planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from settlement_node.booking.found import is_as_ordered, record_found_settled
from settlement_node.domain.lifecycle import RedemptionFact
from settlement_node.domain.redemption import RedemptionOrder, check_external_id
from settlement_node.errors import Conflict, InvalidInput
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import NewFund, get_fund, lock_fund_to_take_in
from settlement_node.store.book.orders import ids_of, new_rows, repeats, write_new
from settlement_node.store.book.redemptions import Advance
from settlement_node.store.book.settlers import is_read_to
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Tx
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow, RedemptionRow, SettlerEventRow
from settlement_node.units import UINT256_MAX, ZERO_ADDRESS, Hex32

ORDERS_MAX = 1_000
"""Most orders taken in by one call."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Recorded: `approved`, or `settled` when a settler's event already shows its id as paid."""

    row: RedemptionRow


@dataclass(frozen=True, slots=True)
class Repeated:
    """Its external id names another order, in the book or before it in the request."""

    external_id: str
    words: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It can never be settled as it is; `error` says why, and in which field."""

    error: InvalidInput


Answer: TypeAlias = Taken | Repeated | Refused


def intake(
    tx: Tx,
    fund_id: str,
    orders: Sequence[RedemptionOrder],
    *,
    approved_by: str,
    known_ids: Mapping[str, Hex32] | None = None,
) -> list[Answer]:
    """Record approved orders and reserve their shares; an answer for each, in their order, of
    which only the taken are written. `known_ids` is what `store.orders.ids_of` gave before the
    commit began. Raises InvalidInput for too many orders, NotFound for an unknown fund.
    """
    if not 1 <= len(orders) <= ORDERS_MAX:
        raise InvalidInput(f"give 1 to {ORDERS_MAX} redemptions at once", field="redemptions")
    fund = lock_fund_to_take_in(tx, fund_id)
    answers: dict[int, Answer] = {}
    sound: dict[int, RedemptionOrder] = {}
    for place, order in enumerate(orders):
        try:
            sound[place] = check_order(fund, order)
        except InvalidInput as error:
            answers[place] = Refused(error)
    names = [order.external_id for order in sound.values()]
    ids = ids_of(fund, names) if known_ids is None else known_ids
    again = repeats(tx, fund, names)
    final = _paid(tx, fund, [ids[name] for name in names])
    new: dict[int, RedemptionOrder] = {}
    for number, (place, order) in enumerate(sound.items()):
        event = final.get(ids[order.external_id])
        if number in again:
            answers[place] = Repeated(order.external_id, again[number])
        elif event is not None and not is_as_ordered(order, event):
            answers[place] = Refused(_paid_otherwise(order, event))
        else:
            new[place] = order
    rows = _enter(tx, fund, list(new.values()), ids, final, approved_by=approved_by)
    answers |= {place: Taken(row) for place, row in zip(new, rows, strict=True)}
    return [answers[place] for place in range(len(orders))]


def take_in(
    tx: Tx,
    fund_id: str,
    orders: Sequence[RedemptionOrder],
    *,
    approved_by: str,
    known_ids: Mapping[str, Hex32] | None = None,
) -> list[RedemptionRow]:
    """`intake` of all or none: nothing may be committed when it raises. Raises the first refused
    order's error, or Conflict whose `faults` has every repeated one: its place and the words."""
    answers = intake(tx, fund_id, orders, approved_by=approved_by, known_ids=known_ids)
    for answer in answers:
        if isinstance(answer, Refused):
            raise answer.error
    faults = {n: answer for n, answer in enumerate(answers) if isinstance(answer, Repeated)}
    if faults:
        first = next(iter(faults.values()))
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Conflict(
            first.words + more,
            field="external_id",
            external_id=first.external_id,
            faults=tuple((place, answer.words) for place, answer in faults.items()),
        )
    return [answer.row for answer in answers if isinstance(answer, Taken)]


def _paid(tx: Tx, fund: FundRow, ids: Sequence[Hex32]) -> dict[Hex32, SettlerEventRow]:
    """The final events that show any of these as paid. One that is not final yet may be undone;
    the plan stage leaves such a row alone."""
    paid = chain_book.settled_events(tx, fund.chain_id, ids)
    final_number = chain_book.highest_final(tx, lane_key(fund.chain_id, fund.lane_address))
    return {key: event for key, event in paid.items() if event.block_number <= final_number}


def _enter(
    tx: Tx,
    fund: FundRow,
    orders: Sequence[RedemptionOrder],
    ids: Mapping[str, Hex32],
    final: Mapping[Hex32, SettlerEventRow],
    *,
    approved_by: str,
) -> list[RedemptionRow]:
    """New orders as approved redemptions, those of a final payment as settled, in their order."""
    rows = new_rows(tx, fund, orders, known_ids=ids)
    approved = redemptions.advance_new(
        tx,
        [
            Advance(row, RedemptionFact.APPROVAL_GIVEN, detail={"approved_by": approved_by})
            for row in rows
            if row.redemption_id not in final
        ],
    )
    entered = {row.redemption_id: row for row in [*rows, *approved]}
    write_new(tx, list(entered.values()))
    settled = record_found_settled(
        tx,
        fund,
        [(row, final[row.redemption_id]) for row in rows if row.redemption_id in final],
    )
    return list((entered | {row.redemption_id: row for row in settled}).values())


def check_order(fund: FundRow | NewFund, order: RedemptionOrder) -> RedemptionOrder:
    """The order with its external id in normal form, if it keeps the rules that need its fund;
    raises InvalidInput naming the field."""
    external_id = check_external_id(order.external_id)
    if external_id != order.external_id:
        order = replace(order, external_id=external_id)
    if not 0 < order.shares_base_units <= UINT256_MAX:
        raise InvalidInput(
            "shares_base_units must be between 1 and 2^256 - 1",
            field="shares_base_units",
            external_id=order.external_id,
        )
    never = (
        fund.settler_address,
        fund.share_token_address,
        fund.payout_token_address,
        ZERO_ADDRESS,
    )
    if order.payee_address in (fund.treasury_address, *never):
        raise InvalidInput(
            "payee_address must not be the treasury, the settler, one of the two tokens or the zero"
            " address",
            field="payee_address",
            external_id=order.external_id,
        )
    if order.investor_address in never:
        raise InvalidInput(
            "investor_address must not be the settler, one of the two tokens or the zero address",
            field="investor_address",
            external_id=order.external_id,
        )
    return order


def _paid_otherwise(order: RedemptionOrder, event: SettlerEventRow) -> Conflict:
    return Conflict(
        f"the chain has paid {order.external_id} already, and otherwise than this order says:"
        f" {event.shares_base_units} shares of {event.investor_address}, paid to"
        f" {event.payee_address}, in transaction {event.transaction_hash}",
        field="external_id",
        external_id=order.external_id,
    )


def require_read(tx: Tx, fund: FundRow) -> None:
    """Raises Conflict while final settler events are still to be read: what the book does not show
    as paid may be paid all the same."""
    final_number = chain_book.highest_final(tx, lane_key(fund.chain_id, fund.lane_address))
    if not is_read_to(tx, fund.fund_id, final_number):
        raise Conflict(
            f"the settler events of fund {fund.fund_id} up to block {final_number} are still being"
            " read, and may show it as paid; ask again once they are",
            field="redemption_id",
        )


def refuse_paid(tx: Tx, row: RedemptionRow, verb: str) -> FundRow:
    """Raises Conflict for a redemption that the chain shows as paid, or may: it becomes settled by
    itself once that is final. Returns its fund."""
    fund = get_fund(tx, row.fund_id)
    require_read(tx, fund)
    if chain_book.settled_ids(tx, fund.chain_id, [row.redemption_id]):
        raise Conflict(
            f"the chain shows this redemption as paid; it cannot be {verb}",
            status=row.status.value,
            field="redemption_id",
        )
    return fund
