"""One run: chain, endpoints, database, nodes and people, stepped by one seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from random import Random

import structlog

from settlement_node.chain.contracts.settler import encode_settle
from settlement_node.domain.observations import SettleItem
from settlement_node.node.cycle import PassEnd, PassResult
from settlement_node.store.database import Tx
from settlement_node.store.engine.lanes import get_lane
from settlement_node.store.rows import LaneRow
from settlement_node.units import ZERO_HASH, redemption_id_of
from tests.simulation.chain.blocks import Block
from tests.simulation.chain.chain import GENESIS_SECONDS, SimChain
from tests.simulation.chain.transactions import Transaction
from tests.simulation.checker import Checker, Violation
from tests.simulation.database import SimStore, restore, snapshot, start_afresh
from tests.simulation.endpoints import Endpoints
from tests.simulation.faults import REGISTRY, Faults
from tests.simulation.mining import Miner
from tests.simulation.nodes import SimNode
from tests.simulation.people import People, Wish
from tests.simulation.scenario import (
    CHAIN_ID,
    TERMS,
    Scenario,
    account,
    draw,
    genesis_state,
    shown,
    write_book,
)
from tests.simulation.signer import lane_key
from tests_support.book import payout_of

SNAPSHOT_EVERY_STEPS = 8


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    steps: int
    redemptions: int
    settled: int
    crashes: int
    reorgs: int
    faults: dict[str, int]
    violations: list[Violation]
    stopped: str | None
    restored: int
    trace_hash: str
    trace: list[str] = field(default_factory=list)
    faults_until: int | None = None


class World:
    """Everything of one run. `nested` is true while a node stands still and the rest goes on."""

    def __init__(
        self,
        seed: int,
        *,
        steps: int = 90,
        with_faults: bool = True,
        naive_settler: bool = False,
        stop_after_step: int | None = None,
        keep_trace: bool = False,
        watched: frozenset[str] | None = None,
        faults: tuple[str, ...] | None = None,
        scenario: Scenario | None = None,
    ) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.scenario = scenario or draw(
            self.rng, steps=steps, with_faults=with_faults, naive_settler=naive_settler
        )
        if faults is not None:
            rates = {name: REGISTRY[name].rate for name in faults}
            self.scenario = replace(self.scenario, rates=rates)
        self.faults = Faults(self.rng, self.scenario.rates, stop_after_step=stop_after_step)
        self.seconds = float(GENESIS_SECONDS)
        self.nested = False
        self.crashes = 0
        self.reorgs = 0
        self.restores = 0
        self.deep_reorganisation = False
        self.stranger_sent = False
        self.stopped: str | None = None
        self.wishes: list[Wish] = []
        self.trace: list[str] = []
        self._keep_trace = keep_trace
        self.watched = watched
        self._hash = hashlib.blake2b(digest_size=16)
        self.least_depth = self.scenario.finality_blocks
        self.chain = SimChain(
            CHAIN_ID, genesis_state(self.scenario), gas_limit=self.scenario.block_gas_limit
        )
        self.endpoints = Endpoints(
            self.chain,
            self.rng,
            self.faults,
            count=self.scenario.endpoints,
            finality_blocks=self.scenario.finality_blocks,
        )
        self.checker = Checker(self)
        self.miner = Miner(self)
        start_afresh()
        self.store = SimStore(
            wall_seconds=lambda: self.seconds,
            database_seconds=lambda: self.seconds,
            around=lambda point, fence: None,
            trouble=self._people_trouble,
            statement=lambda: 0,
        )
        write_book(self.scenario, self.store)
        self.people = People(self)
        self._write_past()
        self.backups = [snapshot()]
        self.nodes = [SimNode(self, f"node-{n}") for n in range(self.scenario.nodes)]

    # What everybody uses

    def note(self, words: str) -> None:
        """A line of the trace."""
        line = f"{self.faults.step} {words}"
        self._hash.update(line.encode())
        if self._keep_trace:
            self.trace.append(line)

    def pass_time(self, seconds: float) -> None:
        """Virtual time goes by."""
        self.seconds += seconds

    def sent(self, raw: bytes, endpoint: str) -> None:
        """A node hands bytes to an endpoint."""
        if self.checker.sent(raw) is None:
            return
        transaction = self.miner.remember(raw)
        self.note(f"sent {transaction.nonce} {transaction.hash_hex[:10]} to {endpoint}")

    def passed(self, node: SimNode, result: PassResult) -> None:
        """A pass ended."""
        self.note(f"{node.name} {result.end.value} {result.moved} {result.reason or ''}")
        if result.end is PassEnd.FAILED:
            self.checker.violation("pass_failed", result.reason or "")
        elif result.end is PassEnd.STOPPED:
            why = result.reason or ""
            if self.deep_reorganisation or self.stranger_sent or self.restores:
                self.stopped = why
            else:
                self.checker.violation("stopped_without_cause", why)

    def lane_row(self, tx: Tx) -> LaneRow | None:
        """The lane in the book."""
        return get_lane(tx, CHAIN_ID, lane_key().address)

    def meddle(self) -> None:
        """Something happens between two steps of a stage."""
        self.nested = True
        try:
            if self.rng.random() < 0.5:
                self.people.meddle()
            else:
                self.miner.step()
                self.endpoints.step(self.faults.step)
        finally:
            self.nested = False

    def go_on_meanwhile(self, steps: int) -> None:
        """Some steps of everybody but the node that stands still."""
        self.nested = True
        try:
            for _ in range(steps):
                self._turn()
        finally:
            self.nested = False

    # The run

    def run(self) -> Outcome:
        """All steps, then calm, then the last look."""
        self.faults.active = True
        for number in range(self.scenario.steps):
            self.faults.step = number
            self.people.step(number)
            self._turn()
            self._look(number)
            if self.checker.found:
                break
        else:
            from tests.simulation.calm import calm_down

            calm_down(self)
        return self._outcome()

    def _turn(self) -> None:
        self.pass_time(self.rng.uniform(3.0, 14.0))
        self.miner.step()
        self.endpoints.step(self.faults.step)
        for node in self.nodes:
            node.run()

    def _look(self, number: int) -> None:
        self.checker.check()
        if number % SNAPSHOT_EVERY_STEPS == 0:
            self.backups.append(snapshot())
        if number > SNAPSHOT_EVERY_STEPS and self.faults.hits("database_restored"):
            self.restore_backup()

    def restore_backup(self) -> None:
        """Every node is stopped, the book is replaced by an older one, people enter their orders
        again, and the nodes start anew."""
        self.restores += 1
        for node in self.nodes:
            node.node = None
            node.dead_until = self.seconds
        kept = self.rng.randrange(len(self.backups))
        restore(self.backups[kept])
        del self.backups[kept + 1 :]
        self.checker.restored()
        self.note(f"book restored to backup {kept}")
        entered = self.people.reenter_all()
        self.note(f"{entered} orders entered again")

    def _people_trouble(self) -> str | None:
        if self.faults.active and self.faults.hits("commit_unanswered"):
            return "commit_unanswered"
        return None

    def _write_past(self) -> None:
        """What the old settlers paid before this book began, in the first block."""
        past: list[Wish] = []
        for fund in self.scenario.funds:
            items = []
            paid_before = [
                p for p in self.scenario.orders if p.paid_before and p.fund_id == fund.fund_id
            ]
            for index, planned in enumerate(paid_before):
                order = planned.order
                price = payout_of(order.shares_base_units, TERMS)
                items.append(
                    SettleItem(
                        redemption_id_of(
                            chain_id=CHAIN_ID,
                            share_token_address=shown(fund.share),
                            external_id=order.external_id,
                        ),
                        index,
                        order.investor_address,
                        order.payee_address,
                        order.shares_base_units,
                        price,
                    )
                )
            if items:
                data = encode_settle(ZERO_HASH, items)
                past.append(Wish(account("past operator"), fund.old_settler, data))
        self.wishes += past
        self.miner.mine()
        self.endpoints.calm()

    def _outcome(self) -> Outcome:
        state = self.chain.head.state
        paid = [state.get(("paid", bytes.fromhex(i[2:]))) for i in self.people.entered]
        return Outcome(
            seed=self.seed,
            steps=self.faults.step,
            redemptions=len(self.people.entered),
            settled=sum(1 for times in paid if times),
            crashes=self.crashes,
            reorgs=self.reorgs,
            faults=dict(self.faults.counts),
            violations=self.checker.found,
            stopped=self.stopped,
            restored=self.restores,
            trace_hash=self._hash.hexdigest(),
            trace=self.trace,
        )


def silence_logs() -> None:
    """The stages' own log lines cost time and say nothing the trace does not."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


__all__ = ["Block", "Outcome", "Transaction", "World", "silence_logs"]
