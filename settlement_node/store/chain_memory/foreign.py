"""Batches on the chain that no settlement of this book made, and why each was accepted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.inserts import insert_if_new
from settlement_node.store.tables import AcceptedAs
from settlement_node.units import Address, Hex32

fb = t.foreign_batches
e = t.settler_events


@dataclass(frozen=True, slots=True)
class ForeignBatch:
    """A batch that nothing explains yet, and the transaction that now holds it."""

    settler_address: Address
    batch_hash: Hex32
    transaction_hash: Hex32


def note_batches(
    tx: Tx, fund_id: str, chain_id: int, settler_address: Address, hashes: Sequence[Hex32]
) -> None:
    """Remember which of these batches no settlement of this book made, in the commit that records
    their events. Until the settler's history is read to its end, they are that history."""
    s, fs = t.settlements, t.fund_settlers
    known = set(
        tx.connection.execute(
            sa.select(s.c.batch_hash).where(
                s.c.settler_address == settler_address, s.c.batch_hash.in_(hashes)
            )
        ).scalars()
    )
    foreign = [batch_hash for batch_hash in dict.fromkeys(hashes) if batch_hash not in known]
    if not foreign:
        return
    is_history = tx.connection.execute(
        sa.select(fs.c.history_read_at_utc.is_(None)).where(
            fs.c.fund_id == fund_id, fs.c.settler_address == settler_address
        )
    ).scalar_one()
    tx.connection.execute(
        insert_if_new(tx.connection, fb),
        [
            {
                "chain_id": chain_id,
                "settler_address": settler_address,
                "batch_hash": batch_hash,
                "accepted_as": AcceptedAs.HISTORY.value if is_history else None,
                "seen_at_utc": tx.now_utc,
                "accepted_at_utc": tx.now_utc if is_history else None,
            }
            for batch_hash in foreign
        ],
    )


def unexplained(tx: ReadTx, chain_id: int, settlers: Iterable[Address]) -> list[ForeignBatch]:
    """Batches of these settlers that are on the chain now, that this book did not make and nobody
    accepted, in chain order."""
    query = (
        sa.select(fb.c.settler_address, fb.c.batch_hash, e.c.transaction_hash)
        .join(
            e,
            sa.and_(
                e.c.chain_id == fb.c.chain_id,
                e.c.settler_address == fb.c.settler_address,
                e.c.batch_hash == fb.c.batch_hash,
            ),
        )
        .where(
            fb.c.chain_id == chain_id,
            fb.c.settler_address.in_(list(settlers)),
            fb.c.accepted_as.is_(None),
            e.c.kind == "batch",
        )
        .order_by(e.c.block_number, e.c.log_index)
    )
    return [ForeignBatch(*row) for row in tx.connection.execute(query)]


def accept_batch(
    tx: Tx,
    chain_id: int,
    settler_address: Address,
    batch_hash: Hex32,
    *,
    accepted_as: AcceptedAs,
) -> None:
    """Call a settler's batch explained, for ever: it may be mined again in another block."""
    tx.connection.execute(
        fb.update()
        .where(
            fb.c.chain_id == chain_id,
            fb.c.settler_address == settler_address,
            fb.c.batch_hash == batch_hash,
            fb.c.accepted_as.is_(None),
        )
        .values(accepted_as=accepted_as.value, accepted_at_utc=tx.now_utc)
    )
    tx.audit(
        "batch_accepted",
        "batch",
        batch_hash,
        {"settler_address": settler_address, "accepted_as": accepted_as.value},
    )


def settlers_with_unread_history(tx: ReadTx, fund_ids: Sequence[str]) -> list[tuple[str, Address]]:
    """Settlers of these funds of whose history some was read and its end never noted; normally
    none. Of one that begins above the head so far, nothing was: its batches come as history yet."""
    fs = t.fund_settlers
    query = sa.select(fs.c.fund_id, fs.c.settler_address).where(
        fs.c.fund_id.in_(fund_ids),
        fs.c.history_read_at_utc.is_(None),
        fs.c.scanned_to_block >= fs.c.from_block,
    )
    return [(row.fund_id, row.settler_address) for row in tx.connection.execute(query)]


def set_history_read(tx: Tx, fund_id: str, settler_address: Address) -> None:
    """From here on a batch of this settler is this book's own, or foreign."""
    fs = t.fund_settlers
    tx.connection.execute(
        fs.update()
        .where(fs.c.fund_id == fund_id, fs.c.settler_address == settler_address)
        .values(history_read_at_utc=tx.now_utc)
    )
