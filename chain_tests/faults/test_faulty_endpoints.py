"""The node behind two endpoints that fail in every way: everything is settled, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from chain_tests.faults.proxy import Fault, FaultPlan, FaultyProxy
from chain_tests.marks import on_anvil
from chain_tests.world import Chain, World
from settlement_node.chain.client import ChainClient
from settlement_node.chain.wire.transport import HttpTransport
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd
from tests_support.anvil import AnvilProcess

S = RedemptionStatus
BLOCK_SECONDS = 12.0
FAULTY_BLOCKS = 18
ORDERS = 6
SPIKED_BLOCKS = (3, 9)
SPIKE_WEI = 40 * 10**9
ALONE = {
    Fault.LOST_ANSWER: 0.25,
    Fault.REFUSED: 0.25,
    Fault.TOO_MANY_REQUESTS: 0.25,
    Fault.UNAVAILABLE: 0.25,
    Fault.NOT_JSON: 0.25,
    Fault.RECEIPT_ERROR: 0.6,
    Fault.RECEIPT_NULL: 0.6,
    Fault.STALE_HEAD: 0.08,
    Fault.WRONG_CHAIN: 0.2,
    Fault.MEMPOOL_DROP: 0.6,
    Fault.LOGS_CUT: 0.6,
}
"""Rates at which the node still gets somewhere while the fault lasts."""
TOGETHER = {fault: rate / 10 for fault, rate in ALONE.items()} | {
    Fault.RECEIPT_ERROR: 0.2,
    Fault.RECEIPT_NULL: 0.2,
    Fault.MEMPOOL_DROP: 0.3,
    Fault.LOGS_CUT: 0.2,
}


@dataclass(slots=True)
class Faulty:
    """A world whose node sees the chain through two faulty endpoints, on a clock of blocks."""

    world: World
    plan: FaultPlan
    ends: Counter[PassEnd]
    seconds: float = 0.0

    def block(self, *, spike: bool = False) -> None:
        """A pass and a block; a spike makes it an empty and a dear one."""
        assert isinstance(self.world.chain, AnvilProcess)
        self.ends.update(result.end for result in self.world.node.tick())
        if spike:
            self.world.chain.set_next_base_fee(SPIKE_WEI)
        self.world.mine()
        self.seconds += BLOCK_SECONDS

    def run(self, *, spikes: bool) -> None:
        """All the faulty blocks, with orders coming in meanwhile."""
        orders = self.world.orders(ORDERS)
        for number in range(FAULTY_BLOCKS):
            if number % 3 == 0:
                self.world.take_in(orders.pop())
            self.block(spike=spikes and number in SPIKED_BLOCKS)
        # Within faults a pass may end early, and no other way.
        assert set(self.ends) <= {PassEnd.DONE, PassEnd.LATER}, self.ends

    def recover(self) -> None:
        """The faults are over: within a bounded number of blocks everything rests."""
        self.plan.on = False
        assert isinstance(self.world.chain, AnvilProcess)
        self.world.chain.set_next_base_fee(10**9)
        self.seconds += 3_600  # quarantines are over as well
        self.world.mine()
        for _ in range(40):
            self.block()
            if all(row.status is S.SETTLED for row in self.world.rows()):
                return
        counts = Counter(row.status.value for row in self.world.rows())
        raise AssertionError(
            f"not at rest after the faults: {counts}, breaks {self.world.breaks()}"
        )


MakeFaulty = Callable[[dict[Fault, float], int], Faulty]


@pytest.fixture
def faulty(chain: Chain, new_world: Callable[..., World]) -> Iterator[MakeFaulty]:
    with ExitStack() as stack:

        def make(rates: dict[Fault, float], seed: int) -> Faulty:
            assert isinstance(chain, AnvilProcess)
            plan = FaultPlan(rates, seed)
            world = new_world(policy=EnginePolicy(batch_items_max=2, replace_after_blocks=2))
            made = Faulty(world, plan, Counter())
            proxies = [
                stack.enter_context(FaultyProxy(chain.address, name=f"proxy-{n}", plan=plan))
                for n in range(2)
            ]
            client = ChainClient(
                chain.chain_id,
                [HttpTransport(proxy.address, name=proxy.name) for proxy in proxies],
                now=lambda: made.seconds,
            )
            made.world = world.new_node(client=client, node_id="node")
            return made

        yield make


@on_anvil
@pytest.mark.parametrize("fault", list(ALONE))
def test_faults__one_kind_alone__everything_settled_once(faulty: MakeFaulty, fault: Fault) -> None:
    made = faulty({fault: ALONE[fault]}, 1)
    made.run(spikes=False)
    made.recover()

    assert made.plan.counts[fault] >= 1
    assert {row.status for row in made.world.rows()} == {S.SETTLED}
    made.world.check_books()


@on_anvil
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faults__all_kinds_together_with_fee_spikes__everything_settled_once(
    faulty: MakeFaulty, seed: int, figure: Callable[[str], None]
) -> None:
    made = faulty(TOGETHER, seed)
    made.run(spikes=True)
    made.recover()

    found = made.world.check_books()
    assert found.settled_on_chain == ORDERS
    kinds = {fault for fault, count in made.plan.counts.items() if count}
    assert len(kinds) >= 6
    replaced = sum(len(made.world.attempts_of(row.external_id)) > 1 for row in made.world.rows())
    figure(
        f"faulty endpoints, seed {seed}: {made.plan.counts.total()} faults of {len(kinds)} kinds,"
        f" {replaced} of {ORDERS} orders in replaced transactions"
    )


@on_anvil
def test_faults__same_seed__same_faults_in_the_same_places(chain: Chain) -> None:
    assert isinstance(chain, AnvilProcess)
    asked = b'{"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}'
    runs = []
    for seed in (7, 7, 8):
        with FaultyProxy(chain.address, name="one", plan=FaultPlan(TOGETHER, seed)) as proxy:
            runs.append([proxy.answer(asked) for _ in range(60)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@on_anvil
def test_faults__replacements__never_below_the_strict_limit(faulty: MakeFaulty) -> None:
    """The proxy refuses less than an eighth more, strictly; no replacement of ours is refused."""
    made = faulty({}, 1)
    made.run(spikes=True)
    made.recover()

    attempts = [made.world.attempts_of(row.external_id) for row in made.world.rows()]
    assert any(len(of_one) > 1 for of_one in attempts)
    assert made.plan.counts[Fault.STRICT_REPLACEMENT] == 0
    made.world.check_books()
