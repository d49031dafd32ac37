"""What the reading side asks for at once: rows of many things by id, and counts over the book.

Each function is one query, so that a page or a status report is a handful of them whatever its
size.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import SettlementRow, TransactionRow
from settlement_node.store.tables import AlertStatus, BreakStatus, SettlementStatus


def settlements_by_id(tx: ReadTx, settlement_ids: Sequence[int]) -> dict[int, SettlementRow]:
    """Settlements by id, for at most a page of ids."""
    s = t.settlements
    query = sa.select(s).where(s.c.settlement_id.in_(sorted(set(settlement_ids))))
    rows = [SettlementRow.of(row) for row in tx.connection.execute(query).mappings()]
    return {row.settlement_id: row for row in rows}


def transactions_by_id(tx: ReadTx, transaction_ids: Sequence[int]) -> dict[int, TransactionRow]:
    """Transactions by id, for at most a page of ids."""
    x = t.transactions
    query = sa.select(x).where(x.c.transaction_id.in_(sorted(set(transaction_ids))))
    rows = [TransactionRow.of(row) for row in tx.connection.execute(query).mappings()]
    return {row.transaction_id: row for row in rows}


def settlements_by_status(tx: ReadTx) -> dict[SettlementStatus, int]:
    """How many settlements stand in each status."""
    s = t.settlements
    query = sa.select(s.c.status, sa.func.count()).group_by(s.c.status)
    counts = dict.fromkeys(SettlementStatus, 0)
    counts.update({SettlementStatus(s): n for s, n in tx.connection.execute(query)})
    return counts


def unfinal_by_lane(tx: ReadTx) -> dict[tuple[int, str], int]:
    """Transactions that are not final, by chain and signer; lanes without any are absent."""
    x = t.transactions
    query = (
        sa.select(x.c.chain_id, x.c.signer_address, sa.func.count())
        .where(x.c.status != TransactionStatus.FINAL.value)
        .group_by(x.c.chain_id, x.c.signer_address)
    )
    return {(chain, signer): n for chain, signer, n in tx.connection.execute(query)}


def latest_reconciliations(tx: ReadTx, *, fund_id: str | None = None) -> list[sa.RowMapping]:
    """The latest reconciliation run of each fund, or of one, by fund."""
    c = t.reconciliations
    latest = sa.select(sa.func.max(c.c.reconciliation_id)).group_by(c.c.fund_id)
    if fund_id is not None:
        latest = latest.where(c.c.fund_id == fund_id)
    query = sa.select(c).where(c.c.reconciliation_id.in_(latest)).order_by(c.c.fund_id)
    return list(tx.connection.execute(query).mappings())


def open_breaks_by_fund(tx: ReadTx) -> dict[str | None, int]:
    """Open breaks by fund; None counts those of no fund."""
    b = t.breaks
    query = (
        sa.select(b.c.fund_id, sa.func.count())
        .where(b.c.status == BreakStatus.OPEN.value)
        .group_by(b.c.fund_id)
    )
    return dict(tx.connection.execute(query).all())


def open_alerts_by_kind(tx: ReadTx) -> dict[str, int]:
    """Open alerts by kind."""
    al = t.alerts
    query = (
        sa.select(al.c.kind, sa.func.count())
        .where(al.c.status == AlertStatus.OPEN.value)
        .group_by(al.c.kind)
    )
    return dict(tx.connection.execute(query).all())


def heads_by_lane(tx: ReadTx) -> dict[str, sa.RowMapping]:
    """The highest remembered block of each lane: lane, block_number, block_hash,
    timestamp_seconds, and final_number, the highest called final (None when none is)."""
    h = t.heads
    top = (
        sa.select(
            h.c.lane,
            sa.func.max(h.c.block_number).label("block_number"),
            sa.func.max(sa.case((h.c.is_final.is_(True), h.c.block_number))).label("final_number"),
        )
        .group_by(h.c.lane)
        .subquery()
    )
    query = sa.select(
        h.c.lane, h.c.block_number, h.c.block_hash, h.c.timestamp_seconds, top.c.final_number
    ).join(top, sa.and_(top.c.lane == h.c.lane, top.c.block_number == h.c.block_number))
    return {row["lane"]: row for row in tx.connection.execute(query).mappings()}


def leases_by_name(tx: ReadTx) -> dict[str, sa.RowMapping]:
    """Every lease: name, holder, fencing_token, expires_at_utc."""
    query = sa.select(t.leases)
    return {row["name"]: row for row in tx.connection.execute(query).mappings()}
