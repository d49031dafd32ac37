"""Amounts and times are the same on both databases, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from settlement_node.store import tables as t
from settlement_node.store.database import Store
from settlement_node.store.types import BaseUnits, Note, UtcDateTime, sum_base_units
from settlement_node.units import UINT256_MAX

AMOUNTS = [0, 1, 9, 10, 2**63 - 1, 2**63, 2**64, 10**77, UINT256_MAX]

metadata = sa.MetaData()
values = sa.Table(
    "type_values",
    metadata,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("amount", BaseUnits),
    sa.Column("at_utc", UtcDateTime),
    sa.Column("note", Note(5)),
    prefixes=["TEMPORARY"],
)


@contextmanager
def table_of(store: Store, rows: list[dict[str, Any]]) -> Iterator[Connection]:
    with store.engine.connect() as connection, connection.begin() as transaction:
        metadata.create_all(connection, checkfirst=False)
        for n, row in enumerate(rows):
            connection.execute(values.insert().values(n=n, **row))
        yield connection
        transaction.rollback()


@pytest.mark.parametrize("amount", AMOUNTS)
def test_base_units__stored_and_read__are_exact(store: Store, amount: int) -> None:
    with table_of(store, [{"amount": amount}]) as connection:
        read = connection.execute(sa.select(values.c.amount)).scalar_one()
    assert (amount, int) == (read, type(read))


def test_base_units__null__stays_null(store: Store) -> None:
    with table_of(store, [{"amount": None}]) as connection:
        assert connection.execute(sa.select(values.c.amount)).scalar_one() is None


def test_base_units__ordered__are_ordered_as_numbers(store: Store) -> None:
    rows = [{"amount": amount} for amount in reversed(AMOUNTS)]
    with table_of(store, rows) as connection:
        query = sa.select(values.c.amount).order_by(values.c.amount)
        assert connection.execute(query).scalars().all() == AMOUNTS


@pytest.mark.parametrize("bound", [1, 10, 2**63, UINT256_MAX])
def test_base_units__compared__compare_as_numbers(store: Store, bound: int) -> None:
    with table_of(store, [{"amount": amount} for amount in AMOUNTS]) as connection:
        query = sa.select(values.c.amount).where(values.c.amount < bound).order_by(values.c.n)
        assert connection.execute(query).scalars().all() == [a for a in AMOUNTS if a < bound]


def test_sum_base_units__beyond_256_bits__is_exact(store: Store) -> None:
    rows = [{"amount": amount} for amount in [*AMOUNTS, UINT256_MAX, None]]
    with table_of(store, rows) as connection:
        total = int(connection.execute(sa.select(sum_base_units(values.c.amount))).scalar_one())
    assert sum(AMOUNTS) + UINT256_MAX == total


def test_sum_base_units__of_no_rows__is_zero(store: Store) -> None:
    with table_of(store, []) as connection:
        total = int(connection.execute(sa.select(sum_base_units(values.c.amount))).scalar_one())
    assert total == 0


@pytest.mark.parametrize(
    "wrong",
    [-1, UINT256_MAX + 1, 1.0, "1", True],
    ids=["negative", "2^256", "float", "text", "bool"],
)
def test_base_units__no_uint256__is_refused(store: Store, wrong: object) -> None:
    with pytest.raises(sa.exc.StatementError) as refused, table_of(store, [{"amount": wrong}]):
        pass
    assert isinstance(refused.value.orig, TypeError | ValueError)


@pytest.mark.parametrize("written", ["'-1'", f"'{UINT256_MAX + 1}'"], ids=["negative", "2^256"])
def test_amount_column__written_past_the_type__is_refused_by_the_database(
    store: Store, written: str
) -> None:
    columns = ", ".join(c.name for c in t.attempts.c)
    statement = (
        f"INSERT INTO attempts ({columns}) VALUES ('0x1', 1, 1, 'original', '', {written},"
        " '0', '2026-01-01', 1, null, null, 0, null)"
    )
    with (
        pytest.raises(sa.exc.IntegrityError, match="max_fee_per_gas_wei_range"),
        store.transaction(actor="test") as tx,
    ):
        tx.connection.exec_driver_sql(statement)


def test_utc_date_time__another_zone__reads_as_the_same_instant_in_utc(store: Store) -> None:
    written = datetime(2026, 3, 1, 0, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with table_of(store, [{"at_utc": written}]) as connection:
        read = connection.execute(sa.select(values.c.at_utc)).scalar_one()
    assert read == datetime(2026, 2, 28, 22, 30, 0, 123456, tzinfo=UTC)
    assert read.tzinfo is UTC


def test_utc_date_time__without_a_zone__is_refused(store: Store) -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 (the point of the test)
    with (
        pytest.raises(sa.exc.StatementError, match="without a zone"),
        table_of(store, [{"at_utc": naive}]),
    ):
        pass


def test_utc_date_time__with_and_without_fraction__orders_by_instant(store: Store) -> None:
    whole = datetime(2026, 3, 1, tzinfo=UTC)
    times = [whole, whole + timedelta(microseconds=1), whole + timedelta(seconds=1)]
    with table_of(store, [{"at_utc": at} for at in reversed(times)]) as connection:
        query = sa.select(values.c.at_utc).order_by(values.c.at_utc)
        assert connection.execute(query).scalars().all() == times


def test_note__too_long_and_with_nul__is_cut_and_cleaned(store: Store) -> None:
    with table_of(store, [{"note": "a\x00bcdefg"}, {"note": None}]) as connection:
        query = sa.select(values.c.note).order_by(values.c.n)
        assert connection.execute(query).scalars().all() == ["a bcd", None]
