"""Small records beside the book: audit facts, workers, reconciliation runs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from settlement_node.store import tables as t
from settlement_node.store.database import Tx


def audit_of(
    tx: Tx, subject_kind: str, subject_id: str, *, limit: int = 500
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
    tx: Tx, *, node_id: str, worker: str, runs: int, failures: int, last_error: str | None
) -> None:
    """Refresh a worker's health row with its totals since the node started."""
    w = t.workers
    dialect = postgresql if tx.connection.dialect.name == "postgresql" else sqlite
    values = {
        "runs_count": runs,
        "failures_count": failures,
        "last_run_at_utc": tx.now_utc,
        "last_error": last_error,
    }
    tx.connection.execute(
        dialect.insert(w)
        .values(node_id=node_id, worker=worker, **values)
        .on_conflict_do_update(index_elements=["node_id", "worker"], set_=values)
    )


def list_workers(tx: Tx, *, limit: int = 200) -> list[sa.RowMapping]:
    """Health rows of every node's workers, the latest first."""
    w = t.workers
    return list(
        tx.connection.execute(
            sa.select(w).order_by(w.c.last_run_at_utc.desc()).limit(limit)
        ).mappings()
    )


def last_reconciliation(tx: Tx, fund_id: str) -> sa.RowMapping | None:
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


def count_reconciliations(tx: Tx, fund_id: str) -> int:
    """How many runs of a fund are recorded."""
    c = t.reconciliations
    return tx.connection.execute(
        sa.select(sa.func.count()).where(c.c.fund_id == fund_id)
    ).scalar_one()


def forget_reconciliations(tx: Tx, fund_id: str, *, from_block: int) -> None:
    """After a reorganisation below finality: the runs over its blocks are made again."""
    c = t.reconciliations
    tx.connection.execute(c.delete().where(c.c.fund_id == fund_id, c.c.to_block >= from_block))


def add_reconciliation(tx: Tx, **values: Any) -> int:
    """Record a run; returns its number."""
    number: int = tx.connection.execute(
        t.reconciliations.insert()
        .values(ran_at_utc=tx.now_utc, **values)
        .returning(t.reconciliations.c.reconciliation_id)
    ).scalar_one()
    return number
