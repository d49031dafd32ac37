"""Small records beside the book: audit facts, workers, reconciliation runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.book.funds import lock_fund_to_change
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.inserts import upsert
from settlement_node.store.telling.attention import count_open_breaks


def audit_of(
    tx: ReadTx, subject_kind: str, subject_id: str, *, limit: int = 500
) -> list[sa.RowMapping]:
    """The facts of one subject, in the order they happened."""
    au = t.audit_events
    return list(
        tx.connection.execute(
            sa.select(au)
            .where(au.c.subject_kind == subject_kind, au.c.subject_id == subject_id)
            .order_by(au.c.audit_id)
            .limit(limit)
        ).mappings()
    )


def note_worker(
    tx: Tx,
    *,
    node_id: str,
    worker: str,
    runs_count: int,
    failures_count: int,
    last_error: str | None,
    seconds: float,
) -> None:
    """Refresh a worker's health row with its totals since the node started; when it is not
    refreshed again within `seconds`, its node counts as gone."""
    values = {
        "runs_count": runs_count,
        "failures_count": failures_count,
        "last_run_at_utc": tx.now_utc,
        "expires_at_utc": tx.now_utc + timedelta(seconds=seconds),
        "last_error": last_error,
    }
    upsert(tx.connection, t.workers, {"node_id": node_id, "worker": worker}, values)


def forget_workers(tx: Tx, *, node_id: str | None = None) -> int:
    """Drop the health rows of a node that stops; without one, of every node that is gone."""
    w = t.workers
    gone = w.c.expires_at_utc <= tx.now_utc if node_id is None else w.c.node_id == node_id
    return tx.connection.execute(w.delete().where(gone)).rowcount


def list_workers(tx: ReadTx, *, limit: int = 200) -> list[sa.RowMapping]:
    """Health rows of the workers of every node that is there, the latest first."""
    w = t.workers
    return list(
        tx.connection.execute(
            sa.select(w)
            .where(w.c.expires_at_utc > tx.now_utc)
            .order_by(w.c.last_run_at_utc.desc())
            .limit(limit)
        ).mappings()
    )


def last_reconciliation(tx: ReadTx, fund_id: str) -> sa.RowMapping | None:
    """The latest reconciliation run of a fund."""
    c = t.reconciliations
    return (
        tx.connection.execute(
            sa.select(c)
            .where(c.c.fund_id == fund_id)
            .order_by(c.c.reconciliation_id.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )


def end_of_history(tx: ReadTx, fund_id: str, *, run_blocks_max: int) -> int | None:
    """The last block of a fund's first reconciliation, which a long history takes several full runs
    for; None while there is no run that ended it."""
    c = t.reconciliations
    blocks = c.c.to_block - c.c.from_block
    return tx.connection.execute(
        sa.select(c.c.to_block)
        .where(c.c.fund_id == fund_id, blocks > 0, blocks < run_blocks_max)
        .order_by(c.c.reconciliation_id)
        .limit(1)
    ).scalar()


def rewind_reconciliations(tx: Tx, fund_id: str, *, from_block: int) -> None:
    """Have the blocks from one on compared again: a run over no block takes up the end and the
    figures of the last run below it. A run that is under way is not written."""
    lock_fund_to_change(tx, fund_id)
    c = t.reconciliations
    last = last_reconciliation(tx, fund_id)
    if last is None or last["to_block"] < from_block:
        return
    of_fund = sa.select(c).where(c.c.fund_id == fund_id)
    below = of_fund.where(c.c.to_block < from_block).order_by(
        c.c.to_block.desc(), c.c.reconciliation_id.desc()
    )
    before = tx.connection.execute(below.limit(1)).mappings().first()
    first = of_fund.order_by(c.c.from_block, c.c.reconciliation_id).limit(1)
    start = tx.connection.execute(first).mappings().one()["from_block"]
    add_reconciliation(
        tx,
        fund_id=fund_id,
        from_block=start if before is None else before["to_block"],
        to_block=start if before is None else before["to_block"],
        share_supply_base_units=None if before is None else before["share_supply_base_units"],
        treasury_base_units=None if before is None else before["treasury_base_units"],
        settled_count=0,
        breaks_opened_count=0,
        breaks_open_count=count_open_breaks(tx, fund_id=fund_id),
    )


def add_reconciliation(tx: Tx, **values: Any) -> int:
    """Record a run; returns its number."""
    number: int = tx.connection.execute(
        t.reconciliations.insert()
        .values(ran_at_utc=tx.now_utc, **values)
        .returning(t.reconciliations.c.reconciliation_id)
    ).scalar_one()
    return number
