"""What leaves the node: stored before, found by its hash after, and always the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from chain_tests.world import Chain, World, build_world
from settlement_node.chain.wire.transport import (
    RpcError,
    RpcRequest,
    RpcResult,
    Transport,
    TransportFailed,
)
from settlement_node.demo.stage import set_stage
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.store.database import Store
from settlement_node.units import Payout

S = RedemptionStatus
NEVER = 1_000
SEND = "eth_sendRawTransaction"


class Died(BaseException):
    """The process is gone: nothing in the node may catch this."""


@dataclass(slots=True)
class Watched:
    """The chain's endpoint; keeps what arrives for sending, and does to sends what it is told."""

    inner: Transport
    trouble: Callable[[Transport, Sequence[RpcRequest]], list[RpcResult]] | None = None
    arrived: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        sent = [asked.params[0] for asked in requests if asked.method == SEND]
        self.arrived += sent
        if sent and self.trouble is not None:
            return self.trouble(self.inner, requests)
        return self.inner.request(requests)


def taken_and_silent(inner: Transport, requests: Sequence[RpcRequest]) -> list[RpcResult]:
    """The chain takes it, and the connection breaks before it says so."""
    inner.request(requests)
    raise TransportFailed("endpoint node gave no answer (ReadTimeout)")


def refusing(words: str) -> Callable[[Transport, Sequence[RpcRequest]], list[RpcResult]]:
    """Nothing is handed on, and these words come back."""
    return lambda _inner, requests: [RpcError(-32000, words)] * len(requests)


@pytest.fixture
def endpoint(chain: Chain) -> Watched:
    return Watched(chain.transport("node"))


@pytest.fixture
def watched(chain: Chain, book: Store, endpoint: Watched) -> World:
    """A world whose node sends through the watched endpoint and replaces nothing by itself."""
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    policy = EnginePolicy(replace_after_blocks=NEVER)
    return build_world(chain, stage, book, transports=[endpoint], policy=policy)


def dies_at(world: World, point: str) -> None:
    """Have the node's process end the first time it comes to a point."""
    passed: list[str] = []

    def at(name: str) -> None:
        if name == point and not passed:
            passed.append(name)
            raise Died

    world.at_each_point(at)
    with pytest.raises(Died):
        world.node.tick()


def test_send__answer_lost__found_by_its_hash_under_one_nonce(
    watched: World, endpoint: Watched
) -> None:
    endpoint.trouble = taken_and_silent
    names = watched.enter(2)
    watched.tick()
    (attempt,) = watched.attempts_of(names[0])
    assert (attempt.last_answer or "").startswith("unanswered")
    assert watched.is_pending(attempt.attempt_hash)
    next_nonce = watched.lane_row().next_nonce

    watched.settle()
    assert watched.statuses(names) == [S.SETTLED] * 2
    assert watched.transaction_of(names[0]).mined_attempt_hash == attempt.attempt_hash
    assert watched.lane_row().next_nonce == next_nonce
    assert set(endpoint.arrived) == {"0x" + attempt.raw.hex()}
    assert watched.check_books().transactions == 1


@pytest.mark.parametrize("words", ["txpool is full", "nonce too low"])
def test_send__refused_in_passing__same_bytes_until_taken(
    watched: World, endpoint: Watched, words: str
) -> None:
    """A full mempool empties; a nonce called used up is looked at by its receipt, which is not
    there: a confused proxy. Neither says anything against the bytes."""
    endpoint.trouble = refusing(words)
    names = watched.enter(2)
    watched.tick()
    watched.step(2)
    (attempt,) = watched.attempts_of(names[0])
    assert words in (attempt.last_answer or "")
    assert not watched.is_pending(attempt.attempt_hash)

    endpoint.trouble = None
    watched.settle()
    assert watched.statuses(names) == [S.SETTLED] * 2
    assert watched.transaction_of(names[0]).mined_attempt_hash == attempt.attempt_hash
    assert watched.check_books().transactions == 1


def test_send__dies_before_the_bytes_are_stored__none_had_left(
    watched: World, endpoint: Watched
) -> None:
    names = watched.enter(2)
    dies_at(watched, "sign.before_commit")
    assert endpoint.arrived == []
    assert watched.attempts_of(names[0]) == []

    restarted = watched.new_node(node_id=watched.context().node_id)
    restarted.settle()
    assert restarted.statuses(names) == [S.SETTLED] * 2
    assert restarted.check_books().transactions == 1


@pytest.mark.parametrize(
    "point", ["sign.after_commit", "send.before_broadcast", "send.after_broadcast"]
)
def test_send__dies_around_the_send__same_bytes_and_paid_once(watched: World, point: str) -> None:
    names = watched.enter(2)
    dies_at(watched, point)
    (stored,) = watched.attempts_of(names[0])
    assert stored.sends_count == 0
    watched.mine()  # the market's price is another one by the time the node is back

    restarted = watched.new_node(node_id=watched.context().node_id)
    restarted.settle()
    assert restarted.statuses(names) == [S.SETTLED] * 2
    assert [a.attempt_hash for a in restarted.attempts_of(names[0])] == [stored.attempt_hash]
    assert restarted.check_books().transactions == 1
