"""The double-entry ledger. A posting moves one amount from one account to another, so every
journal balances by its shape; a correction is a new posting the other way round."""

from __future__ import annotations

import sqlalchemy as sa

from settlement_node.domain.postings import Account, movements
from settlement_node.store import tables as t
from settlement_node.store.database import ReadTx, Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.store.types import sum_base_units
from settlement_node.units import Address, Hex32


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


def post_movements(
    tx: Tx,
    fund: FundRow,
    fact: str,
    row: RedemptionRow,
    *,
    before: RedemptionRow | None,
) -> None:
    """Post what a fact moved of a redemption, `row` as the fact left it; `before` is None for one
    that is new. A journal is one fact of one redemption."""
    moved = movements(None if before is None else (before.standing, before), (row.standing, row))
    for movement in moved:
        post(
            tx,
            journal=f"{fact}:{row.redemption_id}:{row.version}",
            fund_id=fund.fund_id,
            redemption_id=row.redemption_id,
            asset_address=(
                fund.share_token_address if movement.is_shares else fund.payout_token_address
            ),
            debit=movement.debit,
            credit=movement.credit,
            units_base_units=movement.units_base_units,
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
