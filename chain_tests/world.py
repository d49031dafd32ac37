"""A whole small world for one test: a chain with a staged fund, a book, and a node driven by hand.

Blocks are mined when the test says so, and the node makes a pass when the test says so; nothing
waits for a clock. At the end `check_books` holds the book against the chain's logs, the payees'
balances and the ledger.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import RowMapping

from settlement_node.chain.client import ChainClient
from settlement_node.chain.context import ChainContext
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.views import Accepted
from settlement_node.chain.wire.transport import Transport
from settlement_node.demo.audit import Audit, audit
from settlement_node.demo.book import account
from settlement_node.demo.stage import Stage
from settlement_node.desk.intake import take_in
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionStatus
from settlement_node.domain.postings import Account
from settlement_node.domain.redemption import RedemptionOrder
from settlement_node.node.context import Lane, NodeContext
from settlement_node.node.cycle import PassEnd, PassResult
from settlement_node.node.runtime import Node
from settlement_node.node.stages.reconcile import reconcile_fund
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import add_fund, get_fund
from settlement_node.store.database import Store, open_engine
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import AttemptRow, FundRow, LaneRow, RedemptionRow, TransactionRow
from settlement_node.store.telling.attention import open_alerts, open_breaks
from settlement_node.units import Address, Hex32, Shares, redemption_id_of
from tests_support.anvil import AnvilProcess
from tests_support.embedded import EmbeddedChain
from tests_support.ledger import balance

Chain = EmbeddedChain | AnvilProcess

SHARE = 10**18
CONFIRMATIONS_BLOCKS = 2
RESTING = REDEMPTION_ENDED | {RedemptionStatus.HELD}
PASSES_MAX = 60


class EventLog:
    """A consumer that keeps what it is given."""

    name = "test"
    from_now = False

    def __init__(self) -> None:
        self.events: list[RowMapping] = []

    def deliver(self, events: Sequence[RowMapping]) -> None:
        self.events.extend(events)


@dataclass(slots=True)
class World:
    """One chain, one fund, one book, one node."""

    chain: Chain
    stage: Stage
    store: Store
    node: Node
    events: EventLog
    paid_before: dict[Address, int] = field(default_factory=dict)

    # The book

    @property
    def fund_id(self) -> str:
        return self.stage.fund.fund_id

    @property
    def client(self) -> ChainClient:
        """A client of the test's own, so that it sees what the node may not."""
        return self.stage.client

    def order(
        self, name: str, shares: int = 10 * SHARE, *, payee: Address | None = None
    ) -> RedemptionOrder:
        """An order of the investor of that name, who is given just these shares."""
        investor = account(name)
        self.stage.give_shares({investor: Shares(shares)})
        return RedemptionOrder(name, investor, payee or investor, Shares(shares))

    def orders(self, count: int, prefix: str = "order") -> list[RedemptionOrder]:
        """Orders of different size by different investors, who then hold the shares."""
        orders = [
            RedemptionOrder(name, account(name), account(name), Shares((n + 1) * SHARE))
            for n, name in enumerate(f"{prefix}-{n}" for n in range(count))
        ]
        self.stage.give_shares({o.investor_address: o.shares_base_units for o in orders})
        return orders

    def take_in(self, *orders: RedemptionOrder) -> list[RedemptionRow]:
        """Enter approved orders."""
        for order in orders:
            self.paid_before.setdefault(order.payee_address, self.money_of(order.payee_address))
        with self.store.transaction(actor="test") as tx:
            return take_in(tx, self.fund_id, orders, approved_by="test")

    def enter(self, count: int, prefix: str = "order") -> list[str]:
        """Enter approved orders of different investors; returns their names."""
        wanted = self.orders(count, prefix)
        self.take_in(*wanted)
        return [order.external_id for order in wanted]

    def row(self, name: str) -> RedemptionRow:
        fund = self.stage.fund
        with self.store.read() as tx:
            found = redemptions.get(
                tx,
                redemption_id_of(
                    chain_id=fund.chain_id,
                    share_token_address=fund.share_token_address,
                    external_id=name,
                ),
            )
        assert found is not None, f"{name} is not in the book"
        return found

    def status(self, name: str) -> RedemptionStatus:
        return self.row(name).status

    def statuses(self, names: Sequence[str]) -> list[RedemptionStatus]:
        return [self.status(name) for name in names]

    def rows(self) -> list[RedemptionRow]:
        """The whole book, by index."""
        with self.store.read() as tx:
            page = redemptions.page(
                tx, redemptions.RedemptionFilter(fund_id=self.fund_id), limit=1000
            )
        assert len(page) < 1000
        return sorted(page, key=lambda row: row.redemption_index)

    def unfinal(self) -> list[TransactionRow]:
        lane = self.chain.chain_id, self.stage.operator.address
        with self.store.read() as tx:
            rows = [*transactions.unmined(tx, *lane), *transactions.mined(tx, *lane)]
        return sorted(rows, key=lambda row: row.nonce)

    def transaction_of(self, name: str) -> TransactionRow:
        """The transaction of the latest settlement a redemption was in."""
        with self.store.read() as tx:
            item = settlements.items_of_redemption(tx, self.row(name).redemption_id)[-1]
            settlement = settlements.get(tx, item.settlement_id)
            assert settlement is not None
            found = transactions.get(tx, settlement.transaction_id)
        assert found is not None
        return found

    def attempts_of(self, name: str) -> list[AttemptRow]:
        """The attempts of the latest settlement a redemption was in, in order."""
        row = self.transaction_of(name)
        with self.store.read() as tx:
            return transactions.attempts_of(tx, [row.transaction_id])[row.transaction_id]

    def lane_row(self) -> LaneRow:
        with self.store.read() as tx:
            row = get_lane(tx, self.chain.chain_id, self.stage.operator.address)
        assert row is not None
        return row

    @property
    def lane(self) -> Lane:
        (lane,) = self.node.lanes.values()
        return lane

    def alerts(self) -> set[str]:
        """The kinds of the open alerts."""
        with self.store.read() as tx:
            return {alert["kind"] for alert in open_alerts(tx)}

    def fund_row(self) -> FundRow:
        """The fund as the book has it."""
        with self.store.read() as tx:
            return get_fund(tx, self.fund_id)

    def breaks(self) -> list[str]:
        """The kinds of the open breaks, oldest first."""
        with self.store.read() as tx:
            return [found["kind"] for found in open_breaks(tx)]

    def ledger(self) -> dict[Account, int]:
        """Every account's balance."""
        with self.store.read() as tx:
            return {a: balance(tx, fund_id=self.fund_id, account=a) for a in Account}

    def set_fund(self, **values: int | None) -> None:
        """Change fields of the fund, its NAV say."""
        from settlement_node.store import tables as t

        with self.store.transaction(actor="test") as tx:
            tx.connection.execute(
                t.funds.update().where(t.funds.c.fund_id == self.fund_id).values(**values)
            )

    # Time

    def tick(self, end: PassEnd = PassEnd.DONE) -> PassResult:
        """One pass of the node, which ends as said."""
        results = self.node.tick()
        assert [result.end for result in results] == [end], results
        return results[0]

    def mine(self, blocks: int = 1) -> None:
        """Blocks, the node asleep."""
        self.chain.mine(blocks)
        self.client.refresh()

    def step(self, blocks: int = 1, end: PassEnd = PassEnd.DONE) -> None:
        """That often: a block, then a pass."""
        for _ in range(blocks):
            self.mine()
            self.tick(end)

    def until(self, done: Callable[[], bool], what: str = "the condition") -> None:
        """Blocks and passes until something holds."""
        for _ in range(PASSES_MAX):
            if done():
                return
            self.step()
        counts = Counter(row.status.value for row in self.rows())
        raise AssertionError(f"{what} did not come about in {PASSES_MAX} blocks: {counts}")

    def settle(self) -> None:
        """Blocks and passes until every redemption rests."""
        self.tick()
        self.until(lambda: all(row.status in RESTING for row in self.rows()), "rest")

    # The chain

    def money_of(self, holder: Address) -> int:
        token = self.stage.fund.payout_token_address
        self.client.refresh()
        return self.client.token_view(token, holders=[holder]).balances_base_units[holder]

    def shares_of(self, holder: Address) -> int:
        token = self.stage.fund.share_token_address
        self.client.refresh()
        return self.client.token_view(token, holders=[holder]).balances_base_units[holder]

    def is_pending(self, transaction_hash: Hex32) -> bool:
        """Whether the chain has it, in the mempool or mined."""
        return self.client.transaction_place(transaction_hash) is not None

    def drop_pending(self) -> list[Hex32]:
        """Have every mempool forget what the lane has sent; returns what was dropped."""
        with self.store.read() as tx:
            attempts = transactions.attempts_of(tx, [row.transaction_id for row in self.unfinal()])
        dropped = []
        for attempt in (a for of_one in attempts.values() for a in of_one):
            if self.is_pending(attempt.attempt_hash):
                self.chain.drop(attempt.attempt_hash)
                dropped.append(attempt.attempt_hash)
        return dropped

    def send_raw(self, raw: bytes) -> None:
        """Hand bytes to the chain past the node, as another peer would."""
        assert isinstance(self.client.send_raw(raw), Accepted)

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by empty ones; their transactions are gone everywhere."""
        if isinstance(self.chain, EmbeddedChain):
            self.chain.reorganise(depth, keep_transactions=False)
        else:
            self.chain.reorganise(depth)
        self.client.refresh()

    def remine(self, depth: int, placed: Sequence[tuple[bytes, int]]) -> None:
        """Replace the last blocks by others that hold these signed bytes, each in the block of
        that position (0 is the first replaced one)."""
        if isinstance(self.chain, AnvilProcess):
            self.chain.rpc("anvil_reorg", depth, [["0x" + raw.hex(), n] for raw, n in placed])
        else:
            self.chain.rollback(depth, keep_transactions=False)
            for n in range(depth):
                for raw, at in placed:
                    if at == n:
                        self.chain.send(raw)
                self.chain.mine()
        self.client.refresh()

    # Nodes

    def context(self) -> NodeContext:
        return self.node.context

    def at_each_point(self, checkpoint: Callable[[str], None]) -> None:
        """Have `checkpoint` called at each of the node's points from now on."""
        self.node.context = dataclasses.replace(self.node.context, checkpoint=checkpoint)
        for lane in self.node.lanes.values():
            lane.context = self.node.context

    def new_node(
        self,
        *,
        store: Store | None = None,
        client: ChainClient | None = None,
        **changes: object,
    ) -> World:
        """Another node of the same world: another process, as far as the book can tell."""
        events = EventLog()
        context = dataclasses.replace(
            self.node.context,
            store=store or self.store,
            chains={
                self.chain.chain_id: dataclasses.replace(
                    self.node.context.chains[self.chain.chain_id],
                    client=client or new_client(self.chain),
                )
            },
            **{"node_id": f"{self.node.context.node_id}+", **changes},  # type: ignore[arg-type]
        )
        return World(
            self.chain,
            self.stage,
            context.store,
            Node(context, sinks=[events]),
            events,
            self.paid_before,
        )

    def add_fund(self) -> None:
        """Enter the stage's fund into this world's book."""
        with self.store.transaction(actor="test") as tx:
            add_fund(tx, self.stage.fund)

    # The end

    def audit(self) -> Audit:
        return audit(self.store, self.client, self.fund_id)

    def reconcile(self) -> list[str]:
        """Reconcile up to the last final block; returns the open breaks' kinds."""
        reconcile_fund(self.node.context, self.fund_row())
        return self.breaks()

    def check_books(self, *, breaks: Sequence[str] = ()) -> Audit:
        """Book, logs, balances and ledger say the same, and nobody was paid twice."""
        self.step(CONFIRMATIONS_BLOCKS)
        assert self.reconcile() == list(breaks)
        return self.check_chain()

    def check_chain(self) -> Audit:
        """Book, logs, balances and ledger, without the node: for lanes that are stopped."""
        found = self.audit()
        assert found.contradictions == (), found.contradictions
        assert found.double_paid == 0
        rows = self.rows()
        settled = [row for row in rows if row.status is RedemptionStatus.SETTLED]
        assert found.settled_on_chain == len(settled)
        for payee, before in self.paid_before.items():
            mine = (row.payout_base_units or 0 for row in settled if row.payee_address == payee)
            assert self.money_of(payee) == before + sum(mine), payee
        paid = sum(row.payout_base_units or 0 for row in settled)
        burned = sum(row.shares_base_units for row in settled)
        ended = {*REDEMPTION_ENDED}
        reserved = sum(row.shares_base_units for row in rows if row.status not in ended)
        ledger = self.ledger()
        assert ledger[Account.TREASURY] == -paid
        assert ledger[Account.SHARES_BURNED] == burned
        assert ledger[Account.SHARES_RESERVED] == reserved
        assert ledger[Account.SHARES_OUTSTANDING] == -burned - reserved
        if all(row.status in RESTING for row in rows):
            assert ledger[Account.REDEMPTIONS_PAYABLE] == 0
        return found


