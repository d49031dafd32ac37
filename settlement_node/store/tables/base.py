"""What the tables share: naming, column types, words, and CHECKs made from them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from settlement_node.store.types import BaseUnits, in_range

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ADDRESS = sa.String(42)
"""A checksummed address."""
HASH = sa.String(66)
"""32 bytes as a lower-case 0x string."""


class SettlementStatus(StrEnum):
    """A settlement is live until its transaction is final; void frees its redemptions."""

    LIVE = "live"
    SETTLED = "settled"
    VOID = "void"


class ItemOutcome(StrEnum):
    """What came of one item of a settlement."""

    PENDING = "pending"
    SETTLED = "settled"
    SKIPPED = "skipped"


class AttemptKind(StrEnum):
    """What an attempt is for; `found` is one met on the chain after the book was restored."""

    ORIGINAL = "original"
    REPLACEMENT = "replacement"
    CANCEL = "cancel"
    FOUND = "found"


class AcceptedAs(StrEnum):
    """Why a batch that this book did not make is no reason to stop: it was there before the book,
    it is what a restored book has lost, or a person said so."""

    HISTORY = "history"
    RESTORE = "restore"
    PERSON = "person"


class BreakStatus(StrEnum):
    """An open break has an owner; a resolved one keeps its row."""

    OPEN = "open"
    RESOLVED = "resolved"


class AlertStatus(StrEnum):
    """An alert is open until what raised it is gone."""

    OPEN = "open"
    CLEARED = "cleared"


def one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """CHECK that a column holds one of the words of an enumeration."""
    return sa.CheckConstraint(among(column, values), name=f"{column}_known")


def among(column: str, values: Iterable[StrEnum]) -> str:
    """CHECK text that a column holds one of these words, each given once, in their order."""
    listed = ", ".join(f"'{value.value}'" for value in dict.fromkeys(values))
    return f"{column} IN ({listed})"


def units(name: str, *, nullable: bool = False) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    """An amount column with the CHECK that bounds it; spread it into a table with `*`."""
    return (
        sa.Column(name, BaseUnits, nullable=nullable),
        sa.CheckConstraint(in_range(name), name=f"{name}_range"),
    )
