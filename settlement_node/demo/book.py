"""The demonstration's book of orders: ordinary investors and the odd cases of real life."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement_node.demo.stage import SHARE_DECIMALS, Stage
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.units import Address, Payout, Shares

ORDERS_MIN = 8
SHARE = 10**SHARE_DECIMALS


@dataclass(frozen=True, slots=True)
class OddCase:
    """An order that must not simply settle, or settles unusually, and what must come of it."""

    external_id: str
    what: str
    expected: str
    why: str


@dataclass(frozen=True, slots=True)
class DemoBook:
    """Orders in the order they arrive; the last one repeats an earlier external_id."""

    orders: tuple[RedemptionOrder, ...]
    duplicate: RedemptionOrder
    odd_cases: tuple[OddCase, ...]


def account(name: str) -> Address:
    """An address nobody has the key of, from a name."""
    return Address(to_checksum_address(keccak(text=f"settlement-node demo {name}")[-20:]))


def write_book(
    stage: Stage, redemptions: int, *, confirmed: Callable[[str], None] = lambda what: None
) -> DemoBook:
    """Give investors their shares on the chain and write `redemptions` orders of theirs.

    Every ordinary investor has two or more orders and holds stablecoin already; one order each
    goes to a first-time payee, to a blocked payee, and from a holder with too few shares.
    """
    count = max(redemptions, ORDERS_MIN)
    numbers = random.Random(count)  # noqa: S311 — example figures, the same at every run
    ordinary = count - 4
    investors = [account(f"investor {n}") for n in range(max(2, ordinary // 3))]
    wanted = dict.fromkeys(investors, 0)
    orders: list[RedemptionOrder] = []
    for place in range(ordinary):
        investor = investors[place % len(investors)]
        shares = Shares(numbers.randrange(SHARE, 500 * SHARE))
        wanted[investor] += shares
        orders.append(RedemptionOrder(f"ORDER-{place + 1:05}", investor, investor, shares))
    stage.give_shares({investor: Shares(wanted[investor]) for investor in investors})
    stage.give_money(investors, Payout(1))
    confirmed(f"{len(investors)} investors hold their shares")
    odd_orders, odd_cases = _odd_cases(stage)
    step = max(1, len(orders) // (len(odd_orders) + 1))
    for place, order in enumerate(odd_orders):
        orders.insert((place + 1) * step + place, order)
    duplicate = orders[0]
    cases = (
        *odd_cases,
        OddCase(
            duplicate.external_id,
            "the same order entered twice",
            "rejected",
            "an external_id names one redemption for ever; the second entry changes nothing",
        ),
    )
    return DemoBook(tuple(orders), duplicate, cases)


def _odd_cases(stage: Stage) -> tuple[list[RedemptionOrder], list[OddCase]]:
    newcomer, blocked, short = account("newcomer"), account("blocked"), account("short")
    held = {newcomer: 25, blocked: 40, short: 3}
    stage.give_shares({holder: Shares(shares * SHARE) for holder, shares in held.items()})
    stage.set_blocked(blocked, blocked=True)
    orders = [
        RedemptionOrder("ODD-FIRST-PAYEE", newcomer, newcomer, Shares(25 * SHARE)),
        RedemptionOrder("ODD-BLOCKED", blocked, blocked, Shares(40 * SHARE)),
        RedemptionOrder("ODD-SHORT", short, short, Shares(5 * SHARE)),
    ]
    cases = [
        OddCase(
            "ODD-FIRST-PAYEE",
            "a payee who never held the stablecoin",
            "settled",
            "costs more gas once, for the payee's new balance",
        ),
        OddCase(
            "ODD-BLOCKED",
            "a payee on the stablecoin's blocklist",
            "held",
            "the payout would fail, so nothing is burned; a person decides",
        ),
        OddCase(
            "ODD-SHORT",
            "a holder with fewer shares than ordered",
            "held",
            "the burn would fail, so nothing is paid; a person decides",
        ),
    ]
    return orders, cases
