"""What a fund can settle at most: an order beyond that can never be paid."""

from __future__ import annotations

from dataclasses import dataclass

from settlement_node.domain.redemption import PriceTerms, Unpayable, price_redemption
from settlement_node.units import Payout, Shares


@dataclass(frozen=True, slots=True)
class FundCapacity:
    """How many share base units there are in all, and how many payout base units the settler lets
    go in 24 hours; a limit of 0 lets nothing go, which is a stop for a while and no bound."""

    share_supply_base_units: Shares
    daily_limit_base_units: Payout

    def refusal(self, shares_base_units: Shares, terms: PriceTerms | None) -> str | None:
        """Why so many shares can never be burned and paid, or None. Without a price only the
        shares count."""
        if shares_base_units > self.share_supply_base_units:
            return (
                f"{shares_base_units} share base units are more than the share token's whole"
                f" supply of {self.share_supply_base_units}, so they can never be burned"
            )
        if terms is None or not self.daily_limit_base_units:
            return None
        price = price_redemption(shares_base_units, terms)
        if isinstance(price, Unpayable):
            return None  # planning says so at the price of that day
        payout = price.payout_base_units
        if payout <= self.daily_limit_base_units:
            return None
        return (
            f"the payout of {payout} base units is more than the {self.daily_limit_base_units} the"
            " settler pays in a whole day, so it can never be paid: split the order, or have the"
            " settler's owner raise the daily limit first"
        )