def new_client(chain: Chain, transports: Sequence[Transport] | None = None) -> ChainClient:
    """A client as a new process would have it."""
    return ChainClient(chain.chain_id, transports or [chain.transport("node")], now=time.monotonic)


def build_world(
    chain: Chain,
    stage: Stage,
    store: Store,
    *,
    policy: EnginePolicy | None = None,
    fees: FeePolicy | None = None,
    confirmations_blocks: int = CONFIRMATIONS_BLOCKS,
    lease_seconds: float = 30.0,
    transports: Sequence[Transport] | None = None,
    signer: KeySigner | None = None,
) -> World:
    """A world around a stage that is set; the fund is entered, no order yet."""
    events = EventLog()
    context = NodeContext(
        store=store,
        chains={
            chain.chain_id: ChainContext(
                new_client(chain, transports),
                FinalityPolicy(FinalityMode.CONFIRMATIONS, confirmations_blocks),
                fees or FeePolicy(),
            )
        },
        signers={(chain.chain_id, stage.operator.address): signer or stage.operator},
        node_id="node",
        policy=policy or EnginePolicy(),
        lease_seconds=lease_seconds,
    )
    world = World(chain, stage, store, Node(context, sinks=[events]), events)
    world.add_fund()
    return world


def later(book: Store, seconds: float) -> None:
    """The book's clock goes on by so much."""
    plain = book.clock
    book.clock = lambda: plain() + timedelta(seconds=seconds)


def sqlite_store(path: Path) -> Store:
    """A store on a file that is migrated already."""
    return Store(open_engine(f"sqlite:///{path}"))


def wait_until(
    done: Callable[[], bool], *, seconds: float, explain: Callable[[], str] = lambda: ""
) -> None:
    """Look every few moments whether something that moves by itself has come about; `explain`
    says more when it has not."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} seconds\n{explain()}"
        time.sleep(0.05)
