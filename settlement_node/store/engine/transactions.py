"""Transactions and their attempts: the engine's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from settlement_node.domain.lifecycle import (
    TransactionFact,
    TransactionStatus,
    advance_transaction,
)
from settlement_node.errors import InvariantBroken
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import AttemptRow, TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.store.types import word
from settlement_node.units import INT64_MAX, Address, Hex32, Wei

x = t.transactions
a = t.attempts
UNFINAL_MAX = 10_000
"""More than a lane ever has unfinal, mined or not (`engine.unfinal_max`)."""
AUDITED = frozenset(TransactionFact) - {
    TransactionFact.ATTEMPT_SIGNED,
    TransactionFact.ATTEMPT_SENT,
}
"""What the chain did with a transaction. A signature is audited with its attempt."""
GAP_MAX = 100
"""Most transactions sent again at once to fill a gap of nonces."""


def plan_transaction(
    tx: Tx,
    *,
    chain_id: int,
    signer_address: Address,
    nonce: int,
    to_address: Address,
    data: bytes,
    gas_limit: int,
    deadline_block: int | None,
) -> TransactionRow:
    """Give a nonce to an intent, for ever. The lane's next nonce moves in the same commit.

    Raises InvariantBroken when the nonce is not the lane's next; the caller's commit is off then.
    """
    moved = tx.connection.execute(
        t.lanes.update()
        .where(
            t.lanes.c.chain_id == chain_id,
            t.lanes.c.signer_address == signer_address,
            t.lanes.c.next_nonce == nonce,
        )
        .values(next_nonce=nonce + 1, updated_at_utc=tx.now_utc)
    )
    if moved.rowcount != 1:
        raise InvariantBroken(
            f"nonce {nonce} is not the lane's next; nothing was planned",
            nonce=nonce,
            signer_address=signer_address,
        )
    row = (
        tx.connection.execute(
            x.insert()
            .values(
                chain_id=chain_id,
                signer_address=signer_address,
                nonce=nonce,
                to_address=to_address,
                data=data,
                gas_limit=gas_limit,
                status=TransactionStatus.PLANNED.value,
                cancel_requested=False,
                speed_up_requested=False,
                displacement_accepted=False,
                deadline_block=deadline_block,
                planned_at_utc=tx.now_utc,
            )
            .returning(*x.c)
        )
        .mappings()
        .one()
    )
    return TransactionRow.of(row)


def record_fact(
    tx: Tx, row: TransactionRow, fact: TransactionFact, **changes: Any
) -> TransactionRow:
    """Advance a transaction by a fact and write `changes` with it."""
    following = advance_transaction(row.status, fact)
    updated = (
        tx.connection.execute(
            x.update()
            .where(x.c.transaction_id == row.transaction_id, x.c.status == row.status.value)
            .values(status=following.value, **changes)
            .returning(*x.c)
        )
        .mappings()
        .first()
    )
    if updated is None:
        raise InvariantBroken(
            f"transaction {row.transaction_id} changed while a fact was recorded",
            transaction_id=row.transaction_id,
        )
    if following is not row.status:
        happened = {
            "nonce": row.nonce,
            "outcome": updated["outcome"],
            "block_number": updated["block_number"],
            "transaction_hash": updated["mined_attempt_hash"],
        }
        subject = str(row.transaction_id)
        tx.emit(
            f"transaction.{following.value}",
            subject,
            {
                "transaction_id": row.transaction_id,
                "status": following.value,
                "fact": fact.value,
                **happened,
            },
        )
        if fact in AUDITED:
            tx.audit(fact.value, "transaction", subject, happened)
    return TransactionRow.of(updated)


def set_fields(tx: Tx, transaction_id: int, **values: Any) -> None:
    """Change fields that are no status, such as cancel_requested."""
    tx.connection.execute(x.update().where(x.c.transaction_id == transaction_id).values(**values))


def get(tx: Tx, transaction_id: int) -> TransactionRow | None:
    """One transaction by its row id."""
    row = (
        tx.connection.execute(sa.select(x).where(x.c.transaction_id == transaction_id))
        .mappings()
        .first()
    )
    return None if row is None else TransactionRow.of(row)


def unmined(tx: ReadTx, chain_id: int, signer_address: Address) -> list[TransactionRow]:
    """Every transaction of a lane that is planned, signed or sent and in no block, by nonce."""
    return _unfinal(tx, chain_id, signer_address, x.c.status != word(TransactionStatus.MINED))


def mined(
    tx: ReadTx,
    chain_id: int,
    signer_address: Address,
    *,
    from_block: int = 0,
    to_block: int = INT64_MAX,
    limit: int = UNFINAL_MAX,
) -> list[TransactionRow]:
    """A lane's transactions that are mined in these blocks, both included, and not final, by
    nonce."""
    return _unfinal(
        tx,
        chain_id,
        signer_address,
        x.c.status == word(TransactionStatus.MINED),
        x.c.block_number >= from_block,
        x.c.block_number <= to_block,
        limit=limit,
    )


def _unfinal(
    tx: ReadTx,
    chain_id: int,
    signer_address: Address,
    *conditions: sa.ColumnElement[bool],
    limit: int = UNFINAL_MAX,
) -> list[TransactionRow]:
    query = (
        sa.select(x)
        .where(
            x.c.chain_id == chain_id,
            x.c.signer_address == signer_address,
            x.c.status != word(TransactionStatus.FINAL),
            *conditions,
        )
        .order_by(x.c.nonce)
        .limit(limit)
    )
    return [TransactionRow.of(row) for row in tx.connection.execute(query).mappings()]


def highest_unfinal_nonce(tx: ReadTx, chain_id: int, signer_address: Address) -> int | None:
    """The last nonce of a lane whose transaction is not final; None when all are."""
    nonce: int | None = tx.connection.execute(
        sa.select(sa.func.max(x.c.nonce)).where(
            x.c.chain_id == chain_id,
            x.c.signer_address == signer_address,
            x.c.status != word(TransactionStatus.FINAL),
        )
    ).scalar()
    return nonce


def with_nonces(
    tx: ReadTx, chain_id: int, signer_address: Address, *, first: int, below: int
) -> list[TransactionRow]:
    """A lane's transactions with nonces from `first` on and below `below`, by nonce."""
    query = (
        sa.select(x)
        .where(
            x.c.chain_id == chain_id,
            x.c.signer_address == signer_address,
            x.c.nonce >= first,
            x.c.nonce < below,
        )
        .order_by(x.c.nonce)
        .limit(GAP_MAX)
    )
    return [TransactionRow.of(row) for row in tx.connection.execute(query).mappings()]


