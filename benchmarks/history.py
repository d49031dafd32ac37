"""A book with as much history as wanted: one settled batch, copied again and again by the database.

The batch is real: planned, sent, mined and final. Each copy has ids, hashes, indexes, nonces and
blocks of its own, as if it had been settled some time before; the chain is told of the nonces.
"""

from __future__ import annotations

import sqlalchemy as sa

from benchmarks.scene import Scene
from settlement_node.store import tables as t

COPIED = (
    t.transactions,
    t.attempts,
    t.settlements,
    t.redemptions,
    t.settlement_items,
    t.ledger_postings,
    t.settler_events,
    t.audit_events,
    t.outbox,
)
"""What a batch leaves behind, those first that others refer to."""
HASHES = frozenset(
    {
        "redemption_id",
        "attempt_hash",
        "mined_attempt_hash",
        "transaction_hash",
        "batch_hash",
        "previous_batch_hash",
    }
)
NUMBERS = frozenset(
    {"transaction_id", "settlement_id", "posting_id", "audit_id", "event_id", "redemption_index"}
)
TEXTS = frozenset({"external_id", "journal"})
BLOCKS = frozenset({"block_number", "signed_at_block", "last_sent_block"})
STEP = 100_000
"""Between the row numbers of one copy and the next."""
AT_ONCE = 500
"""Copies in one commit."""


def copy_history(played: Scene, copies: int) -> None:
    """Copy the one batch that is in the book so many times, and have chain and lane know it."""
    with played.store.engine.connect() as connection:
        for first in range(1, copies + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, copies)
            for table in COPIED:
                connection.execute(_copies_of(table, connection.dialect.name, first, last, copies))
            connection.commit()
        _count_on(played, connection, copies)
        # As the database does by itself in time, where it does.
        connection.execute(sa.text("ANALYZE"))
        connection.commit()
    lane = played.stage.operator.address
    nonce = int(played.chain.rpc("eth_getTransactionCount", lane, "latest"), 16)
    played.chain.set_nonce(lane, nonce + copies)
    played.chain.mine()


def _copies_of(table: sa.Table, dialect: str, first: int, last: int, copies: int) -> sa.Insert:
    """Insert copies `first` to `last` of every row that is no copy."""
    numbers = sa.select(sa.literal(first, sa.Integer).label("k")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select((numbers.c.k + 1).label("k")).where(numbers.c.k < last))
    columns = [_copied(column, numbers.c.k, dialect, copies) for column in table.c]
    return table.insert().from_select(
        [column.name for column in table.c],
        sa.select(*columns).select_from(table.join(numbers, sa.true())).where(_is_original(table)),
    )


def _copied(
    column: sa.Column[object], k: sa.ColumnElement[int], dialect: str, copies: int
) -> sa.ColumnElement[object]:
    raw = sa.type_coerce(column, sa.String) if column.name in HASHES | TEXTS else column
    digits = sa.cast(k, sa.String)
    if column.name in HASHES:
        padded = sa.func.substr(
            sa.literal("00000000").concat(digits), sa.func.length(digits) + 1, 8
        )
        return sa.literal("0x").concat(padded).concat(sa.func.substr(raw, 11))
    if column.name in TEXTS:
        return raw.concat("~").concat(digits)
    if column.name in NUMBERS:
        return column + k * STEP
    if column.name == "nonce":
        return column + k
    if column.name in BLOCKS:
        return column - (copies + 1 - k)
    return column


def _is_original(table: sa.Table) -> sa.ColumnElement[bool]:
    """Copies have large row numbers, or a mark in their texts."""
    for column in table.c:
        if column.name in NUMBERS:
            return column < STEP
    raise AssertionError(f"{table.name} has no row numbers")


def _count_on(played: Scene, connection: sa.Connection, copies: int) -> None:
    """What the book counts itself: the next index, the next nonce, and PostgreSQL's sequences."""
    top = (copies + 1) * STEP
    connection.execute(sa.update(t.funds).values(next_redemption_index=top))
    connection.execute(sa.update(t.lanes).values(next_nonce=t.lanes.c.next_nonce + copies))
    counts = t.redemption_counts
    connection.execute(
        sa.update(counts).values(redemptions_count=counts.c.redemptions_count * (copies + 1))
    )
    if connection.dialect.name == "postgresql":
        for table in COPIED:
            _move_sequence(connection, table.name, next(iter(table.primary_key)).name, top)


def _move_sequence(connection: sa.Connection, table: str, column: str, top: int) -> None:
    """Where PostgreSQL numbers the rows of a table, it goes on from there."""
    sequence = connection.execute(
        sa.select(sa.func.pg_get_serial_sequence(table, column))
    ).scalar_one()
    if sequence is not None:
        connection.execute(sa.select(sa.func.setval(sequence, top)))
