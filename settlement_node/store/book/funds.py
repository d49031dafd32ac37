"""Funds, their settlers, and lanes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.token_checks import NO_CHECKS, FundChecks
from settlement_node.errors import Conflict, InvalidInput, NotFound, Transient
from settlement_node.store import tables as t
from settlement_node.store.book.terms import record_terms
from settlement_node.store.database import Tx
from settlement_node.store.rows import FundRow, LaneRow
from settlement_node.units import Address

f = t.funds
INDEX_LEAP_MAX = 2**24
"""More orders than a book takes in and ends unpaid between two that are paid. An index of the chain
that lies further ahead is not one a book gave."""


@dataclass(frozen=True, slots=True)
class PastSettler:
    """A settler whose events are read from a block at or before its first batch."""

    settler_address: Address
    from_block: int


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


def add_settler(tx: Tx, fund_id: str, *, settler_address: Address, from_block: int) -> None:
    """Remember a settler for event replay, from the block it was deployed in."""
    if from_block < 0:
        raise InvalidInput("settler_from_block must not be negative", field="settler_from_block")
    tx.connection.execute(
        t.fund_settlers.insert().values(
            fund_id=fund_id,
            settler_address=settler_address,
            from_block=from_block,
            scanned_to_block=from_block - 1,
            added_at_utc=tx.now_utc,
        )
    )
    tx.audit(
        "settler_added",
        "fund",
        fund_id,
        {"settler_address": settler_address, "from_block": from_block},
    )


def get_fund(tx: Tx, fund_id: str) -> FundRow:
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
    return _locked_fund(tx, fund_id, to_change=False)


def lock_fund_to_change(tx: Tx, fund_id: str) -> FundRow:
    """The fund, whose price, pause, settler or breaks this commit changes, or whose replayed events
    it removes: after every plan that stands on it, and before the next. Raises NotFound. Of several
    funds, lock them by id."""
    return _locked_fund(tx, fund_id, to_change=True)


def _locked_fund(tx: Tx, fund_id: str, *, to_change: bool) -> FundRow:
    """On PostgreSQL, FOR UPDATE or FOR KEY SHARE; these two exclude one another, and neither
    planning nor intake, which moves the next index, excludes the other. SQLite has one writer."""
    query = sa.select(f).where(f.c.fund_id == fund_id)
    query = query.with_for_update(read=not to_change, key_share=not to_change)
    row = tx.connection.execute(query).mappings().first()
    if row is None:
        raise _no_fund(fund_id)
    return FundRow.of(row)


def list_funds(
    tx: Tx, *, chain_id: int | None = None, lane_address: Address | None = None, limit: int = 1000
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


def settlers_of(tx: Tx, fund_id: str) -> list[sa.RowMapping]:
    """Every settler of a fund: address, from_block, scanned_to_block."""
    s = t.fund_settlers
    return list(
        tx.connection.execute(
            sa.select(s).where(s.c.fund_id == fund_id).order_by(s.c.settler_address)
        ).mappings()
    )


def set_settler(tx: Tx, fund: FundRow, settler_address: Address, *, reason: str) -> None:
    """Settle with another settler from now on. The caller has locked the fund, and seen that this
    one is the fund's and that nothing of the present one is unfinal."""
    tx.connection.execute(
        f.update().where(f.c.fund_id == fund.fund_id).values(settler_address=settler_address)
    )
    tx.audit(
        "settler_switched",
        "fund",
        fund.fund_id,
        {"from": fund.settler_address, "to": settler_address, "reason": reason},
    )


def set_scanned(
    tx: Tx, fund_id: str, settler_address: Address, *, from_block: int, to_block: int
) -> None:
    """A settler's events of blocks `from_block` to `to_block` are in the book: its scan cursor goes
    on. Raises Transient, and nothing of the commit is kept, when the cursor does not stand just
    below them: it was taken back meanwhile, by a re-scan say."""
    s = t.fund_settlers
    moved = tx.connection.execute(
        s.update()
        .where(
            s.c.fund_id == fund_id,
            s.c.settler_address == settler_address,
            s.c.scanned_to_block == from_block - 1,
        )
        .values(scanned_to_block=to_block)
    )
    if moved.rowcount != 1:
        raise Transient(
            f"the events of settler {settler_address} are to be read again from a block below"
            f" {from_block}"
        )


def is_read_to(tx: Tx, fund_id: str, block_number: int) -> bool:
    """Whether the events of every settler of a fund are in the book up to a block."""
    s = t.fund_settlers
    behind = tx.connection.execute(
        sa.select(s.c.settler_address)
        .where(s.c.fund_id == fund_id, s.c.scanned_to_block < block_number)
        .limit(1)
    )
    return behind.first() is None


def ensure_lane(tx: Tx, chain_id: int, signer_address: Address) -> LaneRow:
    """The lane's row, made if it is new."""
    dialect = postgresql if tx.connection.dialect.name == "postgresql" else sqlite
    tx.connection.execute(
        dialect.insert(t.lanes)
        .values(
            chain_id=chain_id,
            signer_address=signer_address,
            paused=False,
            updated_at_utc=tx.now_utc,
        )
        .on_conflict_do_nothing()
    )
    made = get_lane(tx, chain_id, signer_address)
    assert made is not None
    return made


def get_lane(tx: Tx, chain_id: int, signer_address: Address) -> LaneRow | None:
    """A lane's row, or None."""
    lanes = t.lanes
    row = (
        tx.connection.execute(
            sa.select(lanes).where(
                lanes.c.chain_id == chain_id, lanes.c.signer_address == signer_address
            )
        )
        .mappings()
        .first()
    )
    return None if row is None else LaneRow.of(row)


def lock_lane(tx: Tx, chain_id: int, signer_address: Address) -> None:
    """Keep a lane as it is while this commit is open: a pause waits, and one committed before is
    seen."""
    lanes = t.lanes
    tx.connection.execute(
        sa.select(lanes.c.chain_id)
        .where(lanes.c.chain_id == chain_id, lanes.c.signer_address == signer_address)
        .with_for_update()
    ).all()


def list_lanes(tx: Tx, *, limit: int = 1000) -> list[LaneRow]:
    """Every lane."""
    lanes = t.lanes
    query = sa.select(lanes).order_by(lanes.c.chain_id, lanes.c.signer_address).limit(limit)
    return [LaneRow.of(row) for row in tx.connection.execute(query).mappings()]


def set_lane(tx: Tx, chain_id: int, signer_address: Address, **values: Any) -> None:
    """Change a lane's next_nonce, highest_head_number, paused or pause_reason."""
    tx.connection.execute(
        t.lanes.update()
        .where(t.lanes.c.chain_id == chain_id, t.lanes.c.signer_address == signer_address)
        .values(updated_at_utc=tx.now_utc, **values)
    )


def set_lane_paused(
    tx: Tx, chain_id: int, signer_address: Address, *, paused: bool, reason: str | None
) -> None:
    """Stop or go on planning and signing on a lane. Raises NotFound for an unknown lane."""
    lane = get_lane(tx, chain_id, signer_address)
    if lane is None:
        raise NotFound(f"there is no lane {signer_address} on chain {chain_id}", field="lane")
    if lane.paused == paused and lane.pause_reason == reason:
        return
    set_lane(tx, chain_id, signer_address, paused=paused, pause_reason=reason)
    subject = f"{chain_id}:{signer_address}"
    action = "lane_paused" if paused else "lane_resumed"
    tx.audit(action, "lane", subject, {"reason": reason})
    tx.emit(action.replace("_", "."), subject, {"lane": subject, "reason": reason})
