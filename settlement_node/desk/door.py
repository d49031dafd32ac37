"""The door: orders that can never be paid are refused before they are taken in.

A note of each fund's capacity, which watching keeps in the book, decides when the chain is asked at
all; only the chain's answer refuses. Where it cannot be asked the order is taken in, and waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from settlement_node.chain.context import ChainContext
from settlement_node.chain.views import SettlerView, TokenView
from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.errors import InvalidInput, Refused, Transient
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.orders import ids_of, known_external_ids
from settlement_node.store.book.settlers import settlers_of
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow
from settlement_node.units import Address, Hex32, Shares, normal_external_id

log = structlog.get_logger(__name__)
UNREAD_BLOCKS_MAX = 2_000
"""Most blocks whose events are read for one question. A book further behind refuses nothing: the
chain may show the order as paid, and its shares as burned, in what the book has not read."""


@dataclass(frozen=True, slots=True)
class SeenCapacity:
    """A fund's capacity at the agreed head, and what was paid up to there in blocks that the book
    has not read."""

    capacity: FundCapacity
    paid_unread: frozenset[Hex32]


def capacity_of(shares: TokenView, settler: SettlerView) -> FundCapacity:
    """By a fund's share token and its settler."""
    supply = Shares(shares.total_supply_base_units)
    return FundCapacity(supply, settler.daily_payout_limit_base_units)


def see_capacity(
    store: Store, chains: Mapping[int, ChainContext], fund: FundRow
) -> SeenCapacity | None:
    """Ask the chain now; None when it cannot say, or is not among these, or the book is too far
    behind it."""
    chain = chains.get(fund.chain_id)
    if chain is None:
        return None
    client = chain.client
    with store.read() as tx:
        settlers = settlers_of(tx, fund.fund_id)
    first = min(int(row["scanned_to_block"]) for row in settlers) + 1
    addresses = [Address(row["settler_address"]) for row in settlers]
    try:
        head = client.refresh().head.number
        if head - first >= UNREAD_BLOCKS_MAX:
            return None
        capacity = capacity_of(
            client.token_view(fund.share_token_address), client.settler_view(fund.settler_address)
        )
        events = client.settler_events(addresses, from_block=first, to_block=head)
    except (Refused, Transient) as error:
        log.warning("capacity_unknown", fund_id=fund.fund_id, reason=error.message)
        return None
    paid = (e.redemption_id_hex for e in events if isinstance(e, RedemptionSettledEvent))
    return SeenCapacity(capacity, frozenset(paid))


def never_payable(
    store: Store,
    fund_id: str,
    orders: Sequence[RedemptionOrder],
    see: Callable[[FundRow], SeenCapacity | None],
) -> dict[int, str]:
    """The places of orders that can never be paid, each with the reason. Raises NotFound.

    One that is in the book, or that an event shows as paid, is not among them: its shares may be
    gone for it.
    """
    with store.read() as tx:
        fund = get_fund(tx, fund_id)
    if fund.capacity is not None and not _beyond(fund, orders, fund.capacity):
        return {}
    seen = see(fund)
    if seen is None:
        return {}
    beyond = _beyond(fund, orders, seen.capacity)
    named = {place: normal_external_id(orders[place].external_id) for place in beyond}
    ids = ids_of(fund, named.values())
    with store.read() as tx:
        known = known_external_ids(tx, fund_id, list(ids))
        paid = seen.paid_unread | chain_book.settled_ids(tx, fund.chain_id, [*ids.values()])
    return {
        place: words
        for place, words in beyond.items()
        if named[place] not in known and ids[named[place]] not in paid
    }


def refuse_never_payable(
    store: Store,
    fund_id: str,
    orders: Sequence[RedemptionOrder],
    see: Callable[[FundRow], SeenCapacity | None],
) -> None:
    """Raises InvalidInput whose `faults` has every order that can never be paid: its place and the
    words."""
    faults = tuple(never_payable(store, fund_id, orders, see).items())
    if faults:
        place, words = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        external_id = orders[place].external_id
        raise InvalidInput(
            f"{external_id}: {words}{more}",
            field="shares_base_units",
            external_id=external_id,
            faults=faults,
        )


def _beyond(
    fund: FundRow, orders: Sequence[RedemptionOrder], capacity: FundCapacity
) -> dict[int, str]:
    terms = fund.terms()
    refusals = (capacity.refusal(order.shares_base_units, terms) for order in orders)
    return {place: words for place, words in enumerate(refusals) if words is not None}
