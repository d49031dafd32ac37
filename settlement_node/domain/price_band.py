"""A fund's price held against its settler's floor and ceiling, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from settlement_node.domain.redemption import PriceTerms, Unpayable, price_redemption
from settlement_node.units import Shares, format_units


@dataclass(frozen=True, slots=True)
class PriceBand:
    """What a settler pays for one whole share, in payout base units; a floor of 0 is none."""

    floor_price: int
    ceiling_price: int
    payout_decimals: int

    def __str__(self) -> str:
        ceiling = format_units(self.ceiling_price, self.payout_decimals)
        if self.floor_price == 0:
            return f"up to {ceiling}, and no floor"
        return f"{format_units(self.floor_price, self.payout_decimals)} to {ceiling}"

    def fault(self, terms: PriceTerms) -> str | None:
        """What is wrong with a price, or None. The settler sees what the payee gets: the NAV less
        the fee."""
        price = _price_of_a_share(terms)
        nav = format_units(terms.nav_per_share, terms.nav_decimals)
        after_fee = f" after the fee of {terms.fee_bps}/100 %" if terms.fee_bps else ""
        about = f"nav {nav}{after_fee} is {format_units(price, self.payout_decimals)}"
        if price > self.ceiling_price:
            bound, words = self.ceiling_price, "above the settler's ceiling price"
        elif price < self.floor_price:
            bound, words = self.floor_price, "below the settler's floor price"
        else:
            return None
        shown = format_units(bound, self.payout_decimals)
        return f"{about}, {words} {shown}; every item would be skipped"


def _price_of_a_share(terms: PriceTerms) -> int:
    # One whole share, however many decimals it has.
    price = price_redemption(Shares(1), replace(terms, share_decimals=0))
    # Nothing would be left of one share; larger orders may well be worth something.
    return 0 if isinstance(price, Unpayable) else price.payout_base_units
