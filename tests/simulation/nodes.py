"""A node of the run: the real `Node` with the real stages, which can die, stand still and come
back. Every start is a new process to the rest of the world, with a name nobody had before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from settlement_node.chain.client import ChainClient
from settlement_node.chain.context import ChainContext
from settlement_node.node.context import NodeContext
from settlement_node.node.cycle import PassEnd, PassResult
from settlement_node.node.runtime import Node
from settlement_node.node.stages.retain import retain
from settlement_node.store.fence import Fence
from tests.simulation.database import LANE_TABLES, TROUBLE, SimStore
from tests.simulation.scenario import CHAIN_ID
from tests.simulation.signer import SimSigner
from tests.simulation.transport import SimTransport

if TYPE_CHECKING:
    from tests.simulation.world import World

LEASE_SECONDS = 30.0
PAUSE_SECONDS = 45.0
DATABASE_TROUBLES = (
    "commit_refused",
    "commit_unanswered",
    "database_busy",
    "statement_failed",
)


class SimulatedCrash(BaseException):
    """The process is gone, here and now. Nothing but the run may catch it."""


class Taker:
    """A consumer of events: sees that none is passed over, whichever node hands them over."""

    name = "taker"
    from_now = False

    def __init__(self, world: World) -> None:
        self.world = world

    def deliver(self, events: Sequence[sa.RowMapping]) -> None:
        """Take events in order."""
        self.world.checker.handed_over([event["event_id"] for event in events])


class SimNode:
    """One place where a node runs."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.incarnation = 0
        self.ticks = 0
        self.clock_skew = 0.0
        self.dead_until = -1.0
        self.standing_still = False
        self.ended: list[PassResult] = []
        self.node: Node | None = None

    @property
    def node_id(self) -> str:
        """A name no other process has."""
        return f"{self.name}.{self.incarnation}"

    def start(self) -> None:
        """A new process: nothing in memory, everything in the book."""
        world = self.world
        self.incarnation += 1
        self.store = SimStore(
            wall_seconds=lambda: world.seconds + self.clock_skew,
            database_seconds=lambda: world.seconds,
            around=self._around_commit,
            trouble=self._database_trouble,
            statement=lambda: world.rng.randrange(12),
        )
        signer = SimSigner(world.faults, world.pass_time)
        context = NodeContext(
            store=self.store,
            chains=self._chains(),
            signers={(CHAIN_ID, signer.address): signer},
            node_id=self.node_id,
            policy=world.scenario.policy,
            lease_seconds=LEASE_SECONDS,
            checkpoint=lambda name: self.around(f"checkpoint.{name}"),
        )
        background = replace(context, chains=self._chains())
        self.node = Node(context, background=background, sinks=(Taker(world),))

    def _chains(self) -> dict[int, ChainContext]:
        world = self.world
        transports = [
            SimTransport(world, endpoint, self.around) for endpoint in world.endpoints.all
        ]
        client = ChainClient(CHAIN_ID, transports, now=lambda: world.seconds)
        return {CHAIN_ID: ChainContext(client, world.scenario.finality, world.scenario.fees)}

    def run(self) -> None:
        """One turn of the scheduler, or a restart when one is due."""
        world = self.world
        if self.standing_still:
            return
        if self.node is None:
            if world.seconds < self.dead_until:
                return
            world.note(f"{self.name} starts")
            self.start()
        assert self.node is not None
        if world.faults.hits("clock_jump"):
            self.clock_skew = world.rng.uniform(-7200.0, 7200.0)
        self.ticks += 1
        try:
            self._turn(self.node)
            if world.faults.hits("clean_restart"):
                self.node.stop()
                self._gone(0.0)
        except SimulatedCrash:
            world.crashes += 1
            self._gone(world.rng.uniform(0.0, 60.0))

    def _turn(self, node: Node) -> None:
        # The scheduler's jobs, each at its own pace, in the order their intervals give.
        if self.ticks % 2 or not node.lanes:
            node._run("leases", node._leases)
        self.ended = node.run_passes()
        for result in self.ended:
            self.world.passed(self, result)
        for sink in node.sinks:
            self._sometimes(3, "deliver", partial(node._deliver, sink))
        self._sometimes(5, "watch", node._watch)
        self._sometimes(7, "reconcile", node._reconcile)
        self._sometimes(20, "health", node.note_health)
        self._sometimes(40, "retain", lambda: retain(node.context))

    def _sometimes(self, every: int, name: str, work: Callable[[], object]) -> None:
        if self.ticks % every == 0:
            assert self.node is not None
            self.node._run(name, work)

    def _gone(self, seconds: float) -> None:
        self.world.note(f"{self.name} gone")
        self.node = None
        self.dead_until = self.world.seconds + seconds

    def around(self, point: str) -> None:
        """A checkpoint or a call: the node may die here, stand still, or be meddled with."""
        world = self.world
        if point.startswith("request"):
            world.checker.no_open_transaction(point)
            if world.faults.hits("crash_at_request"):
                self._die(point)
            return
        if world.faults.hits("crash_at_checkpoint"):
            self._die(point)
        if world.nested or world.checker.in_transaction():
            return
        if world.faults.hits("node_paused"):
            self._stand_still(point)
        elif world.faults.hits("meddling"):
            world.meddle()

    def _die(self, point: str) -> None:
        self.world.note(f"{self.name} dies at {point}")
        raise SimulatedCrash(point)

    def _stand_still(self, point: str) -> None:
        """The process is frozen past its lease; the world goes on; then it carries on as if
        nothing had been. Half of the time its lease is renewed by the other thread meanwhile."""
        world = self.world
        world.note(f"{self.name} stands still at {point}")
        self.standing_still = True
        try:
            world.pass_time(PAUSE_SECONDS)
            world.go_on_meanwhile(world.rng.randint(1, 4))
        finally:
            self.standing_still = False
        if world.rng.random() < 0.3 and self.node is not None:
            node = self.node
            node._run("leases", node._leases)

    def _database_trouble(self) -> str | None:
        trouble = self.world.faults.pick(DATABASE_TROUBLES)
        if trouble is not None:
            self.world.faults.count(trouble)
        return trouble

    def _around_commit(self, point: str, fence: Fence | None) -> None:
        world = self.world
        if point == "commit.before" and TROUBLE.written & LANE_TABLES:
            world.checker.lane_written(self.node_id, fence, sorted(TROUBLE.written))
        if point != "begin" and world.faults.hits("crash_at_commit"):
            self._die(point)

    @property
    def failed(self) -> bool:
        """Whether the last turn ended in a way no fault explains."""
        return any(result.end is PassEnd.FAILED for result in self.ended)
