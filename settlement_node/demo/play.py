"""Playing the demonstration: stage, book, node, settlement, reconciliation, audit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from settlement_node.chain.client import ChainClient
from settlement_node.chain.context import ChainContext
from settlement_node.demo.audit import Audit, audit
from settlement_node.demo.book import DemoBook, OddCase, write_book
from settlement_node.demo.stage import DevelopmentChain, Stage, set_stage
from settlement_node.desk.intake import ORDERS_MAX, take_in
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.lifecycle import REDEMPTION_ENDED, RedemptionStatus
from settlement_node.errors import InvalidInput, Transient
from settlement_node.node.context import NodeContext
from settlement_node.node.runtime import Node
from settlement_node.node.stages.reconcile import reconcile_fund
from settlement_node.store.book import redemptions
from settlement_node.store.book.funds import add_fund, get_fund
from settlement_node.store.book.orders import ids_of
from settlement_node.store.database import Store, open_engine
from settlement_node.store.migrate import upgrade
from settlement_node.store.telling.attention import count_open_breaks
from settlement_node.units import Payout

CONFIRMATIONS_BLOCKS = 2
PASSES_PER_REDEMPTION = 2
TREASURY_BASE_UNITS = Payout(10**15)


@dataclass(frozen=True, slots=True)
class OddOutcome:
    """An odd case and what came of it in the book."""

    case: OddCase
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The demonstration's figures; `books_agree` decides the exit status."""

    redemptions: int
    settled: int
    held: int
    rejected: int
    breaks: int
    audit: Audit
    odd_outcomes: tuple[OddOutcome, ...]
    seconds: float

    @property
    def books_agree(self) -> bool:
        """Chain and book say the same and every odd case ended as it must."""
        return (
            self.breaks == 0
            and not self.audit.contradictions
            and self.audit.double_paid == 0
            and self.audit.settled_on_chain == self.settled
            and self.settled + self.held + self.rejected == self.redemptions
            and all(o.status == o.case.expected for o in self.odd_outcomes)
        )

    def summary(self) -> dict[str, Any]:
        """The one JSON object of `--json`."""
        return {
            "redemptions": self.redemptions,
            "settled": self.settled,
            "held": self.held,
            "rejected": self.rejected,
            "breaks": self.breaks,
            "double_paid": self.audit.double_paid,
            "transactions": self.audit.transactions,
            "gas_per_redemption": self.audit.gas_per_redemption,
            "seconds": round(self.seconds, 2),
        }


