"""The node with one endpoint that answers as none should, beside good ones: nothing is held up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from chain_tests.faults.hostile import HostileEndpoint
from chain_tests.marks import on_anvil
from chain_tests.world import Chain, World
from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.endpoints.health import HealthPolicy
from settlement_node.chain.wire.transport import HttpTransport
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd
from tests_support.anvil import AnvilProcess

BLOCKS = 24
ORDERS = 6


@on_anvil
@pytest.mark.parametrize("good_endpoints", [1, 2])
@pytest.mark.parametrize("good_heads", [False, True], ids=["all", "heads are good"])
def test_hostile__one_among_good_ones__everything_settled_once(
    chain: Chain,
    new_world: Callable[..., World],
    good_heads: bool,
    good_endpoints: int,
    figure: Callable[[str], None],
) -> None:
    assert isinstance(chain, AnvilProcess)
    world = new_world(policy=EnginePolicy(batch_items_max=2, replace_after_blocks=4))
    seconds = 0.0
    ends: Counter[PassEnd] = Counter()
    with HostileEndpoint(chain.address, rate=0.5, seed=1, good_heads=good_heads) as hostile:
        client = ChainClient(
            chain.chain_id,
            [
                HttpTransport(hostile.address, name="hostile", timeout_seconds=0.5),
                *(HttpTransport(chain.address, name=f"good-{n}") for n in range(good_endpoints)),
            ],
            now=lambda: seconds,
            policy=PoolPolicy(
                agreement=good_endpoints, health=HealthPolicy(failures_to_quarantine=10**6)
            ),
        )
        world = world.new_node(client=client, node_id="node")
        orders = world.orders(ORDERS)
        started = time.monotonic()
        for number in range(BLOCKS):
            if number % 3 == 0 and orders:
                world.take_in(orders.pop())
            results = world.node.tick()
            ends.update(result.end for result in results)
            assert {result.end for result in results} <= {PassEnd.DONE, PassEnd.LATER}, results
            world.mine()
            seconds += 600.0  # so that it is asked again and again, and first
        passed_seconds = time.monotonic() - started
        hostile.rate = 0.0
        for _ in range(10):
            world.node.tick()
            world.mine()
            seconds += 600.0

    assert {row.status for row in world.rows()} == {RedemptionStatus.SETTLED}
    world.check_books()
    assert hostile.counts.total() >= 10
    figure(
        f"one hostile endpoint beside {good_endpoints}: {hostile.counts.total()}"
        f" spoilt answers, {ends[PassEnd.DONE]} of {BLOCKS} passes whole, {passed_seconds:.0f} s"
    )
