"""Small records beside the book: audit facts, idempotency keys, workers, reconciliation runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from settlement_node.errors import Conflict, IdempotencyMismatch
from settlement_node.store import tables as t
from settlement_node.store.database import Tx
from settlement_node.units import Hex32

k = t.idempotency_keys


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


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer an earlier request with the same key and body got."""

    status: int
    body: Any


def begin_request(
    tx: Tx, *, client: str, idempotency_key: str, body_hash: Hex32
) -> StoredAnswer | None:
    """Claim a key in this commit; None when the request is new and must be carried out.

    Raises IdempotencyMismatch for another body under the key, Conflict while the first request
    is still in flight.
    """
    dialect = postgresql if tx.connection.dialect.name == "postgresql" else sqlite
    claimed = tx.connection.execute(
        dialect.insert(k)
        .values(
            client=client,
            idempotency_key=idempotency_key,
            body_hash=body_hash,
            created_at_utc=tx.now_utc,
        )
        .on_conflict_do_nothing()
        .returning(k.c.client)
    ).first()
    if claimed is not None:
        return None
    row = tx.connection.execute(
        sa.select(k).where(k.c.client == client, k.c.idempotency_key == idempotency_key)
    ).one()
    if row.body_hash != body_hash:
        raise IdempotencyMismatch(
            "this Idempotency-Key was used before with another body; use a new key",
            field="Idempotency-Key",
        )
    if row.response_status is None:
        raise Conflict(
            "the first request with this Idempotency-Key is still in flight; ask again shortly",
            field="Idempotency-Key",
        )
    return StoredAnswer(status=row.response_status, body=row.response_body)


def finish_request(tx: Tx, *, client: str, idempotency_key: str, status: int, body: Any) -> None:
    """Keep the answer for repeats."""
    tx.connection.execute(
        k.update()
        .where(k.c.client == client, k.c.idempotency_key == idempotency_key)
        .values(response_status=status, response_body=body)
    )


def abandon_request(tx: Tx, *, client: str, idempotency_key: str) -> None:
    """Free a key whose request failed without changing anything."""
    tx.connection.execute(
        k.delete().where(
            k.c.client == client,
            k.c.idempotency_key == idempotency_key,
            k.c.response_status.is_(None),
        )
    )


def drop_old_keys(tx: Tx, *, before_utc: datetime) -> int:
    """Retention of idempotency keys."""
    return tx.connection.execute(k.delete().where(k.c.created_at_utc < before_utc)).rowcount


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
