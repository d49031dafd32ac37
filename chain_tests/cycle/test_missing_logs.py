"""An endpoint that leaves whole transactions out of the logs: seen before anything is planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from chain_tests.world import World, new_client
from settlement_node.chain.transport import RpcOk, RpcRequest, RpcResult, Transport
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd
from settlement_node.store.database import Store
from settlement_node.units import Hex32

S = RedemptionStatus


@dataclass(slots=True)
class Forgetful:
    """The chain's endpoint, without the logs of some transactions."""

    inner: Transport
    forgotten: set[Hex32] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        return [
            RpcOk([log for log in answer.value if log["transactionHash"] not in self.forgotten])
            if asked.method == "eth_getLogs" and isinstance(answer, RpcOk)
            else answer
            for asked, answer in zip(requests, self.inner.request(requests), strict=True)
        ]


@pytest.mark.parametrize("which", ["middle", "newest"])
def test_scan__a_whole_batch_left_out__nothing_planned_until_it_is_read(
    world: World, backup: Callable[[], Store], which: str
) -> None:
    empty = backup()
    batches = [world.orders(2, "middle"), world.orders(2, "newest")]
    for orders in batches:
        world.take_in(*orders)
        world.settle()
    world.check_books()
    names = [order.external_id for orders in batches for order in orders]
    mined = world.transaction_of(f"{which}-0").mined_attempt_hash
    assert mined is not None

    endpoint = Forgetful(world.chain.transport("node"), {mined})
    again = world.new_node(store=empty, client=new_client(world.chain, [endpoint]), node_id="node")
    for orders in batches:
        again.take_in(*orders)
    again.tick(PassEnd.LATER)
    again.step(2, PassEnd.LATER)
    assert again.unfinal() == []
    assert S.SETTLING not in again.statuses(names)
    assert S.HELD not in again.statuses(names)

    endpoint.forgotten.clear()
    again.settle()
    assert again.statuses(names) == [S.SETTLED] * 4
    again.check_books()
