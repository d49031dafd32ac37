"""Funds: what they are, their price, their pause, and their locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.token_checks import NO_CHECKS, FundChecks
from settlement_node.errors import Conflict, NotFound
from settlement_node.store import tables as t
from settlement_node.store.book.settlers import PastSettler, add_settler
from settlement_node.store.book.terms import record_terms
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.engine.lanes import ensure_lane
from settlement_node.store.rows import FundRow
from settlement_node.units import Address

f = t.funds
INDEX_LEAP_MAX = 2**24
"""More orders than a book takes in and ends unpaid between two that are paid. An index of the chain
that lies further ahead is not one a book gave."""


@dataclass(frozen=True, slots=True)
class NewFund:
    """A fund as it is entered; addresses are checked, decimals are the tokens' own."""

    fund_id: str
    name: str
    chain_id: int
    share_token_address: Address
    share_decimals: int
    payout_token_address: Address
    payout_decimals: int
    settler_address: Address
    settler_from_block: int
    treasury_address: Address
    lane_address: Address
    burn_style: BurnStyle
    fee_bps: int
    nav_per_share: int | None
    nav_decimals: int
    checks: FundChecks = NO_CHECKS
    error_signatures: tuple[str, ...] = ()
    former_settlers: tuple[PastSettler, ...] = ()


def add_fund(tx: Tx, new: NewFund) -> FundRow:
    """Record a fund, its settler and its lane. Raises Conflict when the id or the share token
    is taken."""
    taken = tx.connection.execute(
        sa.select(f.c.fund_id).where(
            sa.or_(
                f.c.fund_id == new.fund_id,
                sa.and_(
                    f.c.chain_id == new.chain_id,
                    f.c.share_token_address == new.share_token_address,
                ),
            )
        )
    ).scalar()
    if taken is not None:
        raise Conflict(
            f"fund {taken} already has this id or this share token on chain {new.chain_id}",
            field="fund_id",
        )
    values: dict[str, Any] = {
        name: getattr(new, name)
        for name in NewFund.__dataclass_fields__
        if name not in ("settler_from_block", "former_settlers")
    } | {"checks": new.checks.document(), "error_signatures": list(new.error_signatures)}
    tx.connection.execute(
        f.insert().values(
            **values,
            nav_at_utc=tx.now_utc if new.nav_per_share is not None else None,
            next_redemption_index=0,
            paused=False,
            created_at_utc=tx.now_utc,
        )
    )
    tx.connection.execute(
        t.redemption_counts.insert(),
        [
            {
                "fund_id": new.fund_id,
                "status": status.value,
                "redemptions_count": 0,
                "moves_count": 0,
            }
            for status in RedemptionStatus
        ],
    )
    add_settler(
        tx, new.fund_id, settler_address=new.settler_address, from_block=new.settler_from_block
    )
    for past in new.former_settlers:
        add_settler(
            tx, new.fund_id, settler_address=past.settler_address, from_block=past.from_block
        )
    ensure_lane(tx, new.chain_id, new.lane_address)
    tx.audit("fund_added", "fund", new.fund_id, {"settler_address": new.settler_address})
    added = get_fund(tx, new.fund_id)
    record_terms(tx, added, valid_from_utc=tx.now_utc)
    return added


def get_fund(tx: ReadTx, fund_id: str) -> FundRow:
    """One fund; raises NotFound."""
    row = tx.connection.execute(sa.select(f).where(f.c.fund_id == fund_id)).mappings().first()
    if row is None:
        raise _no_fund(fund_id)
    return FundRow.of(row)


def _no_fund(fund_id: str) -> NotFound:
    return NotFound(
        f"there is no fund {fund_id!r}; add it with: settlement-node fund add FILE",
        field="fund_id",
    )


def lock_fund_to_plan(tx: Tx, fund_id: str) -> FundRow:
    """The fund as it stands, for as long as this commit is open: who changes it
    (`lock_fund_to_change`) waits, and what they committed before is seen here. Taking orders in
    goes on meanwhile, so this is the lock of a page of events too. Locks are taken in this order:
    lease, fund, lane, redemptions."""
    return _locked_fund(tx, fund_id, read=True, key_share=True)


def lock_fund_to_take_in(tx: Tx, fund_id: str) -> FundRow:
    """The fund, which this commit takes orders in for: of two at once, the second sees the first's
    orders. Raises NotFound."""
    return _locked_fund(tx, fund_id, key_share=True)


def lock_fund_to_change(tx: Tx, fund_id: str) -> FundRow:
    """The fund, whose price, pause, settler or breaks this commit changes, or whose replayed events
    it removes: after every plan that stands on it, and before the next. Raises NotFound. Of several
    funds, lock them by id."""
    return _locked_fund(tx, fund_id)


