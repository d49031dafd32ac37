"""What each action of desk/actions.py does, under the action's name, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.desk import operators
from settlement_node.desk.intake import cancel as cancel_redemption
from settlement_node.desk.operators import check_reason
from settlement_node.desk.operators import hold_redemption as hold
from settlement_node.desk.operators import release_redemption as release
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.errors import InvalidInput, NotFound
from settlement_node.store.database import Tx
from settlement_node.store.engine import transactions
from settlement_node.store.rows import TransactionRow
from settlement_node.units import Address, Hex32

__all__ = ["cancel_redemption", "check_reason", "hold", "release"]


@dataclass(frozen=True, slots=True)
class LaneSet:
    """A lane after an action."""

    chain_id: int
    signer_address: Address
    paused: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TransactionAsked:
    """A transaction and what was asked for; the send stage carries it out at its next pass."""

    transaction_id: int
    transaction_hash: Hex32
    nonce: int
    status: TransactionStatus
    asked: str


@dataclass(frozen=True, slots=True)
class RescanAsked:
    """A re-scan that the stages will do."""

    fund_id: str
    from_block: int


@dataclass(frozen=True, slots=True)
class BreaksResolved:
    """What came of each break, by number, in the order they were named."""

    breaks: dict[int, str]


@dataclass(frozen=True, slots=True)
class FundSet:
    """A fund that was paused or resumed."""

    fund_id: str


@dataclass(frozen=True, slots=True)
class NavSet:
    """A fund's price: `nav_per_share` in digits, of which `nav_decimals` are decimals."""

    fund_id: str
    nav_per_share: str
    nav_decimals: int


def pause(tx: Tx, chain_id: int, signer_address: Address, *, reason: str) -> LaneSet:
    operators.pause_lane(tx, chain_id=chain_id, signer_address=signer_address, reason=reason)
    return LaneSet(chain_id, signer_address, paused=True, reason=reason)


def resume(tx: Tx, chain_id: int, signer_address: Address, *, reason: str) -> LaneSet:
    operators.resume_lane(tx, chain_id=chain_id, signer_address=signer_address, reason=reason)
    return LaneSet(chain_id, signer_address, paused=False, reason=reason)


def cancel_transaction(tx: Tx, transaction_hash: Hex32, *, reason: str) -> TransactionAsked:
    row = _transaction(tx, transaction_hash)
    operators.cancel_transaction(tx, row.transaction_id, reason=reason)
    return _asked(row, transaction_hash, "cancel")


def speed_up_transaction(tx: Tx, transaction_hash: Hex32, *, reason: str) -> TransactionAsked:
    row = _transaction(tx, transaction_hash)
    operators.speed_up_transaction(tx, row.transaction_id, reason=reason)
    return _asked(row, transaction_hash, "speed-up")


def _transaction(tx: Tx, transaction_hash: Hex32) -> TransactionRow:
    row = transactions.by_attempt_hash(tx, transaction_hash)
    if row is None:
        raise NotFound(
            f"no transaction of this book has an attempt {transaction_hash}",
            field="transaction_hash",
        )
    return row


def _asked(row: TransactionRow, transaction_hash: Hex32, asked: str) -> TransactionAsked:
    return TransactionAsked(row.transaction_id, transaction_hash, row.nonce, row.status, asked)


def rescan(tx: Tx, fund_id: str, from_block: int, *, reason: str) -> RescanAsked:
    operators.rescan(tx, fund_id, from_block=from_block, reason=reason)
    return RescanAsked(fund_id, from_block)


def resolve(tx: Tx, break_id: int, *, reason: str) -> BreaksResolved:
    operators.resolve_break(tx, break_id, reason=reason)
    return BreaksResolved({break_id: operators.Resolution.RESOLVED.value})


def resolve_many(
    tx: Tx, break_ids: list[int] | None, kind: str | None, fund_id: str | None, *, reason: str
) -> BreaksResolved:
    if bool(break_ids) == (kind is not None) or (kind is None) != (fund_id is None):
        raise InvalidInput(
            "give the breaks by their numbers, or by kind and fund together", field="break_ids"
        )
    outcomes = (
        operators.resolve_breaks(tx, break_ids, reason=reason)
        if break_ids
        else operators.resolve_breaks_of_kind(
            tx, fund_id=fund_id or "", kind=kind or "", reason=reason
        )
    )
    return BreaksResolved({number: outcome.value for number, outcome in outcomes.items()})


def set_nav(
    tx: Tx, fund_id: str, price: str, nav_decimals: int, since: str | None, *, reason: str
) -> NavSet:
    value = operators.set_nav(
        tx, fund_id, nav=price, nav_decimals=nav_decimals, reason=reason, since=since
    )
    return NavSet(fund_id, str(value), nav_decimals)


def pause_fund(tx: Tx, fund_id: str, *, reason: str) -> FundSet:
    operators.pause_fund(tx, fund_id, reason=reason)
    return FundSet(fund_id)


def resume_fund(tx: Tx, fund_id: str, *, reason: str) -> FundSet:
    operators.resume_fund(tx, fund_id, reason=reason)
    return FundSet(fund_id)
