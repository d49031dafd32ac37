"""What needs a person: breaks (book ≠ chain) and alerts."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import Tx
from settlement_node.store.tables import AlertStatus, BreakStatus

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
    """Open a break; False when the same one is open already."""
    known = tx.connection.execute(
        sa.select(b.c.break_id).where(
            b.c.chain_id == chain_id,
            b.c.kind == new.kind,
            b.c.subject == new.subject,
            b.c.status == BreakStatus.OPEN.value,
        )
    ).scalar()
    if known is not None:
        return False
    break_id = tx.connection.execute(
        b.insert()
        .values(
            fund_id=fund_id,
            chain_id=chain_id,
            kind=new.kind,
            subject=new.subject,
            is_money=new.is_money,
            expected=new.expected[:200],
            actual=new.actual[:200],
            detail=new.detail[:1000],
            owner=owner,
            status=BreakStatus.OPEN.value,
            opened_at_utc=tx.now_utc,
        )
        .returning(b.c.break_id)
    ).scalar_one()
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
    tx: Tx, *, fund_id: str | None = None, money_only: bool = False, limit: int = 200
) -> list[sa.RowMapping]:
    """Open breaks, oldest first; with a fund, also those of no fund."""
    query = (
        sa.select(b).where(b.c.status == BreakStatus.OPEN.value).order_by(b.c.break_id)
    ).limit(limit)
    if fund_id is not None:
        query = query.where(sa.or_(b.c.fund_id == fund_id, b.c.fund_id.is_(None)))
    if money_only:
        query = query.where(b.c.is_money.is_(True))
    return list(tx.connection.execute(query).mappings())


def count_open_breaks(tx: Tx, *, fund_id: str | None = None) -> int:
    """How many breaks are open, of one fund if given."""
    query = sa.select(sa.func.count()).where(b.c.status == BreakStatus.OPEN.value)
    if fund_id is not None:
        query = query.where(b.c.fund_id == fund_id)
    return tx.connection.execute(query).scalar_one()


def raise_alert(tx: Tx, *, kind: str, subject: str, detail: str) -> bool:
    """Raise an alert, or refresh its detail; True when it is new."""
    known = tx.connection.execute(
        sa.select(al.c.alert_id, al.c.detail).where(
            al.c.kind == kind, al.c.subject == subject, al.c.status == AlertStatus.OPEN.value
        )
    ).first()
    if known is not None:
        if known.detail != detail[:1000]:
            tx.connection.execute(
                al.update().where(al.c.alert_id == known.alert_id).values(detail=detail[:1000])
            )
        return False
    tx.connection.execute(
        al.insert().values(
            kind=kind,
            subject=subject,
            detail=detail[:1000],
            status=AlertStatus.OPEN.value,
            raised_at_utc=tx.now_utc,
        )
    )
    tx.emit("alert.raised", subject, {"kind": kind, "subject": subject, "detail": detail})
    return True


def clear_alert(tx: Tx, *, kind: str, subject: str) -> bool:
    """Clear an open alert; False when none is open."""
    cleared = tx.connection.execute(
        al.update()
        .where(al.c.kind == kind, al.c.subject == subject, al.c.status == AlertStatus.OPEN.value)
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
            .where(al.c.status == AlertStatus.OPEN.value)
            .order_by(al.c.alert_id)
            .limit(limit)
        ).mappings()
    )