def _locked_fund(tx: Tx, fund_id: str, *, read: bool = False, key_share: bool = False) -> FundRow:
    """On PostgreSQL, FOR UPDATE, FOR NO KEY UPDATE (intake) or FOR KEY SHARE (planning): the first
    and each of the others exclude one another, intake excludes intake, and neither planning nor
    intake, which moves the next index, excludes the other. SQLite has one writer."""
    query = sa.select(f).where(f.c.fund_id == fund_id)
    query = query.with_for_update(read=read, key_share=key_share)
    row = tx.connection.execute(query).mappings().first()
    if row is None:
        raise _no_fund(fund_id)
    return FundRow.of(row)


def list_funds(
    tx: ReadTx,
    *,
    chain_id: int | None = None,
    lane_address: Address | None = None,
    limit: int = 1000,
) -> list[FundRow]:
    """Funds by id, of one chain and lane if given."""
    query = sa.select(f).order_by(f.c.fund_id).limit(limit)
    if chain_id is not None:
        query = query.where(f.c.chain_id == chain_id)
    if lane_address is not None:
        query = query.where(f.c.lane_address == lane_address)
    return [FundRow.of(row) for row in tx.connection.execute(query).mappings()]


def set_fund_paused(tx: Tx, fund_id: str, *, paused: bool, reason: str | None) -> None:
    """Stop or go on planning for one fund; what is in flight is tracked on."""
    lock_fund_to_change(tx, fund_id)
    tx.connection.execute(
        f.update().where(f.c.fund_id == fund_id).values(paused=paused, pause_reason=reason)
    )
    tx.audit("fund_paused" if paused else "fund_resumed", "fund", fund_id, {"reason": reason})


def set_nav(
    tx: Tx,
    fund_id: str,
    *,
    nav_per_share: int,
    nav_decimals: int,
    valid_from_utc: datetime | None = None,
) -> None:
    """The price of one whole share from now on, or since a time in the past; what is planned
    already keeps its own. One that has been followed by another since is remembered, and is not
    the price now."""
    before = lock_fund_to_change(tx, fund_id)
    since = valid_from_utc or tx.now_utc
    priced = replace(before, nav_per_share=nav_per_share, nav_decimals=nav_decimals)
    record_terms(tx, priced, valid_from_utc=since)
    if before.nav_at_utc is None or since >= before.nav_at_utc:
        tx.connection.execute(
            f.update()
            .where(f.c.fund_id == fund_id)
            .values(nav_per_share=nav_per_share, nav_decimals=nav_decimals, nav_at_utc=since)
        )
    tx.audit(
        "nav_set",
        "fund",
        fund_id,
        {
            "from": None if before.nav_per_share is None else str(before.nav_per_share),
            "from_decimals": before.nav_decimals,
            "to": str(nav_per_share),
            "to_decimals": nav_decimals,
            "valid_from_utc": since.isoformat(),
        },
    )
    tx.emit("fund.nav_set", fund_id, {"fund_id": fund_id, "nav_per_share": str(nav_per_share)})


def set_checks(
    tx: Tx, fund_id: str, checks: FundChecks, error_signatures: Sequence[str] = ()
) -> None:
    """What the fund's tokens are asked before planning, from the next batch on, and the errors of
    their own in whose words they refuse."""
    before = lock_fund_to_change(tx, fund_id)
    was = {"checks": before.checks.document(), "error_signatures": list(before.error_signatures)}
    now = {"checks": checks.document(), "error_signatures": list(error_signatures)}
    tx.connection.execute(f.update().where(f.c.fund_id == fund_id).values(**now))
    tx.audit("fund_checks_set", "fund", fund_id, {"from": was, "to": now})


def note_capacity(tx: Tx, fund: FundRow, capacity: FundCapacity) -> None:
    """What the chain shows the fund can settle at most; written only when it changed."""
    if capacity != fund.capacity:
        values = {name: getattr(capacity, name) for name in FundCapacity.__dataclass_fields__}
        tx.connection.execute(f.update().where(f.c.fund_id == fund.fund_id).values(**values))


def raise_next_index(tx: Tx, fund_id: str, settled_indexes: Iterable[int]) -> None:
    """After a replay: indexes that a settler has settled are never given again.

    One that was only skipped is free: its bit is not set, and whoever holds the operator's key may
    skip any. One too far ahead is left alone, or a thief's single item would use up all others;
    should the count ever come to it, the settler says so and that order gets another.
    """
    following = get_fund(tx, fund_id).next_redemption_index
    for index in sorted(settled_indexes):
        if following <= index < following + INDEX_LEAP_MAX:
            following = index + 1
    tx.connection.execute(
        f.update()
        .where(f.c.fund_id == fund_id, f.c.next_redemption_index < following)
        .values(next_redemption_index=following)
    )
