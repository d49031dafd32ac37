"""A node that sees a real chain through endpoints of which one lies, and the truth beside it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from chain_tests.faults.lying import LyingProxy
from chain_tests.faults.proxy import Fault
from chain_tests.world import CONFIRMATIONS_BLOCKS, World
from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.wire.transport import HttpTransport
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.errors import Transient
from settlement_node.node.cycle import PassEnd
from settlement_node.node.runtime import Node
from settlement_node.node.stages.watch import watch
from settlement_node.store.telling.attention import open_alerts
from tests_support.anvil import AnvilProcess
from tests_support.lies import Liar

S = RedemptionStatus
LIAR = "liar"
BLOCK_SECONDS = 60.0
"""So that a quarantined endpoint comes back, and lies again, within a few blocks."""
REST_BLOCKS_MAX = 25
FEE_MAX_WEI = 100 * 10**9
"""Far above the market of these tests, and far below a thousand times it."""
MakeWorld = Callable[..., World]


@dataclass(slots=True)
class Scene:
    """A world whose node has these endpoints, on a clock of blocks. With `drops` nothing that the
    node sends is ever mined."""

    world: World
    proxies: list[LyingProxy]
    ends: Counter[PassEnd] = field(default_factory=Counter)
    seconds: float = 0.0
    drops: bool = False

    @property
    def liar(self) -> Liar:
        """The one endpoint's."""
        return next(proxy.liar for proxy in self.proxies if proxy.name == LIAR)

    def busy(self, name: str, *, is_busy: bool) -> None:
        """Whether an endpoint answers everything with HTTP 429."""
        plan = next(proxy.plan for proxy in self.proxies if proxy.name == name)
        plan.rates = {Fault.TOO_MANY_REQUESTS: 1.0} if is_busy else {}

    def enter(self, count: int, prefix: str) -> list[str]:
        """Orders of investors who hold twice what they redeem: a second burn would succeed."""
        orders = self.world.orders(count, prefix)
        for order in orders:
            self.world.stage.give_shares({order.investor_address: order.shares_base_units})
        self.world.take_in(*orders)
        return [order.external_id for order in orders]

    def block(self, count: int = 1) -> None:
        """That often: a pass, a look at book and chain, a block."""
        for _ in range(count):
            results = self.world.node.tick()
            self.ends.update(result.end for result in results)
            with suppress(Transient):
                self.world.reconcile()
            if self.drops:
                self.world.drop_pending()
            self.world.mine()
            self.seconds += BLOCK_SECONDS

    def paid_on_chain(self) -> Counter[str]:
        """How often each redemption was paid, by the chain's own logs."""
        client, fund = self.world.client, self.world.stage.fund
        head = client.refresh().head.number
        events = client.settler_events([fund.settler_address], from_block=0, to_block=head)
        return Counter(
            event.redemption_id_hex for event in events if isinstance(event, RedemptionSettledEvent)
        )

    def check_nothing_false(self) -> None:
        """Nobody is paid twice, nothing is booked that the chain does not show, nothing is a break,
        and the lane stands."""
        paid = self.paid_on_chain()
        booked = {
            row.redemption_id for row in self.world.rows() if row.status in (S.PAID, S.SETTLED)
        }
        assert [] == [name for name, times in paid.items() if times > 1]
        assert set() == booked - paid.keys()
        assert [] == self.world.breaks()
        assert not self.world.lane_row().paused
        assert set(self.ends) <= {PassEnd.DONE, PassEnd.LATER}

    def check_fees(self) -> None:
        """No attempt offers what the lie would have."""
        for row in self.world.rows():
            with suppress(IndexError):
                for attempt in self.world.attempts_of(row.external_id):
                    assert attempt.max_fee_per_gas_wei < FEE_MAX_WEI

    def safe_number(self) -> int:
        """The chain's own safe block."""
        assert isinstance(self.world.chain, AnvilProcess)
        return int(self.world.chain.rpc("eth_getBlockByNumber", "safe", False)["number"], 16)

    def is_settled(self) -> bool:
        """Whether every order is."""
        return all(row.status is S.SETTLED for row in self.world.rows())

    def come_to_rest(self) -> None:
        """Within a bounded number of blocks everything is settled, with nothing left behind."""
        for _ in range(REST_BLOCKS_MAX):
            if self.is_settled():
                break
            self.block()
            self.check_nothing_false()
        statuses = Counter(row.status.value for row in self.world.rows())
        assert {"settled"} == set(statuses), (statuses, self.world.lane.unscanned)
        self.block(CONFIRMATIONS_BLOCKS)
        assert {} == self.world.lane.unscanned
        self.world.check_books()

    def blamed(self) -> set[str]:
        """The endpoints whose answers were shown to be false: as health has them, and as alerts."""
        chain_id = self.world.chain.chain_id
        client = self.world.node.context.chains[chain_id].client
        names = {item.name for item in client.health() if item.contradiction is not None}
        watch(self.world.node.context, [self.world.lane])
        with self.world.store.read() as tx:
            alerts = open_alerts(tx)
        told = {alert["subject"] for alert in alerts if alert["kind"] == "endpoint_contradicted"}
        assert told == {f"{chain_id}:{name}" for name in names}
        return names


@contextmanager
def lying_scene(
    chain: AnvilProcess,
    new_world: MakeWorld,
    *names: str,
    agreement: int = 2,
    mode: FinalityMode = FinalityMode.CONFIRMATIONS,
) -> Iterator[Scene]:
    """A scene with endpoints of these names, in this order, of which `liar` can be told to lie."""
    world = new_world(policy=EnginePolicy(batch_items_max=2, replace_after_blocks=6))
    depth = CONFIRMATIONS_BLOCKS if mode is FinalityMode.CONFIRMATIONS else 0
    context = world.node.context
    rules = dataclasses.replace(
        context.chains[chain.chain_id], finality=FinalityPolicy(mode, depth)
    )
    world.node = Node(dataclasses.replace(context, chains={chain.chain_id: rules}))
    with ExitStack() as stack:
        scene = Scene(
            world,
            [stack.enter_context(LyingProxy(chain.address, name=name)) for name in names],
        )
        client = ChainClient(
            chain.chain_id,
            [HttpTransport(proxy.address, name=proxy.name) for proxy in scene.proxies],
            now=lambda: scene.seconds,
            policy=PoolPolicy(agreement=agreement),
        )
        scene.world = world.new_node(client=client, node_id="node")
        yield scene
