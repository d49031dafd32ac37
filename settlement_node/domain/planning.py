"""What is planned next for a fund: who is asked about, and then what goes, waits and is held.

Pure. `select` takes from the due orders those that the money covers; the stage asks the tokens and
the settler about them; `decide` makes a `Plan` of the answers. The node commits a plan, a dry run
prints it. The values are parted by how long they hold: `BookView` until the next commit of the
lane, `ChainView` and `Gas` until the next block, `Answers` for the orders they were given about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from settlement_node.domain import batching
from settlement_node.domain.attention import NATIVE_DECIMALS, WAIT_ALERTS, AlertKind, Shortfall
from settlement_node.domain.batching import Outlook
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import Leg
from settlement_node.domain.observations import SettleItem, SkipReason
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.redemption import (
    HoldReason,
    Priced,
    PriceTerms,
    Unpayable,
    price_redemption,
)
from settlement_node.domain.skips import SKIPS, Bearing
from settlement_node.domain.waiting import Obstacle, WaitingFor
from settlement_node.units import Address, Hex32, Payout, Shares, Wei


@dataclass(frozen=True, slots=True)
class Order:
    """A due redemption. `reverted_batch_size` is None, or how large the batch was that reverted
    with it in it."""

    redemption_id_hex: Hex32
    redemption_index: int
    investor_address: Address
    payee_address: Address
    shares_base_units: Shares
    reverted_batch_size: int | None


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """A due redemption with the figures it would be settled at."""

    order: Order
    price: Priced

    @property
    def redemption_id_hex(self) -> Hex32:
        """Which."""
        return self.order.redemption_id_hex

    @property
    def payout_base_units(self) -> Payout:
        """What its payee gets."""
        return self.price.payout_base_units

    @property
    def reverted_batch_size(self) -> int | None:
        """As of the order."""
        return self.order.reverted_batch_size

    def item(self) -> SettleItem:
        """What is asked about and settled."""
        return SettleItem(
            redemption_id_hex=self.order.redemption_id_hex,
            redemption_index=self.order.redemption_index,
            investor_address=self.order.investor_address,
            payee_address=self.order.payee_address,
            shares_base_units=self.order.shares_base_units,
            payout_base_units=self.price.payout_base_units,
        )


@dataclass(frozen=True, slots=True)
class UndecidedBatch:
    """A live settlement that is not mined well. `may_fail`: its transaction reverted, or a no-op
    at its nonce was asked for. `following` is the mark of the batch before it."""

    settlement_id: int
    following: Hex32
    may_fail: bool


@dataclass(frozen=True, slots=True)
class InFlight:
    """A fund's batches that are not final. `mined_mark` is that of the last one the chain showed,
    `last_mark` that of the newest in the book, None without one."""

    undecided: tuple[UndecidedBatch, ...]
    last_mark: Hex32 | None
    mined_mark: Hex32


@dataclass(frozen=True, slots=True)
class BookView:
    """The book's side of planning for one fund: what forbids it now, where the next batch comes in
    and with which nonce, and what the batches in flight will pay and may cost."""

    obstacle: WaitingFor | None
    in_flight: InFlight
    next_nonce: int
    in_flight_base_units: Payout
    gas_committed_wei: int

    @property
    def following(self) -> Hex32:
        """The mark that the next batch follows."""
        flying = self.in_flight
        return flying.mined_mark if flying.last_mark is None else flying.last_mark


@dataclass(frozen=True, slots=True)
class ChainView:
    """The chain's side of settling for one fund, at one head. `mark` is that of the last batch;
    what can be spent is the treasury's balance as far as it is approved."""

    mark: Hex32
    spendable_base_units: Payout
    limit_base_units: Payout
    limit_available_base_units: Payout
    price_band: PriceBand
    item_gas_limit: int
    obstacle: Obstacle | None


@dataclass(frozen=True, slots=True)
class Gas:
    """A lane's gas at one head: of a block, and what it can pay for at which price."""

    block_gas_limit: int
    balance_wei: Wei
    max_fee_per_gas_wei: Wei


