"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from settlement_node.units import UINT256_MAX

WIDTH = 78
"""Decimal digits of 2^256 − 1."""


class BaseUnits(sa.types.TypeDecorator[int]):
    """An integer from 0 to 2^256 − 1, exact on both databases.

    NUMERIC(78,0) on PostgreSQL; on SQLite, whose integers stop at 64 bits, text of 78 digits with
    leading zeros, so that order and equality of the text are those of the number. Sum it with
    `sum_base_units`, never with `sum`.
    """

    impl = sa.String(WIDTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(WIDTH, 0, asdecimal=True))
        return dialect.type_descriptor(sa.String(WIDTH))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"base units must be int, not {type(value).__name__}")
        if not 0 <= value <= UINT256_MAX:
            raise ValueError("base units must be between 0 and 2^256 - 1")
        return value if dialect.name == "postgresql" else str(value).zfill(WIDTH)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


def in_range(column: str) -> str:
    """CHECK text that bounds a BaseUnits column; one wording serves both databases, since a
    quoted number is read as NUMERIC by PostgreSQL and compared digit by digit by SQLite."""
    return f"{column} >= '{'0' * WIDTH}' AND {column} <= '{str(UINT256_MAX).zfill(WIDTH)}'"


class sum_base_units(GenericFunction[Any]):
    """Exact sum of a BaseUnits column; 0 over no rows. The sum may exceed 2^256 − 1.

    It comes as Decimal or text by database: give it to `int`.
    """

    type = sa.types.NullType()
    inherit_cache = True
    name = "sum_base_units"


@compiles(sum_base_units, "postgresql")
def _sum_on_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"coalesce(sum({compiler.process(element.clauses, **kw)}), 0)"


@compiles(sum_base_units, "sqlite")
def _sum_on_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # The driver never finalises an aggregate that saw no row; SQLite then answers NULL.
    return f"coalesce(sum_base_units({compiler.process(element.clauses, **kw)}), '0')"


class SumAggregate:
    """The aggregate `sum_base_units` of SQLite connections; gives decimal text."""

    def __init__(self) -> None:
        self.total = 0

    def step(self, value: str | None) -> None:
        """Add one stored value."""
        if value is not None:
            self.total += int(value)

    def finalize(self) -> str:
        """The exact sum as text."""
        return str(self.total)


class _Many(sa.types.TypeDecorator[Any]):
    """Many texts or integers as one parameter: an array on PostgreSQL, on SQLite JSON text."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.ARRAY(self.item))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class _among(GenericFunction[Any]):
    # As a Boolean it would be compared with 1 on SQLite, which then uses no index.
    type = sa.types.NullType()
    inherit_cache = True
    name = "among_many"


def among(column: sa.Column[Any], values: Iterable[str | int]) -> sa.ColumnElement[bool]:
    """Whether a column of texts or integers has one of these values, however many: they are one
    parameter, and the statement is the same for any number of them."""
    return _among(column, sa.bindparam(None, list(values), type_=_Many(column.type)))


@compiles(_among, "postgresql")
def _among_on_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} = ANY ({compiler.process(values, **kw)})"


@compiles(_among, "sqlite")
def _among_on_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 both are compiled


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC. Naive values are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """The rows of one commit carry one time: it is made into text once, not for every row."""
        return lru_cache(maxsize=64)(super().bind_processor(dialect))  # type: ignore[arg-type]

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Note(sa.types.TypeDecorator[str]):
    """Words for people: cut to the column's length on both databases, NUL shown as a blank, since
    a long or dirty message must never undo the commit that pauses a lane."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        assert isinstance(self.impl_instance, sa.String)
        return value.replace("\x00", " ")[: self.impl_instance.length]


def word(value: StrEnum) -> sa.BindParameter[str]:
    """A status written into the statement itself: planners then see which partial index fits."""
    return sa.literal(value.value, sa.String(), literal_execute=True)


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A JSON document; amounts in it are decimal strings."""

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A row number given by the database, growing."""
