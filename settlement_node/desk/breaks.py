"""Closing breaks: what an operator says was right as it is, and what follows from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import PlainSerializer

from settlement_node.booking.undo import undo_events
from settlement_node.domain.breaks import Break, BreakKind
from settlement_node.domain.lane_breaks import (
    BookWasBehind,
    ReorganisationBeyondFinality,
    StrangerAtNonce,
    UnknownBatch,
)
from settlement_node.errors import Conflict, InvalidInput, NotFound
from settlement_node.reads.shapes import Answer
from settlement_node.store.book.funds import get_fund, list_funds
from settlement_node.store.chain_memory import chain_book, foreign
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import set_lane
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.tables import AcceptedAs
from settlement_node.store.telling import attention, records

RESOLVE_MAX = 1_000
"""Most breaks resolved by one commit."""


class Resolution(StrEnum):
    """What came of one break that was to be resolved."""

    RESOLVED = "resolved"
    NOT_OPEN = "not_open"


class BreakResolvedOut(Answer):
    """What came of one break: `resolved`, or `not_open` if it was closed before."""

    break_id: int
    status: str


def _each(breaks: Mapping[int, str]) -> list[BreakResolvedOut]:
    return [BreakResolvedOut(break_id=number, status=word) for number, word in breaks.items()]


class BreaksResolvedOut(Answer):
    """What came of each break, in the order they were named."""

    breaks: Annotated[dict[int, str], PlainSerializer(_each, return_type=list[BreakResolvedOut])]


def resolve_many(
    tx: Tx, break_ids: Sequence[int] | None, kind: str | None, fund_id: str | None, *, reason: str
) -> BreaksResolvedOut:
    """Close several breaks for one reason, by their numbers or by kind and fund, in one commit.
    One that is not open any more is told and keeps none of the others back. Raises NotFound when
    none is open, InvalidInput for none or too many."""
    if bool(break_ids) == (kind is not None) or (kind is None) != (fund_id is None):
        raise InvalidInput(
            "give the breaks by their numbers, or by kind and fund together", field="break_ids"
        )
    if kind is not None and fund_id is not None:
        break_ids = _of_kind(tx, fund_id, kind)
    wanted = list(dict.fromkeys(break_ids or ()))
    if len(wanted) > RESOLVE_MAX:
        raise InvalidInput(f"give 1 to {RESOLVE_MAX} breaks at once", field="break_ids")
    outcomes = dict.fromkeys(wanted, Resolution.NOT_OPEN)
    for break_id in wanted:
        if (found := attention.get_open_break(tx, break_id)) is not None:
            _close(tx, break_id, found, reason=reason)
            outcomes[break_id] = Resolution.RESOLVED
    if Resolution.RESOLVED not in outcomes.values():
        raise NotFound(f"none of these breaks is open: {_listed(wanted)}", field="break_ids")
    return BreaksResolvedOut(breaks=outcomes)


def _of_kind(tx: Tx, fund_id: str, kind: str) -> list[int]:
    """The open breaks of one kind of a fund, the oldest RESOLVE_MAX of them. A break of a lane has
    no fund and is resolved by its number."""
    get_fund(tx, fund_id)
    if kind not in list(BreakKind):
        known = ", ".join(BreakKind)
        raise NotFound(f"{kind} is no kind of break; these are: {known}", field="kind")
    kinds = [BreakKind(kind)]
    found = attention.open_breaks(tx, fund_id=fund_id, kinds=kinds, limit=RESOLVE_MAX)
    if not found:
        raise NotFound(f"fund {fund_id} has no open break of kind {kind}", field="kind")
    return [row["break_id"] for row in found]


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:20])
    return shown if len(numbers) <= 20 else f"{shown} and {len(numbers) - 20} more"


def resolve(tx: Tx, break_id: int, *, reason: str) -> BreakResolvedOut:
    """Close a break, with the reason why book and chain are right as they are.

    To resolve a break that stopped a lane is to accept what stopped it, as ACCEPTED_BY says.
    Conflict for a book that was behind the chain until it is reconciled.
    """
    found = attention.get_open_break(tx, break_id)
    if found is None:
        raise NotFound(f"there is no open break {break_id}", field="break_id")
    _close(tx, break_id, found, reason=reason)
    return BreakResolvedOut(break_id=break_id, status=Resolution.RESOLVED)


def _close(tx: Tx, break_id: int, found: Break, *, reason: str) -> None:
    ACCEPTED_BY.get(type(found), _only_closed)(tx, found)
    attention.resolve_break(tx, break_id, reason=reason)


def _only_closed(_tx: Tx, _found: Break) -> None:
    """A person says that book and chain are right as they are; nothing follows from it."""


def _check_reconciled(tx: Tx, found: BookWasBehind) -> None:
    """Every fund of the lane is compared with the chain beyond what was replayed, and no money is
    in doubt."""
    to_block = found.replayed_to_block
    for fund in list_funds(tx, chain_id=found.chain_id, lane_address=found.signer_address):
        last = records.last_reconciliation(tx, fund.fund_id)
        done = -1 if last is None else int(last["to_block"])
        if done < to_block:
            raise Conflict(
                f"fund {fund.fund_id} is reconciled to block {done}, and the book was behind up to"
                f" block {to_block}; reconcile first",
                fund_id=fund.fund_id,
            )
        money = attention.open_breaks(tx, fund_id=fund.fund_id, money_only=True, limit=1)
        if money:
            raise Conflict(
                f"break {money[0]['break_id']} ({money[0]['kind']}) of fund {fund.fund_id} is open;"
                " resolve it first",
                break_id=money[0]["break_id"],
            )


def _accept_stranger(tx: Tx, found: StrangerAtNonce) -> None:
    """Ours at that nonce is void once theirs is final."""
    chain_id, signer, nonce = found.chain_id, found.signer_address, found.nonce
    for row in transactions.unmined(tx, chain_id, signer):
        if row.nonce == nonce:
            transactions.set_fields(tx, row.transaction_id, displacement_accepted=True)
            return
    if transactions.with_nonces(tx, chain_id, signer, first=nonce, below=nonce + 1):
        return  # its receipt was found after all: ours is mined there, and nobody else
    # No transaction of ours has that nonce: the chain is ahead of the book, whose next nonce is
    # read from the chain again.
    set_lane(tx, chain_id, signer, next_nonce=None)


def _accept_batch(tx: Tx, found: UnknownBatch) -> None:
    """The batch counts as explained. It may have used a nonce that the book was to give next."""
    foreign.accept_batch(
        tx,
        found.chain_id,
        found.settler_address,
        found.batch_hash,
        accepted_as=AcceptedAs.PERSON,
    )
    set_lane(tx, found.chain_id, found.signer_address, next_nonce=None)


def _accept_fork(tx: Tx, found: ReorganisationBeyondFinality) -> None:
    """Forget what stood on the old blocks, and reconcile them again. Transactions that are not
    final follow by their own block's hash; those that are final stay so, and a payment the new
    chain does not have comes out of the reconciliation as a break of its own."""
    chain_id, signer, first = found.chain_id, found.signer_address, found.first_undone_block
    chain_book.forget_heads(tx, lane_key(chain_id, signer), from_number=0)
    set_lane(tx, chain_id, signer, highest_head_number=None)
    for fund in list_funds(tx, chain_id=chain_id, lane_address=signer):
        undo_events(tx, fund, first_undone_number=first)
        records.rewind_reconciliations(tx, fund.fund_id, from_block=first)


ACCEPTED_BY: Mapping[type[Break], Callable[[Tx, Any], None]] = {
    BookWasBehind: _check_reconciled,
    StrangerAtNonce: _accept_stranger,
    UnknownBatch: _accept_batch,
    ReorganisationBeyondFinality: _accept_fork,
}
"""What follows when a person closes a break of a kind; of every other kind nothing does."""
