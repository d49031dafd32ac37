"""The settlers of a fund: the present one, every former one, and how far their events are read."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from settlement_node.errors import InvalidInput, Transient
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow
from settlement_node.units import Address


@dataclass(frozen=True, slots=True)
class PastSettler:
    """A settler whose events are read from a block at or before its first batch."""

    settler_address: Address
    from_block: int


def add_settler(tx: Tx, fund_id: str, *, settler_address: Address, from_block: int) -> None:
    """Remember a settler for event replay, from the block it was deployed in."""
    if from_block < 0:
        raise InvalidInput("settler_from_block must not be negative", field="settler_from_block")
    tx.connection.execute(
        t.fund_settlers.insert().values(
            fund_id=fund_id,
            settler_address=settler_address,
            from_block=from_block,
            scanned_to_block=from_block - 1,
            added_at_utc=tx.now_utc,
        )
    )
    tx.audit(
        "settler_added",
        "fund",
        fund_id,
        {"settler_address": settler_address, "from_block": from_block},
    )


def settlers_of(tx: ReadTx, fund_id: str) -> list[sa.RowMapping]:
    """Every settler of a fund: address, from_block, scanned_to_block."""
    s = t.fund_settlers
    return list(
        tx.connection.execute(
            sa.select(s).where(s.c.fund_id == fund_id).order_by(s.c.settler_address)
        ).mappings()
    )


def set_settler(tx: Tx, fund: FundRow, settler_address: Address, *, reason: str) -> None:
    """Settle with another settler from now on. The caller has locked the fund, and seen that this
    one is the fund's and that nothing of the present one is unfinal."""
    tx.connection.execute(
        t.funds.update()
        .where(t.funds.c.fund_id == fund.fund_id)
        .values(settler_address=settler_address)
    )
    tx.audit(
        "settler_switched",
        "fund",
        fund.fund_id,
        {"from": fund.settler_address, "to": settler_address, "reason": reason},
    )


def set_scanned(
    tx: Tx, fund_id: str, settler_address: Address, *, from_block: int, to_block: int
) -> None:
    """A settler's events of blocks `from_block` to `to_block` are in the book: its scan cursor goes
    on. Raises Transient, and nothing of the commit is kept, when the cursor does not stand just
    below them: it was taken back meanwhile, by a re-scan say."""
    s = t.fund_settlers
    moved = tx.connection.execute(
        s.update()
        .where(
            s.c.fund_id == fund_id,
            s.c.settler_address == settler_address,
            s.c.scanned_to_block == from_block - 1,
        )
        .values(scanned_to_block=to_block)
    )
    if moved.rowcount != 1:
        raise Transient(
            f"the events of settler {settler_address} are to be read again from a block below"
            f" {from_block}"
        )


def is_read_to(tx: ReadTx, fund_id: str, block_number: int) -> bool:
    """Whether the events of every settler of a fund are in the book up to a block."""
    s = t.fund_settlers
    behind = tx.connection.execute(
        sa.select(s.c.settler_address)
        .where(s.c.fund_id == fund_id, s.c.scanned_to_block < block_number)
        .limit(1)
    )
    return behind.first() is None
