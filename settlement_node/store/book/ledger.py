"""The double-entry ledger. A posting moves one amount from one account to another, so every
journal balances by its shape; a correction is a new posting the other way round."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.domain.postings import movements
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Hex32


def post_movements(
    tx: Tx, fund: FundRow, fact: str, row: RedemptionRow, *, before: RedemptionRow | None
) -> None:
    """Post what a fact moved of a redemption, `row` as the fact left it; `before` is None for one
    that is new. A journal is one fact of one redemption, and may move between two accounts once."""
    moved = movements(None if before is None else (before.standing, before), (row.standing, row))
    for movement in moved:
        tx.post(
            {
                "journal": f"{fact}:{row.redemption_id}:{row.version}",
                "fund_id": fund.fund_id,
                "redemption_id": row.redemption_id,
                "asset_address": (
                    fund.share_token_address if movement.is_shares else fund.payout_token_address
                ),
                "debit_account": movement.debit.value,
                "credit_account": movement.credit.value,
                "units_base_units": movement.units_base_units,
                "posted_at_utc": tx.now_utc,
            }
        )


def postings_of(tx: ReadTx, redemption_id: Hex32, *, limit: int = 200) -> list[sa.RowMapping]:
    """Postings of one redemption in the order they were made."""
    p = t.ledger_postings
    return list(
        tx.connection.execute(
            sa.select(p)
            .where(p.c.redemption_id == redemption_id)
            .order_by(p.c.posting_id)
            .limit(limit)
        ).mappings()
    )
