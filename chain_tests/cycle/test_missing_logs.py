"""An endpoint that leaves whole transactions out of the logs: seen before anything is planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from chain_tests.world import World, new_client
from settlement_node.chain.contracts.settler import BATCH_HASH_CALL
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest, RpcResult, Transport
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd
from settlement_node.store.database import Store
from settlement_node.units import Hex32

S = RedemptionStatus
RATCHET = "0x" + BATCH_HASH_CALL.hex()


@dataclass(slots=True)
class Forgetful:
    """The chain's endpoint, without the logs of some transactions; for a while it does not say
    either where a settler's ratchet stands."""

    inner: Transport
    forgotten: set[Hex32] = field(default_factory=set)
    hides_ratchet: bool = False

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        return [
            RpcOk([log for log in answer.value if log["transactionHash"] not in self.forgotten])
            if asked.method == "eth_getLogs" and isinstance(answer, RpcOk)
            else RpcError(-32000, "missing trie node")
            if self.hides_ratchet
            and asked.method == "eth_call"
            and asked.params[0]["data"] == RATCHET
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


def test_scan__a_batch_left_out_and_the_ratchet_not_answered__looked_at_in_the_next_pass_too(
    world: World, backup: Callable[[], Store]
) -> None:
    """No block comes in between: what was read in the first pass is not whole for all that."""
    empty = backup()
    endpoint = Forgetful(world.chain.transport("node"))
    again = world.new_node(store=empty, client=new_client(world.chain, [endpoint]), node_id="node")
    again.tick()
    world.take_in(*world.orders(2))
    world.settle()
    mined = world.transaction_of("order-0").mined_attempt_hash
    assert mined is not None

    endpoint.forgotten, endpoint.hides_ratchet = {mined}, True
    again.tick(PassEnd.LATER)
    endpoint.hides_ratchet = False
    assert "are incomplete" in str(again.tick(PassEnd.LATER).reason)
