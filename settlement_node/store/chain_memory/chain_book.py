"""What the book remembers of the chain: heads by hash, and settler events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from settlement_node.domain.observations import (
    BatchSettledEvent,
    Block,
    EventPlace,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SettlerEvent,
)
from settlement_node.store import tables as t
from settlement_node.store.book.funds import lock_fund_to_change
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.inserts import insert_if_new
from settlement_node.store.rows import SettlerEventRow
from settlement_node.store.types import among
from settlement_node.units import INT64_MAX, Address, Hex32

h = t.heads
e = t.settler_events


def remembered_heads(tx: ReadTx, lane: str, *, from_number: int = 0) -> dict[int, Hex32]:
    """Block hashes by number that a lane remembers, from a number on."""
    query = sa.select(h.c.block_number, h.c.block_hash).where(
        h.c.lane == lane, h.c.block_number >= from_number
    )
    return {number: Hex32(value) for number, value in tx.connection.execute(query)}


def timestamp_seconds(tx: Tx, lane: str, block_hash: Hex32) -> int | None:
    """The time of a block that a lane remembers; None for another."""
    return tx.connection.execute(
        sa.select(h.c.timestamp_seconds).where(h.c.lane == lane, h.c.block_hash == block_hash)
    ).scalar()


def latest_head(tx: ReadTx, lane: str) -> tuple[int, Hex32] | None:
    """The highest block a lane remembers."""
    row = tx.connection.execute(
        sa.select(h.c.block_number, h.c.block_hash)
        .where(h.c.lane == lane)
        .order_by(h.c.block_number.desc())
        .limit(1)
    ).first()
    return None if row is None else (row.block_number, Hex32(row.block_hash))


def highest_final(tx: ReadTx, lane: str) -> int:
    """The highest block number a lane ever called final; −1 when none was."""
    highest: int = tx.connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(h.c.block_number), -1)).where(
            h.c.lane == lane, h.c.is_final.is_(True)
        )
    ).scalar_one()
    return highest


def remember_heads(tx: Tx, lane: str, blocks: Sequence[Block]) -> None:
    """Add canonical blocks; numbers must be new (forget the undone ones first)."""
    if blocks:
        tx.connection.execute(
            h.insert(),
            [
                {
                    "lane": lane,
                    "block_number": block.number,
                    "block_hash": block.block_hash,
                    "parent_hash": block.parent_hash,
                    "timestamp_seconds": block.timestamp_seconds,
                    "is_final": False,
                }
                for block in blocks
            ],
        )


def mark_final(tx: Tx, lane: str, *, up_to_number: int) -> None:
    """Remember which blocks were called final: a reorganisation below that line is a break."""
    tx.connection.execute(
        h.update()
        .where(h.c.lane == lane, h.c.block_number <= up_to_number, h.c.is_final.is_(False))
        .values(is_final=True)
    )


def forget_heads(tx: Tx, lane: str, *, from_number: int) -> None:
    """Undo: drop a lane's heads from a number on."""
    tx.connection.execute(h.delete().where(h.c.lane == lane, h.c.block_number >= from_number))


def settled_from(
    tx: Tx, chain_id: int, settler_address: Address, *, from_number: int
) -> dict[Hex32, Hex32]:
    """The redemptions a settler's events show as paid from a block on, with the transactions."""
    query = sa.select(e.c.redemption_id, e.c.transaction_hash).where(
        e.c.chain_id == chain_id,
        e.c.settler_address == settler_address,
        e.c.block_number >= from_number,
        e.c.kind == "settled",
    )
    return {row.redemption_id: row.transaction_hash for row in tx.connection.execute(query)}


def forget_events(
    tx: Tx, chain_id: int, fund_id: str, settler_address: Address, *, from_number: int
) -> None:
    """Drop a settler's events from a block on, and take its scan cursor back to below it."""
    # Without the lock a page that is being written would come in behind the deletion.
    lock_fund_to_change(tx, fund_id)
    tx.connection.execute(
        e.delete().where(
            e.c.chain_id == chain_id,
            e.c.settler_address == settler_address,
            e.c.block_number >= from_number,
        )
    )
    s = t.fund_settlers
    tx.connection.execute(
        s.update()
        .where(
            s.c.fund_id == fund_id,
            s.c.settler_address == settler_address,
            s.c.scanned_to_block >= from_number,
        )
        .values(scanned_to_block=from_number - 1)
    )


def drop_old_heads(tx: Tx, lane: str, *, below_number: int) -> int:
    """Retention: forget a lane's heads far below finality."""
    return tx.connection.execute(
        h.delete().where(h.c.lane == lane, h.c.block_number < below_number)
    ).rowcount


def record_events(
    tx: Tx,
    chain_id: int,
    events: Iterable[SettlerEvent],
    *,
    timestamps_seconds: Mapping[int, int] | None = None,
) -> int:
    """Remember settler events; those already known are left alone. Returns how many were new.
    `timestamps_seconds` gives the times of their blocks by number, as far as they are known."""
    rows = [
        _event_values(chain_id, event)
        | {"block_timestamp_seconds": (timestamps_seconds or {}).get(event.place.block_number)}
        for event in events
    ]
    if not rows:
        return 0
    # Counted by the database: rows that were returned would have to go in one long statement.
    statement = insert_if_new(tx.connection, e).execution_options(preserve_rowcount=True)
    empty = dict.fromkeys(e.c.keys())
    return tx.connection.execute(statement, [empty | row for row in rows]).rowcount


