"""Somebody else holds the key: the lane stops, and nothing is sent after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from chain_tests.marks import both_chains
from chain_tests.world import CONFIRMATIONS_BLOCKS, World, new_client
from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.chain.wire.transport import RpcOk, RpcRequest, RpcResult, Transport
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.node.cycle import PassEnd
from settlement_node.node.stages import track
from settlement_node.store.engine import transactions
from settlement_node.units import Wei

S = RedemptionStatus
GWEI = 10**9


def foreign(world: World, nonce: int, *, fee_wei: int = 50 * GWEI) -> SignedTransaction:
    """A transfer under the lane's key that the node knows nothing of."""
    return world.stage.operator.sign(
        TransactionFields(
            chain_id=world.chain.chain_id,
            nonce=nonce,
            to_address=world.stage.deployer.address,
            data=b"",
            value_wei=Wei(1),
            gas_limit=21_000,
            max_fee_per_gas_wei=Wei(fee_wei),
            max_priority_fee_per_gas_wei=Wei(fee_wei),
        )
    )


def polls_until_stopped(world: World) -> None:
    """A foreign transaction is believed once it is final, and not before."""
    theirs = foreign(world, 0).hash_hex
    world.client.refresh()
    receipt = world.client.receipts([theirs])[theirs]
    assert receipt is not None
    for _ in range(CONFIRMATIONS_BLOCKS + 2):
        for _ in range(4):
            (result,) = world.node.tick()
            if result.end is PassEnd.STOPPED:
                assert world.lane.head.final_number >= receipt.block_number
                return
        world.mine()
    raise AssertionError("the lane did not stop")


@both_chains
def test_stranger__foreign_transaction_mined_at_our_nonce__lane_stops_and_nothing_is_sent_again(
    world: World,
) -> None:
    names = world.enter(2)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.send_raw(foreign(world, 0).raw)
    world.mine()

    polls_until_stopped(world)
    assert world.lane_row().paused
    assert world.breaks() == ["stranger_at_nonce"]
    assert world.statuses(names) == [S.SETTLING] * 2
    later = world.enter(1, "later")
    for _ in range(4):
        world.mine()
        world.node.tick()
    assert world.statuses(later) == [S.APPROVED]
    assert world.client.nonce(world.stage.operator.address) == 1
    assert [a.attempt_hash for a in world.attempts_of(names[0])] == [attempt.attempt_hash]
    assert world.breaks() == ["stranger_at_nonce"]


def test_stranger__lane_stopped_for_many_passes__said_once_and_by_which_worker(
    world: World,
) -> None:
    world.enter(1)
    world.tick()
    world.send_raw(foreign(world, 0).raw)
    world.mine()
    # Captured with the worker that the node binds around a pass.
    with capture_logs(processors=[merge_contextvars]) as entries:
        polls_until_stopped(world)
        for _ in range(3):
            world.node.tick()
    stops = [entry for entry in entries if entry["event"] == "lane_stopped"]
    assert [f"lane {world.lane.key}"] == [entry["worker"] for entry in stops]


@both_chains
def test_stranger__only_seen_once_then_gone__lane_goes_on(world: World) -> None:
    """A foreign transaction that a reorganisation takes away before it was believed."""
    names = world.enter(2)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    world.send_raw(foreign(world, 0).raw)
    world.mine()
    world.tick()
    world.tick()

    world.remine(1, [(attempt.raw, 0)])
    world.tick()
    assert world.statuses(names) == [S.PAID] * 2
    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 2
    world.check_books()


@both_chains
def test_stranger__used_a_nonce_the_book_never_gave__next_start_refuses_to_plan(
    world: World,
) -> None:
    world.tick()
    world.send_raw(foreign(world, 0).raw)
    world.mine()
    names = world.enter(1)
    world.mine(CONFIRMATIONS_BLOCKS)

    again = world.new_node(node_id=world.context().node_id)
    again.tick(PassEnd.STOPPED)
    assert again.breaks() == ["stranger_at_nonce"]
    again.mine()
    again.tick(PassEnd.STOPPED)
    assert again.statuses(names) == [S.APPROVED]
    assert again.unfinal() == []
    assert again.client.nonce(again.stage.operator.address) == 1