@dataclass(frozen=True, slots=True)
class GasRule:
    """How a batch's gas limit comes of what its items used."""

    item_gas_limit: int
    margin_bps: int


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A batch as bytes. `mark` is its identity, `following` that of the batch before it."""

    leg: Leg
    to_address: Address
    data: bytes
    gas_limit: int
    following: Hex32
    mark: Hex32


Encode = Callable[[Hex32, Sequence[SettleItem], Sequence[Outlook], GasRule], EncodedBatch]


@dataclass(frozen=True, slots=True)
class Hold:
    """An order that a person must decide about."""

    redemption_id_hex: Hex32
    reason: HoldReason
    words: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What tokens and settler say of the orders chosen. With an obstacle nothing is said about any
    of them. `later` could go, but not together with those before them."""

    outlooks: Sequence[Outlook] = ()
    failing: Sequence[Hold] = ()
    later: frozenset[Hex32] = frozenset()
    obstacle: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Whom to ask about, and what is known of the others without asking. `shortfalls` compare all
    that is due and in flight with the money there is, for the alert that may be raised of it."""

    chosen: tuple[PricedOrder, ...] = ()
    holds: tuple[Hold, ...] = ()
    waits: Mapping[WaitingFor, tuple[Hex32, ...]] = field(default_factory=dict)
    obstacle: Obstacle | None = None
    shortfalls: Mapping[AlertKind, Shortfall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A batch to be committed: the orders in its order, and its bytes."""

    orders: tuple[PricedOrder, ...]
    encoded: EncodedBatch

    @property
    def payout_base_units(self) -> Payout:
        """The sum of its payouts."""
        return Payout(sum(order.payout_base_units for order in self.orders))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a fund now. `obstacle` is what all of it waits for. `alerts` are the
    fund's, None for one that is over; those not named stay. `shortfalls` are the amounts of those
    about money, and `gas_short` is what the lane lacks.
    `chain` is what it went by, None where the chain was not asked; with `is_of_block` it holds for
    that block alone, since more was asked there than that."""

    batch: PlannedBatch | None = None
    holds: tuple[Hold, ...] = ()
    waits: Mapping[WaitingFor, tuple[Hex32, ...]] = field(default_factory=dict)
    obstacle: Obstacle | None = None
    alerts: Mapping[AlertKind, str | None] = field(default_factory=dict)
    shortfalls: Mapping[AlertKind, Shortfall] = field(default_factory=dict)
    gas_short: Shortfall | None = None
    chain: ChainView | None = None
    is_of_block: bool = False


def wait_all(orders: Sequence[Order], waiting_for: WaitingFor) -> Plan:
    """What the book says keeps everything of the fund back, so that nothing is asked."""
    ids = tuple(order.redemption_id_hex for order in orders)
    return Plan(waits={waiting_for: ids}, obstacle=Obstacle(waiting_for, ""))


def select(
    orders: Sequence[Order],
    terms: PriceTerms,
    book: BookView,
    chain: ChainView,
    policy: EnginePolicy,
) -> Selection:
    """Price the due orders, oldest first, and take those that the money covers."""
    obstacle = chain.obstacle or _obstacle(terms, book, chain)
    if obstacle is not None:
        ids = tuple(order.redemption_id_hex for order in orders)
        return Selection(waits={obstacle.waiting_for: ids}, obstacle=obstacle)
    priced: list[PricedOrder] = []
    holds: list[Hold] = []
    for order in orders:
        price = price_redemption(order.shares_base_units, terms)
        if isinstance(price, Unpayable):
            holds.append(Hold(order.redemption_id_hex, price.reason, price.words))
        else:
            priced.append(PricedOrder(order, price))
    choice = batching.choose(
        priced,
        items_max=policy.batch_items_max,
        money=batching.Money(
            spendable_base_units=chain.spendable_base_units,
            limit_available_base_units=chain.limit_available_base_units,
            limit_base_units=chain.limit_base_units,
        ).less(book.in_flight_base_units),
    )
    needed = book.in_flight_base_units + sum(order.payout_base_units for order in priced)
    there = {
        AlertKind.TREASURY_SHORT: chain.spendable_base_units,
        AlertKind.PAYOUT_LIMIT_REACHED: chain.limit_available_base_units,
    }
    decimals = terms.payout_decimals
    shortfalls = {kind: Shortfall(needed, units, decimals) for kind, units in there.items()}
    waits = _by_word(choice.waiting)
    return Selection(choice.chosen, tuple(holds), waits, shortfalls=shortfalls)


def _obstacle(terms: PriceTerms, book: BookView, chain: ChainView) -> Obstacle | None:
    if book.in_flight.last_mark is None and chain.mark != book.in_flight.mined_mark:
        # The replay has not caught up with the settler; nothing may be planned on a guess.
        return Obstacle(WaitingFor.EARLIER_BATCH, "the settler's events are still being read")
    fault = chain.price_band.fault(terms)
    return None if fault is None else Obstacle(WaitingFor.PRICE_BAND, fault)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a batch must fit into, and what it comes after."""

    book: BookView
    gas: Gas
    rule: GasRule
    batch_gas_bps: int