def count_unfinal(tx: ReadTx, chain_id: int, signer_address: Address) -> int:
    """How many transactions of a lane are not final."""
    return tx.connection.execute(
        sa.select(sa.func.count()).where(
            x.c.chain_id == chain_id,
            x.c.signer_address == signer_address,
            x.c.status != word(TransactionStatus.FINAL),
        )
    ).scalar_one()


def add_attempt(
    tx: Tx,
    row: TransactionRow,
    *,
    attempt_hash: Hex32,
    kind: AttemptKind,
    raw: bytes,
    max_fee_per_gas_wei: Wei,
    max_priority_fee_per_gas_wei: Wei,
    at_block: int,
) -> AttemptRow:
    """Write signed bytes down. Nothing of them leaves before this commit (invariant 3).

    A signer may make again what the book knows, such as a lost replacement that was found on the
    chain: that attempt is filled in and becomes the latest. Raises InvariantBroken when the hash
    is of another transaction.
    """
    known = tx.connection.execute(
        sa.select(a.c.transaction_id).where(a.c.attempt_hash == attempt_hash)
    ).scalar()
    if known is not None and known != row.transaction_id:
        raise InvariantBroken(
            f"attempt {attempt_hash} of transaction {row.transaction_id} is in the book as one of"
            f" transaction {known}",
            transaction_id=row.transaction_id,
            attempt_hash=attempt_hash,
        )
    ordinal = tx.connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(a.c.ordinal), 0) + 1).where(
            a.c.transaction_id == row.transaction_id, a.c.attempt_hash != attempt_hash
        )
    ).scalar_one()
    values = {
        "ordinal": ordinal,
        "kind": kind.value,
        "raw": raw,
        "max_fee_per_gas_wei": max_fee_per_gas_wei,
        "max_priority_fee_per_gas_wei": max_priority_fee_per_gas_wei,
        "signed_at_utc": tx.now_utc,
        "signed_at_block": at_block,
    }
    statement: sa.Insert | sa.Update
    if known is None:
        statement = a.insert().values(
            attempt_hash=attempt_hash,
            transaction_id=row.transaction_id,
            sends_count=0,
            **values,
        )
    else:
        statement = a.update().where(a.c.attempt_hash == attempt_hash).values(**values)
    written = tx.connection.execute(statement.returning(*a.c)).mappings().one()
    tx.audit(
        "attempt_signed",
        "transaction",
        str(row.transaction_id),
        {"attempt_hash": attempt_hash, "kind": kind.value, "ordinal": ordinal},
    )
    return AttemptRow.of(written)


def record_send(tx: Tx, attempt_hash: Hex32, *, at_block: int, answer: str) -> None:
    """Note that an attempt was handed to the endpoints, and what they answered."""
    tx.connection.execute(
        a.update()
        .where(a.c.attempt_hash == attempt_hash)
        .values(
            last_sent_at_utc=tx.now_utc,
            last_sent_block=at_block,
            sends_count=a.c.sends_count + 1,
            last_answer=answer,
        )
    )


def attempts_of(tx: ReadTx, transaction_ids: Sequence[int]) -> dict[int, list[AttemptRow]]:
    """Attempts of each transaction, in the order they were signed."""
    found: dict[int, list[AttemptRow]] = {n: [] for n in transaction_ids}
    if not found:
        return found
    query = (
        sa.select(a)
        .where(a.c.transaction_id.in_(list(transaction_ids)))
        .order_by(a.c.transaction_id, a.c.ordinal)
    )
    for row in tx.connection.execute(query).mappings():
        found[row["transaction_id"]].append(AttemptRow.of(row))
    return found


def by_attempt_hash(tx: ReadTx, attempt_hash: Hex32) -> TransactionRow | None:
    """The transaction one of whose attempts has this hash."""
    query = (
        sa.select(x)
        .join(a, a.c.transaction_id == x.c.transaction_id)
        .where(a.c.attempt_hash == attempt_hash)
    )
    row = tx.connection.execute(query).mappings().first()
    return None if row is None else TransactionRow.of(row)
