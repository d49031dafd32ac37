"""What needs a person: the kinds of alerts, what each is about, and the type of every break.

docs/runbook.md has a section for each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from settlement_node.domain import breaks, lane_breaks
from settlement_node.domain.breaks import Break, BreakKind
from settlement_node.domain.waiting import WaitingFor
from settlement_node.units import Address, format_units

BREAKS: dict[BreakKind, type[Any]] = {
    found.kind: found
    for module in (breaks, lane_breaks)
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Break) and hasattr(found, "kind")
}
"""The type of each kind of break."""


class AlertKind(StrEnum):
    """Every kind of alert."""

    GAS_LOW = "gas_low"
    TREASURY_SHORT = "treasury_short"
    PAYOUT_LIMIT_REACHED = "payout_limit_reached"
    FEE_AT_CEILING = "fee_at_ceiling"
    TRANSACTION_STUCK = "transaction_stuck"
    ENDPOINT_QUARANTINED = "endpoint_quarantined"
    ENDPOINT_CONTRADICTED = "endpoint_contradicted"
    ENDPOINTS_DISAGREE = "endpoints_disagree"
    LANE_PAUSED = "lane_paused"
    SETTLER_PAUSED = "settler_paused"
    PRICE_OUTSIDE_BAND = "price_outside_band"
    CHAIN_HALTED = "chain_halted"
    SIGNER_DOWN = "signer_down"
    SIGNER_REFUSED = "signer_refused"
    PLANNING_REFUSED = "planning_refused"
    TOKEN_STOPPED = "token_stopped"
    BURN_REFUSED = "burn_refused"
    TRANSACTION_REFUSED = "transaction_refused"
    LANE_NOT_ADVANCING = "lane_not_advancing"
    FINALITY_STALLED = "finality_stalled"
    RECONCILIATION_STUCK = "reconciliation_stuck"
    ORDERS_HELD = "orders_held"
    FUND_PAUSED = "fund_paused"
    LANE_NOT_HELD = "lane_not_held"
    READS_FAILING = "reads_failing"
    CONSUMER_BEHIND = "consumer_behind"


WAIT_ALERTS: Mapping[WaitingFor, AlertKind] = {
    WaitingFor.LIQUIDITY: AlertKind.TREASURY_SHORT,
    WaitingFor.LIMITS: AlertKind.PAYOUT_LIMIT_REACHED,
    WaitingFor.TOKEN_PAUSED: AlertKind.TOKEN_STOPPED,
    WaitingFor.BURN_RIGHT: AlertKind.BURN_REFUSED,
}
"""The alert of the fund that goes with a wait: planning raises it, and planning or watching clears
it once nothing waits for that any more."""

NATIVE_DECIMALS = 18
"""Of a chain's own coin."""


@dataclass(frozen=True, slots=True)
class OfLane:
    """A lane, or one nonce of it."""

    chain_id: int
    signer_address: Address
    nonce: int | None = None

    def __str__(self) -> str:
        lane = f"{self.chain_id}:{self.signer_address}"
        return lane if self.nonce is None else f"{lane}:{self.nonce}"


@dataclass(frozen=True, slots=True)
class OfFund:
    """A fund."""

    fund_id: str

    def __str__(self) -> str:
        return self.fund_id


@dataclass(frozen=True, slots=True)
class OfChain:
    """A chain, or one endpoint of it by its name."""

    chain_id: int
    endpoint: str | None = None

    def __str__(self) -> str:
        return str(self.chain_id) if self.endpoint is None else f"{self.chain_id}:{self.endpoint}"


@dataclass(frozen=True, slots=True)
class OfConsumer:
    """A consumer of the outbox."""

    name: str

    def __str__(self) -> str:
        return f"consumer:{self.name}"


Subject = OfLane | OfFund | OfChain | OfConsumer
"""What an alert is about; as a string, the words that people know it by."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How much is needed and how much there is, in base units of `decimals`."""

    needed_base_units: int
    available_base_units: int
    decimals: int

    def __str__(self) -> str:
        needed, there = self.needed_base_units, self.available_base_units
        return (
            f"{format_units(needed, self.decimals)} needed,"
            f" {format_units(there, self.decimals)} available"
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert's state now: raised with `detail`, or cleared when that is None."""

    kind: AlertKind
    subject: Subject
    detail: str | None = None
    shortfall: Shortfall | None = None
