"""The ledger movements of a redemption, each posted in the commit that changes its status."""

from __future__ import annotations

from settlement_node.store.book.ledger import Account, post
from settlement_node.store.database import Tx
from settlement_node.store.rows import FundRow, RedemptionRow
from settlement_node.units import Shares


def reserve_shares(tx: Tx, fund: FundRow, row: RedemptionRow) -> None:
    """Book the order's shares as reserved."""
    post(
        tx,
        journal=f"reserve:{row.redemption_id}",
        fund_id=fund.fund_id,
        redemption_id=row.redemption_id,
        asset_address=fund.share_token_address,
        debit=Account.SHARES_RESERVED,
        credit=Account.SHARES_OUTSTANDING,
        units_base_units=row.shares_base_units,
    )


def release_shares(tx: Tx, fund: FundRow, row: RedemptionRow) -> None:
    """Undo the reservation, in the commit that ended the redemption."""
    post(
        tx,
        journal=f"release:{row.redemption_id}",
        fund_id=fund.fund_id,
        redemption_id=row.redemption_id,
        asset_address=fund.share_token_address,
        debit=Account.SHARES_OUTSTANDING,
        credit=Account.SHARES_RESERVED,
        units_base_units=row.shares_base_units,
    )


def post_owed(tx: Tx, fund: FundRow, row: RedemptionRow, *, fee_base_units: int) -> None:
    """Book what a planned redemption is owed, and the fee kept. The journal carries the row's
    version, so that a redemption planned anew is booked anew."""
    for credit, units in (
        (Account.REDEMPTIONS_PAYABLE, row.payout_base_units or 0),
        (Account.FEES_RETAINED, fee_base_units),
    ):
        post(
            tx,
            journal=f"owed:{row.redemption_id}:{row.version}",
            fund_id=fund.fund_id,
            redemption_id=row.redemption_id,
            asset_address=fund.payout_token_address,
            debit=Account.CAPITAL_REDEEMED,
            credit=credit,
            units_base_units=units,
        )


def post_not_owed(tx: Tx, fund: FundRow, before: RedemptionRow) -> None:
    """Take `post_owed` back for a settlement proven void; `before` is as it was settling."""
    for debit, units in (
        (Account.REDEMPTIONS_PAYABLE, before.payout_base_units or 0),
        (Account.FEES_RETAINED, before.fee_base_units or 0),
    ):
        post(
            tx,
            journal=f"not-owed:{before.redemption_id}:{before.version}",
            fund_id=fund.fund_id,
            redemption_id=before.redemption_id,
            asset_address=fund.payout_token_address,
            debit=debit,
            credit=Account.CAPITAL_REDEEMED,
            units_base_units=units,
        )


def post_paid(
    tx: Tx, fund: FundRow, row: RedemptionRow, *, burned_base_units: Shares | None = None
) -> None:
    """Book a payment seen on the chain: money out of the treasury, reserved shares burned. Where
    others were burned than the order reserved, its own are released."""
    burned = row.shares_base_units if burned_base_units is None else burned_base_units
    as_ordered = burned == row.shares_base_units
    if not as_ordered:
        release_shares(tx, fund, row)
    journal = f"paid:{row.redemption_id}:{row.version}"
    post(
        tx,
        journal=journal,
        fund_id=fund.fund_id,
        redemption_id=row.redemption_id,
        asset_address=fund.payout_token_address,
        debit=Account.REDEMPTIONS_PAYABLE,
        credit=Account.TREASURY,
        units_base_units=row.payout_base_units or 0,
    )
    post(
        tx,
        journal=journal,
        fund_id=fund.fund_id,
        redemption_id=row.redemption_id,
        asset_address=fund.share_token_address,
        debit=Account.SHARES_BURNED,
        credit=Account.SHARES_RESERVED if as_ordered else Account.SHARES_OUTSTANDING,
        units_base_units=burned,
    )


def post_unpaid(tx: Tx, fund: FundRow, row: RedemptionRow) -> None:
    """Take `post_paid` back after a reorganisation; `row` is the redemption settling again."""
    journal = f"unpaid:{row.redemption_id}:{row.version}"
    post(
        tx,
        journal=journal,
        fund_id=fund.fund_id,
        redemption_id=row.redemption_id,
        asset_address=fund.payout_token_address,
        debit=Account.TREASURY,
        credit=Account.REDEMPTIONS_PAYABLE,
        units_base_units=row.payout_base_units or 0,
    )
    post(
        tx,
        journal=journal,
        fund_id=fund.fund_id,
        redemption_id=row.redemption_id,
        asset_address=fund.share_token_address,
        debit=Account.SHARES_RESERVED,
        credit=Account.SHARES_BURNED,
        units_base_units=row.shares_base_units,
    )
