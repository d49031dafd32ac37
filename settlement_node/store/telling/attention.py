"""What needs a person: breaks (book ≠ chain) and alerts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import cache
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from settlement_node.domain.attention import BREAKS, Alert
from settlement_node.domain.breaks import Break, BreakKind, FundBreak
from settlement_node.domain.lane_breaks import LaneBreak
from settlement_node.store import tables as t
from settlement_node.store.book.funds import lock_fund_to_change
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.inserts import insert_if_new
from settlement_node.store.rows import FundRow
from settlement_node.store.tables import AlertStatus, BreakStatus
from settlement_node.store.types import word
from settlement_node.units import Address

b = t.breaks
al = t.alerts
DEFAULT_OWNER = "treasury desk"
DETAIL_LENGTH_MAX = 1_000
AMOUNT_NAMES = ("_base_units", "missing", "extra")


def open_break(tx: Tx, fund: FundRow, found: FundBreak, *, owner: str = DEFAULT_OWNER) -> bool:
    """Open a break of a fund; False when the same one is open already. A money break waits for a
    plan that is being committed, which was made without it."""
    if found.is_money:
        lock_fund_to_change(tx, fund.fund_id)
    return _open(tx, found, owner, chain_id=fund.chain_id, fund_id=fund.fund_id)


def open_lane_break(tx: Tx, found: LaneBreak, *, owner: str = DEFAULT_OWNER) -> bool:
    """Open a break of a lane; False when the same one is open already."""
    return _open(tx, found, owner, chain_id=found.chain_id, signer_address=found.signer_address)


def _open(
    tx: Tx,
    found: Break,
    owner: str,
    *,
    chain_id: int,
    fund_id: str | None = None,
    signer_address: Address | None = None,
) -> bool:
    told = {"kind": found.kind.value, "subject": found.subject}
    break_id = tx.connection.execute(
        insert_if_new(tx.connection, b)
        .values(
            **told,
            **found.words(),
            fund_id=fund_id,
            chain_id=chain_id,
            signer_address=signer_address,
            payload=_written(_adapter(found.kind).dump_python(found, mode="json")),
            is_money=found.is_money,
            owner=owner,
            status=BreakStatus.OPEN.value,
            opened_at_utc=tx.now_utc,
        )
        .returning(b.c.break_id)
    ).scalar()
    if break_id is None:
        return False
    tx.audit("break_opened", "break", str(break_id), told)
    facts = {"break_id": break_id, **told, "is_money": found.is_money, "fund_id": fund_id}
    tx.emit("break.opened", str(break_id), facts)
    return True


@cache
def _adapter(kind: BreakKind) -> TypeAdapter[Any]:
    """How a kind is written as JSON and read back."""
    return TypeAdapter(BREAKS[kind])


def _written(value: Any, name: str = "") -> Any:
    """JSON with amounts as decimal strings; whole numbers past 53 bits are not safe elsewhere."""
    if isinstance(value, dict):
        return {key: _written(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_written(inner, name) for inner in value]
    is_amount = isinstance(value, int) and name.endswith(AMOUNT_NAMES)
    return str(value) if is_amount else value


def break_of(row: sa.RowMapping) -> Break:
    """The break that a row holds, as it was opened."""
    found: Break = _adapter(BreakKind(row["kind"])).validate_python(row["payload"])
    return found


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


def _open_ones(tx: ReadTx, *which: sa.ColumnElement[bool], limit: int) -> list[sa.RowMapping]:
    is_open = b.c.status == word(BreakStatus.OPEN)
    query = sa.select(b).where(is_open, *which).order_by(b.c.break_id).limit(limit)
    return list(tx.connection.execute(query).mappings())


def open_breaks(
    tx: ReadTx,
    *,
    fund_id: str | None = None,
    kinds: Collection[BreakKind] | None = None,
    money_only: bool = False,
    limit: int = 200,
) -> list[sa.RowMapping]:
    """Open breaks, oldest first; with a fund, its own only: a break of no fund belongs to a lane,
    and that is paused."""
    which: list[sa.ColumnElement[bool]] = []
    if fund_id is not None:
        which.append(b.c.fund_id == fund_id)
    if kinds is not None:
        which.append(b.c.kind.in_([kind.value for kind in kinds]))
    if money_only:
        which.append(b.c.is_money.is_(True))
    return _open_ones(tx, *which, limit=limit)


def breaks_concerning(tx: ReadTx, fund: FundRow | None, *, limit: int = 200) -> list[sa.RowMapping]:
    """A fund's open breaks and those of its lane, oldest first; without a fund, all."""
    if fund is None:
        return open_breaks(tx, limit=limit)
    of_lane = _of_lane(fund.chain_id, fund.lane_address)
    return _open_ones(tx, sa.or_(b.c.fund_id == fund.fund_id, of_lane), limit=limit)


