"""Two endpoints of which every seventh read fails: the lane goes on all the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from chain_tests.world import World, new_client
from settlement_node.chain.wire.transport import (
    RpcError,
    RpcRequest,
    RpcResult,
    Transport,
    TransportFailed,
)
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd

ORDERS = 8
RATE = 0.15


@dataclass(slots=True)
class Failing:
    """The chain's endpoint, whose reads fail now and then: whole batches or single answers."""

    inner: Transport
    whole: bool
    chance: random.Random
    rate: float = RATE
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        self.counts["asked"] += 1
        is_read = all(item.method != "eth_sendRawTransaction" for item in requests)
        if is_read and self.whole and self.chance.random() < self.rate:
            self.counts["failed"] += 1
            raise TransportFailed(f"endpoint {self.name} gave no answer (HTTP 429)")
        answers = self.inner.request(requests)
        if not is_read or self.whole:
            return answers
        return [
            RpcError(-32005, "too many requests") if self._fails() else answer for answer in answers
        ]

    def _fails(self) -> bool:
        fails = self.chance.random() < self.rate
        self.counts["failed"] += fails
        return fails


@pytest.mark.parametrize("whole", [True, False], ids=["requests", "single answers"])
def test_reads__every_seventh_fails_at_both_endpoints__the_lane_goes_on(
    world: World, *, whole: bool, figure: Callable[[str], None]
) -> None:
    endpoints = [
        Failing(world.chain.transport(f"endpoint-{number}"), whole, random.Random(number))
        for number in range(2)
    ]
    node = world.new_node(client=new_client(world.chain, endpoints), node_id="node")
    ends: Counter[PassEnd] = Counter()
    orders = node.orders(ORDERS)
    node.take_in(*orders)
    for _ in range(24):
        ends.update(result.end for result in node.node.tick())
        node.mine()

    settled = node.statuses([order.external_id for order in orders])
    asked = sum(endpoint.counts["asked"] for endpoint in endpoints)
    figure(
        f"reads failing at {RATE:.0%} ({'requests' if whole else 'single answers'}):"
        f" {ends[PassEnd.DONE]} of {ends.total()} passes whole, {asked} questions"
    )
    assert settled == [RedemptionStatus.SETTLED] * ORDERS
    assert set(ends) <= {PassEnd.DONE, PassEnd.LATER}
    assert ends[PassEnd.DONE] >= ends.total() * 3 // 4
    node.check_books()
