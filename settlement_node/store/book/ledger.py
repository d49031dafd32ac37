"""The double-entry ledger. A posting moves one amount from one account to another, so every
journal balances by its shape; a correction is a new posting the other way round."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from settlement_node.store import tables as t
from settlement_node.store.database import Tx
from settlement_node.store.types import sum_base_units
from settlement_node.units import Address, Hex32


class Account(StrEnum):
    """Accounts of one fund. Shares: outstanding, reserved, burned. Money: the other four."""

    SHARES_OUTSTANDING = "shares_outstanding"
    SHARES_RESERVED = "shares_reserved"
    SHARES_BURNED = "shares_burned"
    CAPITAL_REDEEMED = "capital_redeemed"
    REDEMPTIONS_PAYABLE = "redemptions_payable"
    FEES_RETAINED = "fees_retained"
    TREASURY = "treasury"


def post(
    tx: Tx,
    *,
    journal: str,
    fund_id: str,
    redemption_id: Hex32,
    asset_address: Address,
    debit: Account,
    credit: Account,
    units_base_units: int,
) -> None:
    """Post one movement. A journal name may move between two accounts only once, ever; a zero
    amount (no fee, say) is not posted."""
    if units_base_units == 0:
        return
    tx.post(
        {
            "journal": journal,
            "fund_id": fund_id,
            "redemption_id": redemption_id,
            "asset_address": asset_address,
            "debit_account": debit.value,
            "credit_account": credit.value,
            "units_base_units": units_base_units,
            "posted_at_utc": tx.now_utc,
        }
    )


def balance(tx: Tx, *, fund_id: str, account: Account) -> int:
    """Σ debits − Σ credits of an account, in base units of its asset; exact, may be negative."""
    p = t.ledger_postings
    sides = [
        tx.connection.execute(
            sa.select(sum_base_units(p.c.units_base_units)).where(
                p.c.fund_id == fund_id, side == account.value
            )
        ).scalar_one()
        for side in (p.c.debit_account, p.c.credit_account)
    ]
    return int(sides[0]) - int(sides[1])


def postings_of(tx: Tx, redemption_id: Hex32, *, limit: int = 200) -> list[sa.RowMapping]:
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