def _event_values(chain_id: int, event: SettlerEvent) -> dict[str, object]:
    place = event.place
    values: dict[str, object] = {
        "chain_id": chain_id,
        "transaction_hash": place.transaction_hash,
        "log_index": place.log_index,
        "settler_address": place.settler_address,
        "block_number": place.block_number,
        "block_hash": place.block_hash,
    }
    match event:
        case RedemptionSettledEvent():
            values |= {
                "kind": "settled",
                "redemption_id": event.redemption_id_hex,
                "redemption_index": min(event.redemption_index, INT64_MAX),
                "investor_address": event.investor_address,
                "payee_address": event.payee_address,
                "shares_base_units": event.shares_base_units,
                "payout_base_units": event.payout_base_units,
            }
        case RedemptionSkippedEvent():
            values |= {
                "kind": "skipped",
                "redemption_id": event.redemption_id_hex,
                "redemption_index": min(event.redemption_index, INT64_MAX),
                "skip_reason": event.skip_reason.value,
                "detail": "0x" + event.detail[:500].hex(),
            }
        case BatchSettledEvent():
            values |= {
                "kind": "batch",
                "batch_hash": event.batch_hash,
                "previous_batch_hash": event.previous_batch_hash,
            }
    return values


def settled_events(
    tx: ReadTx, chain_id: int, redemption_ids: Sequence[Hex32]
) -> dict[Hex32, SettlerEventRow]:
    """The settled event of each redemption that the chain shows as paid."""
    query = sa.select(e).where(
        e.c.chain_id == chain_id, e.c.kind == "settled", among(e.c.redemption_id, redemption_ids)
    )
    found = tx.connection.execute(query).mappings()
    return {Hex32(row["redemption_id"]): SettlerEventRow.of(row) for row in found}


def settled_ids(tx: ReadTx, chain_id: int, redemption_ids: Sequence[Hex32]) -> set[Hex32]:
    """Which of these redemptions the chain shows as paid."""
    query = sa.select(e.c.redemption_id).where(
        e.c.chain_id == chain_id, e.c.kind == "settled", among(e.c.redemption_id, redemption_ids)
    )
    return {Hex32(redemption_id) for redemption_id in tx.connection.execute(query).scalars()}


def payments_of(tx: ReadTx, chain_id: int, redemption_id: Hex32) -> list[SettlerEventRow]:
    """Every settled event of one redemption, of any settler, oldest first."""
    query = (
        sa.select(e)
        .where(
            e.c.chain_id == chain_id,
            e.c.kind == "settled",
            e.c.redemption_id == redemption_id,
        )
        .order_by(e.c.block_number, e.c.log_index)
    )
    return [SettlerEventRow.of(row) for row in tx.connection.execute(query).mappings()]


def final_payments(
    tx: ReadTx, chain_id: int, redemption_ids: Sequence[Hex32], *, final_number: int
) -> list[RedemptionSettledEvent]:
    """Every settled event of these redemptions up to a block; one paid twice has several."""
    query = sa.select(e).where(
        e.c.chain_id == chain_id,
        e.c.kind == "settled",
        e.c.block_number <= final_number,
        among(e.c.redemption_id, redemption_ids),
    )
    return [_payment(row) for row in tx.connection.execute(query).mappings()]


def _payment(row: sa.RowMapping) -> RedemptionSettledEvent:
    return RedemptionSettledEvent(
        place=EventPlace(**{name: row[name] for name in EventPlace.__dataclass_fields__}),
        redemption_id_hex=row["redemption_id"],
        redemption_index=row["redemption_index"],
        investor_address=row["investor_address"],
        payee_address=row["payee_address"],
        shares_base_units=row["shares_base_units"],
        payout_base_units=row["payout_base_units"],
    )


def ratchet_tip(
    tx: ReadTx, chain_id: int, settler_address: Address, *, below_block: int | None = None
) -> SettlerEventRow | None:
    """The last BatchSettled of a settler on the canonical chain, below a block if given; None
    before the first."""
    query = (
        sa.select(e)
        .where(
            e.c.chain_id == chain_id,
            e.c.settler_address == settler_address,
            e.c.kind == "batch",
        )
        .order_by(e.c.block_number.desc(), e.c.log_index.desc())
        .limit(1)
    )
    if below_block is not None:
        query = query.where(e.c.block_number < below_block)
    row = tx.connection.execute(query).mappings().first()
    return None if row is None else SettlerEventRow.of(row)


def batch_event(
    tx: ReadTx, chain_id: int, settler_address: Address, batch_hash: Hex32
) -> SettlerEventRow | None:
    """The BatchSettled that moved the ratchet to this hash, if the chain has it."""
    return _batch(tx, chain_id, settler_address, e.c.batch_hash == batch_hash)


def batch_after(
    tx: ReadTx, chain_id: int, settler_address: Address, previous_batch_hash: Hex32
) -> SettlerEventRow | None:
    """The BatchSettled that moved the ratchet on from this hash, if the chain has one."""
    return _batch(tx, chain_id, settler_address, e.c.previous_batch_hash == previous_batch_hash)


def _batch(
    tx: ReadTx, chain_id: int, settler_address: Address, condition: sa.ColumnElement[bool]
) -> SettlerEventRow | None:
    query = sa.select(e).where(
        e.c.chain_id == chain_id,
        e.c.settler_address == settler_address,
        e.c.kind == "batch",
        condition,
    )
    row = tx.connection.execute(query).mappings().first()
    return None if row is None else SettlerEventRow.of(row)
