"""The ledger beside the node: any posting, and the balance of an account."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.domain.postings import Account
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.units import Hex32
from tests_support.book import NEW_FUND


def post(
    tx: Tx, journal: str, redemption_id: Hex32, debit: Account, credit: Account, units: int
) -> None:
    """Post one movement of fund alpha's share token."""
    tx.post(
        {
            "journal": journal,
            "fund_id": "alpha",
            "redemption_id": redemption_id,
            "asset_address": NEW_FUND.share_token_address,
            "debit_account": debit.value,
            "credit_account": credit.value,
            "units_base_units": units,
            "posted_at_utc": tx.now_utc,
        }
    )


def balance(tx: ReadTx, *, fund_id: str, account: Account) -> int:
    """Debits less credits of an account, in base units of its asset."""
    p = t.ledger_postings
    rows = tx.connection.execute(
        sa.select(p.c.debit_account, p.c.credit_account, p.c.units_base_units).where(
            p.c.fund_id == fund_id
        )
    )
    return sum(
        units * ((debit == account.value) - (credit == account.value))
        for debit, credit, units in rows
    )
