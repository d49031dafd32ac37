"""What needs a person: breaks (book ≠ chain) and alerts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.book.funds import lock_fund_to_change
from settlement_node.store.database import Tx
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.inserts import insert_if_new
from settlement_node.store.rows import FundRow
from settlement_node.store.tables import AlertStatus, BreakStatus
from settlement_node.store.types import word

b = t.breaks
al = t.alerts
DEFAULT_OWNER = "treasury desk"


@dataclass(frozen=True, slots=True)
class NewBreak:
    """A difference between book and chain. `subject` names what differs; with `kind` it makes
    the open break unique."""

    kind: str
    subject: str
    is_money: bool
    expected: str
    actual: str
    detail: str


def open_break(
    tx: Tx, *, chain_id: int, fund_id: str | None, new: NewBreak, owner: str = DEFAULT_OWNER
) -> bool:
    """Open a break; False when the same one is open already. A money break of a fund waits for a
    plan that is being committed, which was made without it."""
    if new.is_money and fund_id is not None:
        lock_fund_to_change(tx, fund_id)
    break_id = tx.connection.execute(
        insert_if_new(tx.connection, b)
        .values(
            fund_id=fund_id,
            chain_id=chain_id,
            kind=new.kind,
            subject=new.subject,
            is_money=new.is_money,
            expected=new.expected,
            actual=new.actual,
            detail=new.detail,
            owner=owner,
            status=BreakStatus.OPEN.value,
            opened_at_utc=tx.now_utc,
        )
        .returning(b.c.break_id)
    ).scalar()
    if break_id is None:
        return False
    tx.audit("break_opened", "break", str(break_id), {"kind": new.kind, "subject": new.subject})
    tx.emit(
        "break.opened",
        str(break_id),
        {
            "break_id": break_id,
            "kind": new.kind,
            "subject": new.subject,
            "is_money": new.is_money,
            "fund_id": fund_id,
        },
    )
    return True


def resolve_break(tx: Tx, break_id: int, *, reason: str) -> bool:
    """Close an open break; False when there is none of that number."""
    closed = tx.connection.execute(
        b.update()
        .where(b.c.break_id == break_id, b.c.status == BreakStatus.OPEN.value)
        .values(status=BreakStatus.RESOLVED.value, resolved_at_utc=tx.now_utc)
    ).rowcount
    if closed:
        tx.audit("break_resolved", "break", str(break_id), {"reason": reason})
        tx.emit("break.resolved", str(break_id), {"break_id": break_id, "reason": reason})
    return bool(closed)


def open_breaks(
    tx: Tx,
    *,
    fund_id: str | None = None,
    kinds: Collection[str] | None = None,
    money_only: bool = False,
    limit: int = 200,
) -> list[sa.RowMapping]:
    """Open breaks, oldest first; with a fund, its own only: a break of no fund belongs to a lane,
    and that is paused."""
    query = (sa.select(b).where(b.c.status == word(BreakStatus.OPEN)).order_by(b.c.break_id)).limit(
        limit
    )
    if fund_id is not None:
        query = query.where(b.c.fund_id == fund_id)
    if kinds is not None:
        query = query.where(b.c.kind.in_(kinds))
    if money_only:
        query = query.where(b.c.is_money.is_(True))
    return list(tx.connection.execute(query).mappings())


def breaks_concerning(tx: Tx, fund: FundRow | None, *, limit: int = 200) -> list[sa.RowMapping]:
    """A fund's open breaks and those of its lane, oldest first; without a fund, all."""
    if fund is None:
        return open_breaks(tx, limit=limit)
    lane = lane_key(fund.chain_id, fund.lane_address)
    of_lane = sa.or_(b.c.subject == lane, b.c.subject.startswith(lane + ":", autoescape=True))
    query = (
        sa.select(b)
        .where(
            b.c.status == word(BreakStatus.OPEN),
            sa.or_(b.c.fund_id == fund.fund_id, sa.and_(b.c.fund_id.is_(None), of_lane)),
        )
        .order_by(b.c.break_id)
        .limit(limit)
    )
    return list(tx.connection.execute(query).mappings())


def was_opened(tx: Tx, *, chain_id: int, kind: str, subject: str) -> bool:
    """Whether such a break was ever opened, and perhaps closed by a person since."""
    query = sa.select(
        sa.exists().where(b.c.chain_id == chain_id, b.c.kind == kind, b.c.subject == subject)
    )
    return bool(tx.connection.execute(query).scalar_one())


def get_open_break(tx: Tx, break_id: int) -> sa.RowMapping | None:
    """One open break, or None."""
    return (
        tx.connection.execute(
            sa.select(b).where(b.c.break_id == break_id, b.c.status == word(BreakStatus.OPEN))
        )
        .mappings()
        .first()
    )


def count_open_breaks(tx: Tx, *, fund_id: str | None = None) -> int:
    """How many breaks are open, of one fund if given."""
    query = sa.select(sa.func.count()).where(b.c.status == word(BreakStatus.OPEN))
    if fund_id is not None:
        query = query.where(b.c.fund_id == fund_id)
    return tx.connection.execute(query).scalar_one()


def raise_alert(tx: Tx, *, kind: str, subject: str, detail: str) -> bool:
    """Raise an alert, or refresh its detail; True when it is new."""
    alert_id = tx.connection.execute(
        insert_if_new(tx.connection, al)
        .values(
            kind=kind,
            subject=subject,
            detail=detail,
            status=AlertStatus.OPEN.value,
            raised_at_utc=tx.now_utc,
        )
        .returning(al.c.alert_id)
    ).scalar()
    if alert_id is None:
        tx.connection.execute(
            al.update()
            .where(
                al.c.kind == kind,
                al.c.subject == subject,
                al.c.status == word(AlertStatus.OPEN),
                al.c.detail != detail,
            )
            .values(detail=detail)
        )
        return False
    tx.emit("alert.raised", subject, {"kind": kind, "subject": subject, "detail": detail})
    return True


def clear_alert(tx: Tx, *, kind: str, subject: str) -> bool:
    """Clear an open alert; False when none is open."""
    cleared = tx.connection.execute(
        al.update()
        .where(al.c.kind == kind, al.c.subject == subject, al.c.status == word(AlertStatus.OPEN))
        .values(status=AlertStatus.CLEARED.value, cleared_at_utc=tx.now_utc)
    ).rowcount
    if cleared:
        tx.emit("alert.cleared", subject, {"kind": kind, "subject": subject})
    return bool(cleared)


def open_alerts(tx: Tx, *, limit: int = 200) -> list[sa.RowMapping]:
    """Open alerts, oldest first."""
    return list(
        tx.connection.execute(
            sa.select(al)
            .where(al.c.status == word(AlertStatus.OPEN))
            .order_by(al.c.alert_id)
            .limit(limit)
        ).mappings()
    )