def open_lane_breaks(
    tx: Tx, chain_id: int, signer_address: Address, *, limit: int = 200
) -> list[sa.RowMapping]:
    """A lane's own open breaks, oldest first."""
    return _open_ones(tx, _of_lane(chain_id, signer_address), limit=limit)


def _of_lane(chain_id: int, signer_address: Address) -> sa.ColumnElement[bool]:
    return sa.and_(b.c.chain_id == chain_id, b.c.signer_address == signer_address)


def funds_in_doubt(tx: ReadTx, fund_ids: Collection[str]) -> set[str]:
    """Those of these funds that have an open money break."""
    query = (
        sa.select(b.c.fund_id)
        .where(
            b.c.status == word(BreakStatus.OPEN), b.c.is_money.is_(True), b.c.fund_id.in_(fund_ids)
        )
        .distinct()
    )
    return set(tx.connection.execute(query).scalars())


def was_opened(tx: ReadTx, chain_id: int, kind: BreakKind, subject: str) -> bool:
    """Whether such a break was ever opened, and perhaps closed by a person since."""
    query = sa.select(
        sa.exists().where(b.c.chain_id == chain_id, b.c.kind == kind.value, b.c.subject == subject)
    )
    return bool(tx.connection.execute(query).scalar_one())


def get_open_break(tx: Tx, break_id: int) -> Break | None:
    """One open break, or None."""
    return next(map(break_of, _open_ones(tx, b.c.break_id == break_id, limit=1)), None)


def count_open_breaks(tx: ReadTx, *, fund_id: str | None = None) -> int:
    """How many breaks are open, of one fund if given."""
    query = sa.select(sa.func.count()).where(b.c.status == word(BreakStatus.OPEN))
    if fund_id is not None:
        query = query.where(b.c.fund_id == fund_id)
    return tx.connection.execute(query).scalar_one()


def tell(tx: Tx, *alerts: Alert) -> list[Alert]:
    """Raise each alert that has a detail, or refresh its words, and clear the others; returns those
    that are raised or cleared now and were not before."""
    shown = {
        (row.kind, row.subject): row.detail
        for row in tx.connection.execute(
            sa.select(al.c.kind, al.c.subject, al.c.detail).where(
                al.c.status == word(AlertStatus.OPEN),
                al.c.subject.in_({str(alert.subject) for alert in alerts}),
            )
        )
    }
    return [alert for alert in alerts if _tell(tx, alert, shown)]


def _tell(tx: Tx, alert: Alert, shown: dict[tuple[str, str], str]) -> bool:
    kind, subject = alert.kind.value, str(alert.subject)
    open_one = (
        al.c.kind == kind,
        al.c.subject == subject,
        al.c.status == word(AlertStatus.OPEN),
    )
    was_open = (kind, subject) in shown
    if alert.detail is None:
        cleared = {"status": AlertStatus.CLEARED.value, "cleared_at_utc": tx.now_utc}
        if (
            not was_open
            or not tx.connection.execute(al.update().where(*open_one).values(**cleared)).rowcount
        ):
            return False
        tx.emit("alert.cleared", subject, {"kind": kind, "subject": subject})
        return True
    detail = alert.detail[:DETAIL_LENGTH_MAX]
    shortfall = None if alert.shortfall is None else _written(asdict(alert.shortfall))
    if was_open:
        if shown[kind, subject] != detail:
            tx.connection.execute(
                al.update().where(*open_one).values(detail=detail, shortfall=shortfall)
            )
        return False
    alert_id = tx.connection.execute(
        insert_if_new(tx.connection, al)
        .values(
            kind=kind,
            subject=subject,
            detail=detail,
            shortfall=shortfall,
            status=AlertStatus.OPEN.value,
            raised_at_utc=tx.now_utc,
        )
        .returning(al.c.alert_id)
    ).scalar()
    if alert_id is None:
        return False
    tx.emit("alert.raised", subject, {"kind": kind, "subject": subject, "detail": detail})
    return True


def open_alerts(tx: ReadTx, *, limit: int = 200) -> list[sa.RowMapping]:
    """Open alerts, oldest first."""
    return list(
        tx.connection.execute(
            sa.select(al)
            .where(al.c.status == word(AlertStatus.OPEN))
            .order_by(al.c.alert_id)
            .limit(limit)
        ).mappings()
    )
