"""Transactions no endpoint takes, and passes that never come to their end: nothing loops in
silence, and nothing is wedged for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import rlp
from sqlalchemy import select

from chain_tests.world import World, build_world, later
from settlement_node.chain.wire.transport import RpcError, RpcRequest, RpcResult, Transport
from settlement_node.demo.stage import set_stage
from settlement_node.desk import operators
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.domain.watching import STALLED_AFTER
from settlement_node.methods.deploy import Deployer
from settlement_node.node import cycle
from settlement_node.node.cycle import PassEnd
from settlement_node.node.stages.watch import watch
from settlement_node.store import tables as t
from settlement_node.store.database import Store
from settlement_node.store.tables import AttemptKind
from settlement_node.units import Payout, Wei
from tests_support.deploying import send
from tests_support.embedded import EmbeddedChain

S = RedemptionStatus
NOOP_GAS = 21_000
CEILING_WEI = Wei(700_000_000)
AT_CEILING = FeePolicy(tip_ceiling_wei=Wei(10**8), cap_ceiling_wei=CEILING_WEI)
"""Below what the market asks of a first attempt here, and above the base fee."""


def fields_of(raw: bytes) -> tuple[int, int]:
    """Fee cap in wei and gas limit of an EIP-1559 transaction."""
    content = rlp.decode(raw[1:])
    return int.from_bytes(content[3], "big"), int.from_bytes(content[4], "big")


class Refusing:
    """The embedded chain's endpoint, which takes no transaction `refusal` has words for."""

    def __init__(self, inner: Transport, refusal: Callable[[bytes], str | None]) -> None:
        self.inner, self.refusal = inner, refusal

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        if requests[0].method == "eth_sendRawTransaction":
            words = self.refusal(bytes.fromhex(requests[0].params[0][2:]))
            if words is not None:
                return [RpcError(-32000, words)]
        return self.inner.request(requests)


def refusing_world(
    chain: EmbeddedChain,
    book: Store,
    refusal: Callable[[bytes], str | None],
    *,
    fees: FeePolicy | None = None,
) -> World:
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    transports = [Refusing(chain.transport("node"), refusal)]
    return build_world(chain, stage, book, fees=fees, transports=transports)


def outcomes(world: World) -> list[str]:
    with world.store.read() as tx:
        query = select(t.transactions.c.outcome).order_by(t.transactions.c.nonce)
        return [str(outcome) for outcome in tx.connection.execute(query).scalars()]


def test_refused__batch_needs_more_gas_than_any_endpoint_takes__halved_until_it_goes(
    chain: EmbeddedChain, book: Store
) -> None:
    world = refusing_world(
        chain, book, lambda raw: "exceeds block gas limit" if fields_of(raw)[1] > 900_000 else None
    )
    names = world.enter(6)
    world.tick()
    assert "transaction_refused" in world.alerts()

    world.settle()
    assert world.statuses(names) == [S.SETTLED] * 6
    assert outcomes(world).count("void") <= 5
    world.step()
    watch(world.context(), [world.lane])
    assert world.alerts() == set()
    world.check_books()


def test_refused__alone_and_still_taken_by_nobody__held_with_the_endpoints_words(
    chain: EmbeddedChain, book: Store
) -> None:
    world = refusing_world(
        chain, book, lambda raw: "oversized data" if fields_of(raw)[1] > NOOP_GAS else None
    )
    names = world.enter(2)
    world.settle()
    assert world.statuses(names) == [S.HELD] * 2
    row = world.row(names[0])
    assert row.hold_reason == HoldReason.BATCH_REFUSED.value
    assert "oversized data" in (row.hold_detail or "")
    assert set(outcomes(world)) == {"void"}
    world.check_books()


def test_refused__priced_at_the_ceiling__cancelled_at_the_market_price_all_the_same(
    chain: EmbeddedChain, book: Store
) -> None:
    refused = [True]
    world = refusing_world(
        chain,
        book,
        lambda raw: (
            "exceeds block gas limit" if refused[0] and fields_of(raw)[1] > NOOP_GAS else None
        ),
        fees=AT_CEILING,
    )
    names = world.enter(1)
    world.tick()
    (original,) = world.attempts_of(names[0])[:1]
    assert original.max_fee_per_gas_wei == CEILING_WEI

    world.step(2)
    attempts = world.attempts_of(names[0])
    assert [a.kind for a in attempts] == [AttemptKind.ORIGINAL, AttemptKind.CANCEL]
    assert attempts[-1].max_fee_per_gas_wei <= CEILING_WEI  # it has nothing to outbid
    refused[0] = False
    world.settle()
    assert outcomes(world)[0] == "void"


def test_cancel__of_a_batch_offered_at_the_ceiling__the_no_op_may_go_above_it(
    new_world: Callable[..., World],
) -> None:
    world = new_world(fees=AT_CEILING)
    names = world.enter(1)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    assert attempt.max_fee_per_gas_wei == CEILING_WEI
    with world.store.transaction(actor="person") as tx:
        operators.cancel_transaction(tx, attempt.attempt_hash, reason="not now")
    world.tick()
    last = world.attempts_of(names[0])[-1]
    assert last.kind is AttemptKind.CANCEL
    assert CEILING_WEI < last.max_fee_per_gas_wei <= 2 * CEILING_WEI


def test_speed_up__beyond_the_bound_of_automatic_attempts__is_carried_out(
    new_world: Callable[..., World],
) -> None:
    world = new_world(policy=EnginePolicy(attempts_max=1))
    names = world.enter(1)
    world.tick()
    (attempt,) = world.attempts_of(names[0])
    with world.store.transaction(actor="person") as tx:
        operators.speed_up_transaction(tx, attempt.attempt_hash, reason="in a hurry")
    world.tick()
    assert len(world.attempts_of(names[0])) == 2
    assert not world.transaction_of(names[0]).speed_up_requested


def test_pass__fails_each_time_in_a_way_nobody_foresaw__an_alert(
    world: World, book: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tick()
    with monkeypatch.context() as broken:
        broken.setattr(cycle, "scan", lambda context, lane: {}["no such thing"])
        world.tick(PassEnd.FAILED)
        later(book, STALLED_AFTER.total_seconds())
        world.tick(PassEnd.FAILED)
    watch(world.context(), [world.lane])
    assert world.alerts() == {"lane_not_advancing"}
    world.tick()
    watch(world.context(), [world.lane])
    assert world.alerts() == set()


def test_lane__somebody_else_keeps_using_the_key_from_the_start__an_alert(
    world: World, book: Store
) -> None:
    names = world.enter(1)
    operator = world.stage.operator
    stranger = Deployer(world.stage.client, operator, advance=world.chain.mine)
    send(stranger, operator.address, b"", gas_limit=NOOP_GAS)
    world.tick()
    later(book, STALLED_AFTER.total_seconds())
    send(stranger, operator.address, b"", gas_limit=NOOP_GAS)
    world.tick()
    watch(world.context(), [world.lane])
    assert world.alerts() == {"lane_not_advancing"}
    assert world.statuses(names) == [S.APPROVED]
    world.settle()
    assert world.statuses(names) == [S.SETTLED]
