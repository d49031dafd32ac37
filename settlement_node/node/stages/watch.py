"""Watch: look at every lane, its chain and its funds, and tell what is so. Moves no money."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import structlog

from settlement_node.chain.client import ChainClient
from settlement_node.desk.door import capacity_of
from settlement_node.domain import watching
from settlement_node.domain.attention import Alert, OfConsumer, OfFund, OfLane
from settlement_node.domain.lifecycle import TransactionStatus
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.waiting import WaitingFor
from settlement_node.domain.watching import FundOnChain, FundSeen, LaneSeen
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import Lane, NodeContext
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import list_funds, note_capacity
from settlement_node.store.database import ReadTx
from settlement_node.store.engine import transactions
from settlement_node.store.engine.lanes import get_lane, list_lanes
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import open_alerts, tell
from settlement_node.store.telling.consumers import list_consumers
from settlement_node.store.telling.overview import leases_by_name

log = structlog.get_logger(__name__)


def watch(context: NodeContext, lanes: Iterable[Lane]) -> list[Alert]:
    """Look at every lane of the book, and closely at those held here; raise or clear the alerts.
    What the chain does not answer about a lane or a fund keeps no other alert from being told."""
    alerts = [*_holders(context), *_consumers(context)]
    for lane in lanes:
        with context.store.read() as tx:
            seen = _see_lane(tx, lane)
            funds = list_funds(tx, chain_id=lane.chain_id, lane_address=lane.signer_address)
            books = [(fund, _see_fund(tx, fund)) for fund in funds]
            told_of = _endpoints_told_of(tx, lane.chain_id)
            in_flight = transactions.count_unfinal(tx, lane.chain_id, lane.signer_address)
        client = lane.chain.client
        differences = [difference.detail for difference in client.disagreements()]
        health = client.health()
        alerts += watching.judge_endpoints(lane.chain_id, health, differences, told_of)
        alerts += watching.judge_lane(seen)
        client = context.chains[lane.chain_id].client
        about_gas = partial(_gas, client, lane, in_flight, [book for _, book in books])
        alerts += _ask(lane, lane.subject, about_gas)
        for fund, book in books:
            alerts += watching.judge_fund(book)
            look = partial(_fund, context, client, fund, book)
            alerts += _ask(lane, OfFund(fund.fund_id), look)
    with context.store.transaction(actor=context.node_id) as tx:
        tell(tx, *alerts)
    return alerts


def _endpoints_told_of(tx: ReadTx, chain_id: int) -> list[str]:
    """The endpoints of a chain that alerts are open about."""
    of_chain = f"{chain_id}:"
    return [
        alert["subject"].removeprefix(of_chain)
        for alert in open_alerts(tx)
        if alert["kind"] in watching.OF_ENDPOINTS and alert["subject"].startswith(of_chain)
    ]


def _holders(context: NodeContext) -> Iterator[Alert]:
    """Whether each lane of the book is held by any node."""
    with context.store.read() as tx:
        rows, leases = list_lanes(tx), leases_by_name(tx)
        now_utc = context.store.database_now(tx.connection)
    for row in rows:
        lease = leases.get(lane_key(row.chain_id, row.signer_address))
        yield watching.judge_holder(
            OfLane(row.chain_id, row.signer_address),
            expired_at_utc=None if lease is None else lease["expires_at_utc"],
            can_hold=row.chain_id in context.chains
            and (row.chain_id, row.signer_address) in context.signers,
            now_utc=now_utc,
        )


def _consumers(context: NodeContext) -> Iterator[Alert]:
    """Whether each consumer of the outbox is given its events, by any node."""
    with context.store.read() as tx:
        rows, now_utc = list_consumers(tx), context.store.database_now(tx.connection)
    for row in rows:
        yield watching.judge_consumer(
            OfConsumer(row.name),
            waiting_since_utc=row.waiting_since_utc,
            last_error=row.last_error,
            now_utc=now_utc,
        )


def _ask(lane: Lane, about: OfLane | OfFund, look: Callable[[], list[Alert]]) -> list[Alert]:
    """What one look at the chain tells, and whether it has failed for long."""
    unread, now = lane.memory.unread_since_utc, lane.store.clock()
    try:
        told = look()
    except (Refused, Transient) as error:
        # Nobody at a settler's address, say: what is told of it stays as it was.
        log.warning("watch_later", lane=lane.key, about=str(about), reason=error.message)
        failing = now - unread.setdefault(str(about), now)
        return [watching.judge_reads(about, failing, error.message)]
    unread.pop(str(about), None)
    return [*told, watching.judge_reads(about, None, "")]


def _see_lane(tx: ReadTx, lane: Lane) -> LaneSeen:
    row = get_lane(tx, lane.chain_id, lane.signer_address)
    unmined = transactions.unmined(tx, lane.chain_id, lane.signer_address)
    attempts = transactions.attempts_of(tx, [x.transaction_id for x in unmined])
    memory, head, now = lane.memory, lane.head, lane.store.clock()
    changed, final = memory.head_changed_at_utc, memory.final_changed_at_utc
    return LaneSeen(
        lane=lane.subject,
        pause_reason=(row.pause_reason or "") if row is not None and row.paused else None,
        nothing_unmined=not unmined,
        unmined=[
            (x.nonce, head.number - attempts[x.transaction_id][0].signed_at_block)
            for x in unmined
            if x.status in (TransactionStatus.SIGNED, TransactionStatus.SENT)
            and attempts[x.transaction_id]
        ],
        head_number=head.number,
        final_number=head.final_number,
        is_below_final=head.is_below_final,
        silent=None if changed is None else now - changed,
        final_lag=None if changed is None or final is None else changed - final,
        finality_mode=lane.chain.finality.mode.value,
        finality_answered=head.finality_answered,
        stalled=None if memory.stalled_since_utc is None else now - memory.stalled_since_utc,
        stalled_reason=memory.stalled_reason,
    )


def _see_fund(tx: ReadTx, fund: FundRow) -> FundSeen:
    return FundSeen(
        fund_id=fund.fund_id,
        pause_reason=(fund.pause_reason or "") if fund.paused else None,
        waits=redemptions.waits_of(tx, fund.fund_id),
        held=redemptions.held_of(tx, fund.fund_id),
        terms=fund.terms(),
    )


def _gas(client: ChainClient, lane: Lane, in_flight: int, funds: Sequence[FundSeen]) -> list[Alert]:
    """The lane's gas money, at the head that everything asked of the chain is read at. While
    something is in flight the send stage itself says whether it lasts."""
    client.refresh()
    if in_flight:
        return []
    is_waited_for = any(WaitingFor.GAS in fund.waits for fund in funds)
    balance = client.native_balance(lane.signer_address)
    comfortable = _comfortable_wei(lane)
    return [*watching.judge_gas(lane.subject, balance, comfortable, is_waited_for=is_waited_for)]


def _comfortable_wei(lane: Lane) -> int:
    """Enough for a batch of a tenth of the block at a hundredth of the fee ceiling: a warning
    line, not a need."""
    return lane.head.gas_limit // 10 * lane.chain.fees.cap_ceiling_wei // 100


def _fund(context: NodeContext, client: ChainClient, fund: FundRow, book: FundSeen) -> list[Alert]:
    """A fund's settler and tokens; what it can settle at most is noted by the way."""
    settler = client.settler_view(fund.settler_address)
    shares = client.token_view(fund.share_token_address)
    money = client.token_view(fund.payout_token_address)
    capacity = capacity_of(shares, settler)
    if capacity != fund.capacity:
        with context.store.transaction(actor=context.node_id) as tx:
            note_capacity(tx, fund, capacity)
    paused = [token.token_address for token in (money, shares) if token.paused]
    on_chain = FundOnChain(
        settler_address=fund.settler_address,
        paused=settler.paused,
        operator_address=settler.operator_address,
        band=PriceBand(settler.floor_price, settler.ceiling_price, fund.payout_decimals),
        paused_token=paused[0] if paused else None,
    )
    return list(watching.judge_fund_on_chain(book, on_chain, fund.lane_address))
