"""Watch: endpoints, gas, treasury, stuck work. Raises and clears alerts; moves no money."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from settlement_node.chain.client import ChainClient
from settlement_node.chain.views import SettlerView
from settlement_node.desk.door import read_capacity
from settlement_node.domain.attention import Alert, AlertKind, OfChain, OfFund
from settlement_node.domain.capacity import FundCapacity
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.waiting import WaitingFor
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import Lane, NodeContext
from settlement_node.node.stages.send import SIGNER_ALERTS
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import list_funds, note_capacity
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import tell

log = structlog.get_logger(__name__)
STUCK_AFTER_BLOCKS = 20
HALTED_AFTER_SECONDS = 300
STALLED_AFTER_SECONDS = 120
FINALITY_UNANSWERED_AFTER_SECONDS = 300
FINALITY_STALLED_AFTER_SECONDS = 3_600
"""Rollups call blocks final in steps of many minutes."""


def watch(context: NodeContext, lanes: Iterable[Lane]) -> list[Alert]:
    """Look at every held lane and its chain, and raise or clear the alerts in one commit."""
    findings: list[Alert] = []
    capacities: list[tuple[FundRow, FundCapacity]] = []
    for lane in lanes:
        findings += _endpoints(lane)
        findings += _lane(context, lane)
        with context.store.read() as tx:
            funds = list_funds(tx, chain_id=lane.chain_id, lane_address=lane.signer_address)
        findings += _book(context, lane, funds)
        try:
            client = context.chains[lane.chain_id].client
            findings += _gas(context, client, lane)
            views: list[SettlerView] = []
            for fund in funds:
                views.append(client.settler_view(fund.settler_address))
                findings += _settler(lane, fund, views[-1])
            for fund, view in zip(funds, views, strict=True):
                capacities.append((fund, read_capacity(client, fund, view)))
        except (Refused, Transient) as error:
            # What the chain does not answer, or nobody at a settler's address, stays as it was; the
            # rest is told all the same.
            log.warning("watch_later", lane=lane.key, reason=error.message)
    with context.store.transaction(actor=context.node_id) as tx:
        tell(tx, *findings)
        for fund, capacity in capacities:
            note_capacity(tx, fund, capacity)
    return findings


def _endpoints(lane: Lane) -> Iterable[Alert]:
    """Who is left alone, who was shown to be wrong, and what nothing decides."""
    for endpoint in lane.chain.client.health():
        yield Alert(
            AlertKind.ENDPOINT_QUARANTINED,
            OfChain(lane.chain_id, endpoint.name),
            f"not asked for now: {endpoint.last_error}" if endpoint.quarantined else None,
        )
        false = endpoint.contradiction
        yield Alert(
            AlertKind.ENDPOINT_CONTRADICTED,
            OfChain(lane.chain_id, endpoint.name),
            f"endpoint {endpoint.name} gave a false answer: {false}" if false else None,
        )
    differences = [difference.detail for difference in lane.chain.client.disagreements()]
    yield Alert(
        AlertKind.ENDPOINTS_DISAGREE,
        OfChain(lane.chain_id),
        f"nothing moves that depends on it: {'; '.join(differences)}" if differences else None,
    )


def _lane(context: NodeContext, lane: Lane) -> Iterable[Alert]:
    with context.store.read() as tx:
        row = get_lane(tx, lane.chain_id, lane.signer_address)
        unmined = transactions.unmined(tx, lane.chain_id, lane.signer_address)
        attempts = transactions.attempts_of(tx, [x.transaction_id for x in unmined])
    if not unmined:
        # Nothing is left to sign: what the signer failed at went another way.
        for kind, _ in SIGNER_ALERTS:
            yield Alert(kind, lane.subject)
        yield Alert(AlertKind.TRANSACTION_REFUSED, lane.subject)
    paused = row is not None and row.paused
    yield Alert(
        AlertKind.LANE_PAUSED,
        lane.subject,
        f"nothing is planned or signed: {row.pause_reason}" if row and paused else None,
    )
    waiting = [
        (x.nonce, lane.head.number - attempts[x.transaction_id][0].signed_at_block)
        for x in unmined
        if x.status in (TransactionStatus.SIGNED, TransactionStatus.SENT)
        and attempts[x.transaction_id]
    ]
    stuck = [(nonce, age) for nonce, age in waiting if age >= STUCK_AFTER_BLOCKS]
    yield Alert(
        AlertKind.TRANSACTION_STUCK,
        lane.subject,
        f"nonce {stuck[0][0]} is unmined after {stuck[0][1]} blocks" if stuck else None,
    )


def _book(context: NodeContext, lane: Lane, funds: Sequence[FundRow]) -> Iterable[Alert]:
    """What the book alone tells: a silent chain, waits for money that are over."""
    now = context.store.clock()
    silent = (
        0.0
        if lane.memory.head_changed_at_utc is None
        else (now - lane.memory.head_changed_at_utc).total_seconds()
    )
    yield Alert(
        AlertKind.CHAIN_HALTED,
        lane.subject,
        f"no new block since {int(silent)} s; the last one known is {lane.head.number}"
        if silent >= HALTED_AFTER_SECONDS
        else None,
    )
    yield Alert(AlertKind.FINALITY_STALLED, lane.subject, _finality_words(lane))
    stalled = (
        0.0
        if lane.memory.stalled_since_utc is None
        else (now - lane.memory.stalled_since_utc).total_seconds()
    )
    yield Alert(
        AlertKind.LANE_NOT_ADVANCING,
        lane.subject,
        f"nothing is planned for {int(stalled)} s: {lane.memory.stalled_reason}"
        if stalled >= STALLED_AFTER_SECONDS
        or (lane.memory.stalled_since_utc and lane.head.is_below_final)
        else None,
    )
    for fund in funds:
        with context.store.read() as tx:
            waits = redemptions.waits_of(tx, fund.fund_id)
        for waiting_on, kind in (
            (WaitingFor.LIQUIDITY, AlertKind.TREASURY_SHORT),
            (WaitingFor.LIMITS, AlertKind.PAYOUT_LIMIT_REACHED),
            (WaitingFor.TOKEN_PAUSED, AlertKind.TOKEN_STOPPED),
        ):
            if waiting_on.value not in waits:
                yield Alert(kind, OfFund(fund.fund_id), None)


def _finality_words(lane: Lane) -> str | None:
    """What to say of finality when the head has gone on without it for too long."""
    if lane.memory.final_changed_at_utc is None or lane.memory.head_changed_at_utc is None:
        return None
    seconds = (lane.memory.head_changed_at_utc - lane.memory.final_changed_at_utc).total_seconds()
    known = f"block {lane.head.final_number}" if lane.head.final_number >= 0 else "none"
    mode = lane.chain.finality.mode.value
    if not lane.head.finality_answered and seconds >= FINALITY_UNANSWERED_AFTER_SECONDS:
        return (
            f"too few endpoints answer the tag {mode!r}, so no block becomes final: the last one"
            f" is {known}, since {int(seconds)} s, the head is {lane.head.number}"
        )
    if seconds >= FINALITY_STALLED_AFTER_SECONDS:
        return (
            f"no block has become final for {int(seconds)} s ({mode}): the last one is {known},"
            f" the head is {lane.head.number}"
        )
    return None


def _gas(context: NodeContext, client: ChainClient, lane: Lane) -> Iterable[Alert]:
    """The lane's gas money, at the head that everything asked of the chain is read at."""
    client.refresh()
    with context.store.read() as tx:
        in_flight = transactions.count_unfinal(tx, lane.chain_id, lane.signer_address)
    if not in_flight:
        # While something is in flight the send stage itself says whether the gas money lasts.
        balance = client.native_balance(lane.signer_address)
        low = balance < _comfortable_wei(lane)
        yield Alert(
            AlertKind.GAS_LOW,
            lane.subject,
            f"{lane.signer_address} has {balance} wei, less than a full batch may need; send it"
            " coins"
            if low
            else None,
        )


def _comfortable_wei(lane: Lane) -> int:
    """Enough for a batch of a tenth of the block at a hundredth of the fee ceiling: a warning
    line, not a need."""
    return lane.head.gas_limit // 10 * lane.chain.fees.cap_ceiling_wei // 100


def _settler(lane: Lane, fund: FundRow, view: SettlerView) -> Iterable[Alert]:
    why: str | None = None
    if view.paused:
        why = f"settler {fund.settler_address} is paused on the chain"
    elif view.operator_address != lane.signer_address:
        why = (
            f"settler {fund.settler_address} has operator {view.operator_address},"
            f" not {lane.signer_address}"
        )
    yield Alert(AlertKind.SETTLER_PAUSED, OfFund(fund.fund_id), why)
    terms = fund.terms()
    band = PriceBand(view.floor_price, view.ceiling_price, fund.payout_decimals)
    fault = None if terms is None else band.fault(terms)
    yield Alert(AlertKind.PRICE_OUTSIDE_BAND, OfFund(fund.fund_id), fault)