@dataclass(slots=True)
class Demo:
    """A demonstration that is set up: chain staged, orders in the book, node not yet run."""

    chain: DevelopmentChain
    stage: Stage
    book: DemoBook
    node: Node
    store: Store
    duplicate_answer: str
    started: float

    def settle(self, progress: Callable[[dict[RedemptionStatus, int]], None]) -> None:
        """Run passes and mine blocks until every redemption rests; Transient when they do not."""
        limit = 100 + PASSES_PER_REDEMPTION * (len(self.book.orders) + 1)
        resting = REDEMPTION_ENDED | {RedemptionStatus.HELD}
        for _ in range(limit):
            self.node.tick()
            with self.store.read() as tx:
                counts = redemptions.count_by_status(tx, self.stage.fund.fund_id)
            progress(counts)
            if all(n == 0 for status, n in counts.items() if status not in resting):
                return
            self.chain.mine()
        raise Transient(f"redemptions did not come to rest in {limit} passes: {counts}")

    def finish(self) -> DemoResult:
        """Reconcile, audit the chain, and look at each odd case."""
        self.chain.mine(CONFIRMATIONS_BLOCKS)
        self.node.tick()
        fund_id = self.stage.fund.fund_id
        with self.store.read() as tx:
            fund = get_fund(tx, fund_id)
        reconcile_fund(self.node.context, fund)
        found = audit(self.store, self.stage.client, fund_id)
        with self.store.read() as tx:
            counts = redemptions.count_by_status(tx, fund_id)
            breaks = count_open_breaks(tx)
        rejected = 1 if self.duplicate_answer else 0
        return DemoResult(
            redemptions=len(self.book.orders) + 1,
            settled=counts[RedemptionStatus.SETTLED],
            held=counts[RedemptionStatus.HELD],
            rejected=rejected,
            breaks=breaks,
            audit=found,
            odd_outcomes=self._odd_outcomes(),
            seconds=time.monotonic() - self.started,
        )

    def api_context(self) -> NodeContext:
        """A context for the API: the same book, its own connection to the chain, no signers."""
        context, chain_id = self.node.context, self.chain.chain_id
        client = ChainClient(chain_id, [self.chain.transport("api")], now=time.monotonic)
        chains = {chain_id: replace(context.chains[chain_id], client=client)}
        return replace(context, chains=chains, signers={}, node_id="demo-api")

    def _odd_outcomes(self) -> tuple[OddOutcome, ...]:
        with self.store.read() as tx:
            fund = get_fund(tx, self.stage.fund.fund_id)
            ids = ids_of(fund, [case.external_id for case in self.book.odd_cases])
            rows = redemptions.get_many(tx, list(ids.values()))
        outcomes = []
        for case in self.book.odd_cases:
            row = rows.get(ids[case.external_id])
            if case.expected == "rejected":
                reason = self.duplicate_answer
                status = "rejected" if reason else "recorded"
            elif row is None:
                status, reason = "absent", ""
            else:
                reason = f"{row.hold_reason or ''} {row.hold_detail or ''}"
                status = row.status.value
            outcomes.append(OddOutcome(case, status, reason.strip()))
        return tuple(outcomes)


def prepare_demo(
    chain: DevelopmentChain,
    folder: Path,
    *,
    redemptions_count: int,
    confirmed: Callable[[str], None] = lambda what: None,
) -> Demo:
    """Stage the chain, open a fresh SQLite book in `folder`, take the orders in."""
    started = time.monotonic()
    stage = set_stage(
        chain,
        treasury_base_units=TREASURY_BASE_UNITS,
        restrict_payees=True,
        confirmed=confirmed,
    )
    book = write_book(stage, redemptions_count, confirmed=confirmed)
    engine = open_engine(f"sqlite:///{folder / 'demo.sqlite'}")
    upgrade(engine)
    store = Store(engine)
    client = ChainClient(chain.chain_id, [chain.transport("demo")], now=time.monotonic)
    context = NodeContext(
        store=store,
        chains={
            chain.chain_id: ChainContext(
                client,
                FinalityPolicy(FinalityMode.CONFIRMATIONS, CONFIRMATIONS_BLOCKS),
                FeePolicy(),
            )
        },
        signers={(chain.chain_id, stage.operator.address): stage.operator},
        node_id="demo",
    )
    duplicate_answer = _take_in(store, stage, book)
    confirmed(f"{len(book.orders)} approved redemptions in the book")
    return Demo(
        chain=chain,
        stage=stage,
        book=book,
        node=Node(context, sinks=()),
        store=store,
        duplicate_answer=duplicate_answer,
        started=started,
    )


def _take_in(store: Store, stage: Stage, book: DemoBook) -> str:
    """Take the orders in, then the duplicate; returns how the duplicate was refused."""
    with store.transaction(actor="demo") as tx:
        add_fund(tx, stage.fund)
        for start in range(0, len(book.orders), ORDERS_MAX):
            take_in(
                tx,
                stage.fund.fund_id,
                book.orders[start : start + ORDERS_MAX],
                approved_by="fund administrator",
            )
    try:
        with store.transaction(actor="demo") as tx:
            take_in(tx, stage.fund.fund_id, [book.duplicate], approved_by="fund administrator")
    except InvalidInput as error:
        return error.message
    return ""
