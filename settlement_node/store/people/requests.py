"""Requests under an idempotency key: one claim at a time, and the answer kept for repeats.

A claim belongs to one attempt at one request. When that attempt takes too long another may take the
key over; from then on nothing the first one does counts: it can neither keep its answer (its work
is undone with it) nor free the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from settlement_node.errors import Conflict, IdempotencyMismatch
from settlement_node.store import tables as t
from settlement_node.store.database import Tx
from settlement_node.store.inserts import insert_if_new
from settlement_node.units import Hex32

k = t.idempotency_keys


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt's hold of a key; `token` is its own, never used again."""

    client: str
    idempotency_key: str
    token: str

    def _row(self) -> sa.ColumnElement[bool]:
        return sa.and_(k.c.client == self.client, k.c.idempotency_key == self.idempotency_key)

    def _own_row(self) -> sa.ColumnElement[bool]:
        return sa.and_(self._row(), k.c.claim == self.token, k.c.response_status.is_(None))


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer an earlier request with the same key and body got."""

    status: int
    body: Any


def begin_request(
    tx: Tx, claim: Claim, *, body_hash: Hex32, at_utc: datetime, stale_before_utc: datetime
) -> StoredAnswer | None:
    """Claim a key in this commit; None when the request is new, or its last attempt began before
    `stale_before_utc` and never ended: it is to be carried out. Times are the database's.

    Raises IdempotencyMismatch for another body under the key, Conflict while another attempt is
    in flight.
    """
    claimed = tx.connection.execute(
        insert_if_new(tx.connection, k)
        .values(
            client=claim.client,
            idempotency_key=claim.idempotency_key,
            claim=claim.token,
            body_hash=body_hash,
            created_at_utc=at_utc,
        )
        .returning(k.c.client)
    ).first()
    if claimed is not None or _take_over(tx, claim, body_hash, at_utc, stale_before_utc):
        return None
    row = tx.connection.execute(sa.select(k).where(claim._row())).first()
    if row is not None and row.body_hash != body_hash:
        raise IdempotencyMismatch(
            "this Idempotency-Key was used before for another request; use a new key",
            field="Idempotency-Key",
        )
    if row is None or row.response_status is None:
        raise Conflict(
            "the first request with this Idempotency-Key is still in flight; ask again shortly",
            field="Idempotency-Key",
        )
    return StoredAnswer(status=row.response_status, body=row.response_body)


def _take_over(
    tx: Tx, claim: Claim, body_hash: Hex32, at_utc: datetime, stale_before_utc: datetime
) -> bool:
    """Only one of several callers gets a stale key: its time moves in the same statement."""
    return bool(
        tx.connection.execute(
            k.update()
            .where(
                claim._row(),
                k.c.body_hash == body_hash,
                k.c.response_status.is_(None),
                k.c.created_at_utc < stale_before_utc,
            )
            .values(claim=claim.token, created_at_utc=at_utc)
        ).rowcount
    )


def finish_request(tx: Tx, claim: Claim, *, status: int, body: Any) -> None:
    """Keep the answer for repeats, in the commit of the work. Raises Conflict when another attempt
    has taken the key over: that one does the work, and this commit must not happen."""
    kept = tx.connection.execute(
        k.update().where(claim._own_row()).values(response_status=status, response_body=body)
    ).rowcount
    if kept != 1:
        raise Conflict(
            "this took so long that a repeat of the request has taken it over; nothing was done"
            " here, ask again for its answer",
            field="Idempotency-Key",
        )


def abandon_request(tx: Tx, claim: Claim) -> None:
    """Free a key whose request failed without changing anything, if this attempt still has it."""
    tx.connection.execute(k.delete().where(claim._own_row()))


def drop_old_keys(tx: Tx, *, before_utc: datetime) -> int:
    """Retention of idempotency keys."""
    return tx.connection.execute(k.delete().where(k.c.created_at_utc < before_utc)).rowcount