def test_stranger__took_the_nonce_while_the_node_runs__batch_is_not_moved_to_another(
    world: World,
) -> None:
    """The rule that general relayers break: a nonce too low is no reason for a new nonce."""
    world.tick()
    world.send_raw(foreign(world, 0).raw)
    world.mine()
    names = world.enter(1)

    world.tick()
    assert world.statuses(names) == [S.SETTLING]
    polls_until_stopped(world)
    assert [row.nonce for row in world.unfinal()] == [0]
    assert len(world.attempts_of(names[0])) == 1
    assert world.status(names[0]) is S.SETTLING


def test_stranger__batches_behind_the_foreign_nonce__revert_and_are_not_planned_again(
    world: World,
) -> None:
    """The second batch follows a hash the settler never had; its order is free again, and waits."""
    first, second = world.order("a"), world.order("b")
    world.take_in(first)
    world.tick()
    world.take_in(second)
    world.tick()
    assert [row.nonce for row in world.unfinal()] == [0, 1]
    world.send_raw(foreign(world, 0).raw)
    world.mine()

    polls_until_stopped(world)
    for _ in range(4):
        world.mine()
        world.node.tick()
    assert [row.nonce for row in world.unfinal()] == [0]
    assert world.statuses(["a", "b"]) == [S.SETTLING, S.APPROVED]
    assert world.client.nonce(world.stage.operator.address) == 2
    found = world.audit()
    assert (found.settled_on_chain, found.double_paid) == (0, 0)


@dataclass(slots=True)
class WithoutReceipts:
    """The chain's endpoint, on a replica that has not indexed receipts."""

    inner: Transport
    is_indexed: bool = False

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        return [
            RpcOk(None)
            if asked.method == "eth_getTransactionReceipt" and not self.is_indexed
            else answer
            for asked, answer in zip(requests, self.inner.request(requests), strict=True)
        ]


@both_chains
def test_stranger__our_own_is_final_and_its_receipt_is_late__lane_waits_for_it(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(replace_after_blocks=1_000))
    endpoint = WithoutReceipts(world.chain.transport("node"))
    late = world.new_node(client=new_client(world.chain, [endpoint]), node_id="node")
    names = late.enter(1)
    late.tick()
    late.drop_pending()
    with late.store.transaction(actor="a person") as tx:
        # A transfer of nothing: no settler's event tells that it is ours.
        planned = late.transaction_of(names[0]).transaction_id
        transactions.set_fields(tx, planned, cancel_requested=True)
    late.tick()
    for _ in range(CONFIRMATIONS_BLOCKS + 2):
        late.mine()
        for _ in range(4):
            (passed,) = late.node.tick()
    assert passed.end is PassEnd.LATER, "nothing is planned or sent meanwhile"
    assert late.breaks() == []

    endpoint.is_indexed = True
    late.settle()
    assert late.statuses(names) == [S.SETTLED]
    late.check_books()


@dataclass(slots=True)
class KeepsBytes:
    """The chain's endpoint, which shows what a mempool had before and has no more."""

    inner: Transport
    kept: dict[str, RpcOk] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        return [
            self.kept.get(str(asked.params[0]), answer)
            if asked.method == "eth_getTransactionByHash"
            else answer
            for asked, answer in zip(requests, self.inner.request(requests), strict=True)
        ]


def test_stranger__an_endpoint_shows_our_dropped_bytes_for_ever__lane_stops_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "RECEIPT_LATE_POLLS", 8)
    endpoint = KeepsBytes(world.chain.transport("node"))
    fooled = world.new_node(client=new_client(world.chain, [endpoint]), node_id="node")
    names = fooled.enter(1)
    fooled.tick()
    (attempt,) = fooled.attempts_of(names[0])
    asked = RpcRequest("eth_getTransactionByHash", (attempt.attempt_hash,))
    (shown,) = endpoint.request([asked])
    assert isinstance(shown, RpcOk)
    assert shown.value is not None
    endpoint.kept[attempt.attempt_hash] = shown
    world.send_raw(foreign(world, 0).raw)
    world.mine()

    polls_until_stopped(fooled)
    assert fooled.breaks() == ["stranger_at_nonce"]
    assert fooled.client.nonce(world.stage.operator.address) == 1
