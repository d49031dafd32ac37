"""What watching makes of what it saw: observations in, alerts out, raised or cleared.

A look that was not answered is no observation, and leaves the alerts about it as they were.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from settlement_node.domain.attention import (
    NATIVE_DECIMALS,
    WAIT_ALERTS,
    Alert,
    AlertKind,
    OfChain,
    OfConsumer,
    OfFund,
    OfLane,
    Shortfall,
)
from settlement_node.domain.observations import EndpointHealth
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.redemption import Held, PriceTerms, Unpayable, price_redemption
from settlement_node.domain.waiting import WaitingFor
from settlement_node.units import Address, Wei, format_units

STUCK_AFTER_BLOCKS = 20
HALTED_AFTER = timedelta(seconds=300)
STALLED_AFTER = timedelta(seconds=120)
UNREAD_AFTER = timedelta(seconds=60)
UNHELD_AFTER = timedelta(seconds=60)
BEHIND_AFTER = timedelta(minutes=5)
FINALITY_UNANSWERED_AFTER = timedelta(seconds=300)
FINALITY_STALLED_AFTER = timedelta(hours=1)
"""Rollups call blocks final in steps of many minutes."""
OF_ENDPOINTS = (AlertKind.ENDPOINT_QUARANTINED, AlertKind.ENDPOINT_CONTRADICTED)


def judge_endpoints(
    chain_id: int,
    endpoints: Sequence[EndpointHealth],
    differences: Sequence[str],
    told_of: Collection[str],
) -> Iterator[Alert]:
    """Who is left alone, who was shown to be wrong, and what nothing decides. `told_of` are the
    endpoints that alerts are open about."""
    kept = "asked all the same, being the only one" if len(endpoints) == 1 else "not asked for now"
    for seen in endpoints:
        about = OfChain(chain_id, seen.name)
        failing = f"{kept}: {seen.last_error}" if seen.quarantined else None
        yield Alert(AlertKind.ENDPOINT_QUARANTINED, about, failing)
        false = f"endpoint {seen.name} gave a false answer: {seen.contradiction}"
        yield Alert(AlertKind.ENDPOINT_CONTRADICTED, about, false if seen.contradiction else None)
    for gone in set(told_of) - {seen.name for seen in endpoints}:
        # Taken out of the settings, as the runbook advises: nothing is to be said of it any more.
        yield from (Alert(kind, OfChain(chain_id, gone)) for kind in OF_ENDPOINTS)
    words = f"nothing moves that depends on it: {'; '.join(differences)}" if differences else None
    yield Alert(AlertKind.ENDPOINTS_DISAGREE, OfChain(chain_id), words)


@dataclass(frozen=True, slots=True)
class LaneSeen:
    """A held lane as the book and its passes have it. `unmined` has each nonce that waits with the
    blocks since it was first signed; `final_lag` is how long the head has gone on since a block
    last became final, and the others are for how long that has been so, None where it is not."""

    lane: OfLane
    pause_reason: str | None
    nothing_unmined: bool
    unmined: Sequence[tuple[int, int]]
    head_number: int
    final_number: int
    is_below_final: bool
    silent: timedelta | None
    final_lag: timedelta | None
    finality_mode: str
    finality_answered: bool
    stalled: timedelta | None
    stalled_reason: str


def judge_lane(seen: LaneSeen) -> Iterator[Alert]:
    """A pause, what waits too long in the mempool, a chain or a pass that stands still."""
    lane = seen.lane
    if seen.nothing_unmined:
        # Nothing is left to sign: what the signer failed at went another way.
        for kind in (
            AlertKind.SIGNER_DOWN,
            AlertKind.SIGNER_REFUSED,
            AlertKind.TRANSACTION_REFUSED,
        ):
            yield Alert(kind, lane)
    why = seen.pause_reason
    paused = None if why is None else f"nothing is planned or signed: {why}"
    yield Alert(AlertKind.LANE_PAUSED, lane, paused)
    stuck = [
        f"nonce {nonce} is unmined after {age} blocks"
        for nonce, age in seen.unmined
        if age >= STUCK_AFTER_BLOCKS
    ]
    yield Alert(AlertKind.TRANSACTION_STUCK, lane, stuck[0] if stuck else None)
    halted = None
    if seen.silent is not None and seen.silent >= HALTED_AFTER:
        halted = f"no new block since {_s(seen.silent)} s; the last one known is {seen.head_number}"
    yield Alert(AlertKind.CHAIN_HALTED, lane, halted)
    yield Alert(AlertKind.FINALITY_STALLED, lane, _finality_words(seen))
    stalled = None
    if seen.stalled is not None and (seen.stalled >= STALLED_AFTER or seen.is_below_final):
        stalled = f"nothing is planned for {_s(seen.stalled)} s: {seen.stalled_reason}"
    yield Alert(AlertKind.LANE_NOT_ADVANCING, lane, stalled)


def _s(duration: timedelta) -> int:
    return int(duration.total_seconds())


def _finality_words(seen: LaneSeen) -> str | None:
    """What to say of finality when the head has gone on without it for too long."""
    if seen.final_lag is None:
        return None
    known = f"block {seen.final_number}" if seen.final_number >= 0 else "none"
    if not seen.finality_answered and seen.final_lag >= FINALITY_UNANSWERED_AFTER:
        return (
            f"too few endpoints answer the tag {seen.finality_mode!r}, so no block becomes final:"
            f" the last one is {known}, since {_s(seen.final_lag)} s, the head is"
            f" {seen.head_number}"
        )
    if seen.final_lag >= FINALITY_STALLED_AFTER:
        return (
            f"no block has become final for {_s(seen.final_lag)} s ({seen.finality_mode}): the last"
            f" one is {known}, the head is {seen.head_number}"
        )
    return None


def judge_holder(
    lane: OfLane, *, expired_at_utc: datetime | None, can_hold: bool, now_utc: datetime
) -> Alert:
    """Whether anybody works on a lane of the book. `expired_at_utc` is when its last lease ends or
    ended, None where nobody ever had one; `can_hold` says whether this node has its chain and its
    signer."""
    words = None
    if expired_at_utc is None or now_utc - expired_at_utc >= UNHELD_AFTER:
        mine = "this node could" if can_hold else "this node has no signer or no endpoint for it"
        words = f"no node holds this lane, so nothing of it is planned, sent or tracked; {mine}"
    return Alert(AlertKind.LANE_NOT_HELD, lane, words)


def judge_gas(
    lane: OfLane, balance_wei: Wei, comfortable_wei: int, *, is_waited_for: bool
) -> Iterator[Alert]:
    """Gas money below the line at which it is to be filled up. Above it, the alert stays while an
    order waits for gas: planning knows what the next batch needs, and has said it."""
    low = Shortfall(comfortable_wei, balance_wei, NATIVE_DECIMALS)
    words = (
        f"{lane.signer_address} has less of the chain's coin than a full batch may need ({low});"
        " send it coins"
    )
    is_low = balance_wei < comfortable_wei
    if is_low:
        yield Alert(AlertKind.GAS_LOW, lane, words, low)
    elif not is_waited_for:
        yield Alert(AlertKind.GAS_LOW, lane)


def judge_reads(about: OfLane | OfFund, failing: timedelta | None, why: str) -> Alert:
    """What the chain has not answered for long."""
    words = None
    if failing is not None and failing >= UNREAD_AFTER:
        words = f"the chain cannot be read for {_s(failing)} s, so nothing is known of it: {why}"
    return Alert(AlertKind.READS_FAILING, about, words)


def judge_consumer(
    about: OfConsumer,
    *,
    waiting_since_utc: datetime | None,
    last_error: str | None,
    now_utc: datetime,
) -> Alert:
    """Whether a consumer of the outbox is given its events. `waiting_since_utc` is the time of the
    oldest that it was not given yet, None where there is none."""
    words = None
    if waiting_since_utc is not None and now_utc - waiting_since_utc >= BEHIND_AFTER:
        why = last_error or "it is behind, or no running node hands them over"
        words = f"not given what happened since {waiting_since_utc:%Y-%m-%d %H:%M} UTC: {why}"
    return Alert(AlertKind.CONSUMER_BEHIND, about, words)


@dataclass(frozen=True, slots=True)
class FundSeen:
    """A fund as the book has it. `waits` is what its approved orders were last noted to wait
    for."""

    fund_id: str
    pause_reason: str | None
    waits: Collection[str]
    held: Held | None
    terms: PriceTerms | None


def judge_fund(seen: FundSeen) -> Iterator[Alert]:
    """What people have stopped, what waits for a person, and waits that are over."""
    about = OfFund(seen.fund_id)
    why = seen.pause_reason
    paused = None if why is None else f"nothing is planned for the fund: {why}"
    yield Alert(AlertKind.FUND_PAUSED, about, paused)
    held = None if seen.held is None else _held_words(seen.held, seen.terms)
    yield Alert(AlertKind.ORDERS_HELD, about, held)
    for waiting_on, kind in WAIT_ALERTS.items():
        # Whether a token is stopped is for the look at the chain to say.
        if waiting_on not in seen.waits and waiting_on is not WaitingFor.TOKEN_PAUSED:
            yield Alert(kind, about)


def _held_words(held: Held, terms: PriceTerms | None) -> str:
    worth = "no price is known"
    if terms is not None:
        price = price_redemption(held.shares_base_units, terms)
        if not isinstance(price, Unpayable):
            worth = f"about {format_units(price.payout_base_units, terms.payout_decimals)} to pay"
    return f"{held.count} held, the oldest since {held.since_utc:%Y-%m-%d %H:%M} UTC, {worth}"


@dataclass(frozen=True, slots=True)
class FundOnChain:
    """A fund's settler and tokens at the agreed head; `paused_token` is one that stands still."""

    settler_address: Address
    paused: bool
    operator_address: Address
    band: PriceBand
    paused_token: Address | None


def judge_fund_on_chain(seen: FundSeen, chain: FundOnChain, signer: Address) -> Iterator[Alert]:
    """What keeps the settler or the tokens from settling for the fund."""
    about = OfFund(seen.fund_id)
    why: str | None = None
    if chain.paused:
        why = f"settler {chain.settler_address} is paused on the chain"
    elif chain.operator_address != signer:
        why = f"settler {chain.settler_address} has operator {chain.operator_address}, not {signer}"
    yield Alert(AlertKind.SETTLER_PAUSED, about, why)
    fault = None if seen.terms is None else chain.band.fault(seen.terms)
    yield Alert(AlertKind.PRICE_OUTSIDE_BAND, about, fault)
    if chain.paused_token is not None:
        yield Alert(AlertKind.TOKEN_STOPPED, about, f"the token {chain.paused_token} is paused")
    elif WaitingFor.TOKEN_PAUSED not in seen.waits:
        yield Alert(AlertKind.TOKEN_STOPPED, about)