def decide(selection: Selection, answers: Answers, bounds: Bounds, encode: Encode) -> Plan:
    """What goes, waits and is held, by the answers about those who were chosen."""
    obstacle = selection.obstacle or answers.obstacle
    if obstacle is not None:
        return _stopped(selection, obstacle)
    outlooks = {outlook.redemption_id_hex: outlook for outlook in answers.outlooks}
    passing = [
        order
        for order in selection.chosen
        if order.redemption_id_hex in outlooks
        and outlooks[order.redemption_id_hex].skip_reason is SkipReason.NONE
    ]
    holds = [*selection.holds, *answers.failing]
    waits = {**selection.waits}
    _wait(waits, WaitingFor.EARLIER_BATCH, answers.later)
    for outlook in answers.outlooks:
        if outlook.skip_reason is SkipReason.NONE:
            continue
        meaning = SKIPS[outlook.skip_reason]
        if meaning.bearing is Bearing.TEMPORARY:
            _wait(waits, WaitingFor.LIMITS, [outlook.redemption_id_hex])
        else:
            holds.append(Hold(outlook.redemption_id_hex, meaning.hold_reason, outlook.words))
    plan = Plan(
        holds=tuple(holds),
        waits=waits,
        alerts=_alerts(waits, selection.shortfalls),
        shortfalls=selection.shortfalls,
    )
    if not passing:
        return plan
    batch = _fit_gas(passing, outlooks, bounds, encode)
    gas, needed_wei = bounds.gas, batch.encoded.gas_limit * bounds.gas.max_fee_per_gas_wei
    if gas.balance_wei >= bounds.book.gas_committed_wei + needed_wei:
        return replace(plan, batch=batch)
    _wait(waits, WaitingFor.GAS, [order.redemption_id_hex for order in batch.orders])
    needed_wei += bounds.book.gas_committed_wei
    short = Shortfall(needed_wei, gas.balance_wei, NATIVE_DECIMALS)
    words = f"gas for the next batch and what is in flight: {short}"
    return replace(plan, obstacle=Obstacle(WaitingFor.GAS, words), gas_short=short)


def _fit_gas(
    passing: Sequence[PricedOrder],
    outlooks: Mapping[Hex32, Outlook],
    bounds: Bounds,
    encode: Encode,
) -> PlannedBatch:
    """Cut the batch to the gas one transaction may ask for; the rest comes first in the next."""
    block = bounds.gas.block_gas_limit
    gas_max = min(block * bounds.batch_gas_bps // 10_000, batching.TRANSACTION_GAS_MAX)
    shown = [outlooks[order.redemption_id_hex] for order in passing]
    count = batching.fits(shown, gas_max=gas_max, item_gas_limit=bounds.rule.item_gas_limit)
    while True:
        orders = tuple(passing[:count])
        items = [order.item() for order in orders]
        encoded = encode(bounds.book.following, items, shown[:count], bounds.rule)
        if encoded.gas_limit <= gas_max or count <= 1:
            limit = min(encoded.gas_limit, block, batching.TRANSACTION_GAS_MAX)
            return PlannedBatch(orders, replace(encoded, gas_limit=limit))
        count = max(1, count * 9 // 10 - 1)


def _stopped(selection: Selection, obstacle: Obstacle) -> Plan:
    waits = {**selection.waits}
    _wait(waits, obstacle.waiting_for, [order.redemption_id_hex for order in selection.chosen])
    kind = WAIT_ALERTS.get(obstacle.waiting_for)
    return Plan(
        holds=selection.holds,
        waits=waits,
        obstacle=obstacle,
        alerts={} if kind is None else {kind: obstacle.words},
    )


def _alerts(
    waits: Mapping[WaitingFor, Sequence[Hex32]], shortfalls: Mapping[AlertKind, Shortfall]
) -> dict[AlertKind, str | None]:
    """Of the alerts that go with waits those that are so now, and those that are over."""
    alerts = dict.fromkeys([AlertKind.PLANNING_REFUSED, *WAIT_ALERTS.values()])
    for waiting_for, kind in WAIT_ALERTS.items():
        if count := len(waits.get(waiting_for, ())):
            amounts = f" ({shortfalls[kind]})" if kind in shortfalls else ""
            alerts[kind] = f"{count} due redemptions wait for {waiting_for.value}{amounts}"
    return alerts


def _by_word(waiting: Sequence[tuple[Hex32, WaitingFor]]) -> dict[WaitingFor, tuple[Hex32, ...]]:
    waits: dict[WaitingFor, list[Hex32]] = defaultdict(list)
    for redemption_id, waiting_for in waiting:
        waits[waiting_for].append(redemption_id)
    return {waiting_for: tuple(ids) for waiting_for, ids in waits.items()}


def _wait(
    waits: dict[WaitingFor, tuple[Hex32, ...]],
    waiting_for: WaitingFor,
    redemption_ids: Sequence[Hex32] | frozenset[Hex32],
) -> None:
    if redemption_ids:
        waits[waiting_for] = (*waits.get(waiting_for, ()), *redemption_ids)
