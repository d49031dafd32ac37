"""The history of each fund's terms: by what prices it could pay, and when."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from settlement_node.domain.found import PastTerms
from settlement_node.domain.redemption import PriceTerms
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow

h = t.fund_terms


def record_terms(tx: Tx, fund: FundRow, *, valid_from_utc: datetime) -> None:
    """Remember the terms a fund has now, in the commit that gives it them; none while it has no
    NAV."""
    if fund.nav_per_share is None:
        return
    tx.connection.execute(
        h.insert().values(
            fund_id=fund.fund_id,
            nav_per_share=fund.nav_per_share,
            nav_decimals=fund.nav_decimals,
            fee_bps=fund.fee_bps,
            valid_from_utc=valid_from_utc,
            recorded_at_utc=tx.now_utc,
            recorded_by=tx.actor,
        )
    )


def terms_of(tx: ReadTx, fund: FundRow) -> list[PastTerms]:
    """Every terms a fund ever had, oldest first."""
    query = sa.select(h).where(h.c.fund_id == fund.fund_id)
    return [
        PastTerms(
            valid_from_utc=row["valid_from_utc"],
            terms=PriceTerms(
                nav_per_share=row["nav_per_share"],
                nav_decimals=row["nav_decimals"],
                share_decimals=fund.share_decimals,
                payout_decimals=fund.payout_decimals,
                fee_bps=row["fee_bps"],
            ),
        )
        for row in tx.connection.execute(
            query.order_by(h.c.valid_from_utc, h.c.terms_id)
        ).mappings()
    ]
