"""Very many transactions of a lane: unmined, where one pass tracks them all, and mined but far from
final, where they keep nothing back and cost a pass nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import RowMapping

from chain_tests.world import CONFIRMATIONS_BLOCKS, Chain, World, build_world
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.chain.wire.transport import RpcRequest, RpcResult, Transport
from settlement_node.demo.stage import set_stage
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.lifecycle import (
    RedemptionStatus,
    TransactionFact,
    TransactionStatus,
)
from settlement_node.store.database import Store
from settlement_node.store.engine import transactions
from settlement_node.store.rows import TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.units import Payout, Wei

COUNT = 120
FAR_BLOCKS = 5_000
ROUND_TRIPS_MAX = 20
"""A pass asks for head, nonce, logs, receipts and so on once each, however many are out."""
TRANSFER_GAS = 21_000
FEE = Wei(10**10)


@dataclass(slots=True)
class Counted:
    """The chain's endpoint, counting round trips."""

    inner: Transport
    round_trips: int = 0

    @property
    def name(self) -> str:
        return self.inner.name

    def request(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        self.round_trips += 1
        return self.inner.request(requests)


def send_many(world: World, count: int) -> None:
    """Plan, sign, store and send transfers of nothing from the lane to itself."""
    lane = world.lane
    first = world.lane_row().next_nonce
    assert first is not None
    with world.store.transaction(actor="test") as tx:
        for nonce in range(first, first + count):
            row = transactions.plan_transaction(
                tx,
                chain_id=lane.chain_id,
                signer_address=lane.signer_address,
                nonce=nonce,
                to_address=lane.signer_address,
                data=b"",
                gas_limit=TRANSFER_GAS,
                deadline_block=None,
            )
            signed = lane.signer.sign(
                TransactionFields(
                    chain_id=lane.chain_id,
                    nonce=nonce,
                    to_address=lane.signer_address,
                    data=b"",
                    value_wei=Wei(0),
                    gas_limit=TRANSFER_GAS,
                    max_fee_per_gas_wei=FEE,
                    max_priority_fee_per_gas_wei=FEE,
                )
            )
            transactions.add_attempt(
                tx,
                row,
                attempt_hash=signed.hash_hex,
                kind=AttemptKind.ORIGINAL,
                raw=signed.raw,
                max_fee_per_gas_wei=FEE,
                max_priority_fee_per_gas_wei=FEE,
                at_block=lane.head.number,
            )
            row = transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SIGNED)
            transactions.record_send(
                tx, signed.hash_hex, at_block=lane.head.number, answer="accepted"
            )
            transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SENT)
            world.send_raw(signed.raw)


def test_track__over_a_hundred_unfinal__all_booked_in_one_pass_of_few_questions(
    chain: Chain, book: Store
) -> None:
    endpoint = Counted(chain.transport("node"))
    stage = set_stage(chain, treasury_base_units=Payout(10**15))
    world = build_world(chain, stage, book, transports=[endpoint])
    world.tick()
    send_many(world, COUNT)
    world.mine()

    before = endpoint.round_trips
    world.tick()
    assert [row.status for row in world.unfinal()] == [TransactionStatus.MINED] * COUNT
    assert endpoint.round_trips - before <= ROUND_TRIPS_MAX

    world.step(CONFIRMATIONS_BLOCKS)
    assert world.unfinal() == []


def test_plan__finality_is_far_away__only_what_is_unmined_bounds_it(
    new_world: Callable[..., World],
) -> None:
    """As with the `finalized` tag of Ethereum, a quarter of an hour behind the head."""
    world = new_world(
        policy=EnginePolicy(batch_items_max=1, in_flight_max=2), confirmations_blocks=FAR_BLOCKS
    )
    names = world.enter(7)
    world.tick()
    unmined = []
    for _ in range(4):
        unmined.append(sum(row.status is not TransactionStatus.MINED for row in world.unfinal()))
        world.step()
    assert [2, 2, 2, 1] == unmined
    assert [RedemptionStatus.PAID] * 7 == world.statuses(names)
    assert [TransactionStatus.MINED] * 7 == [row.status for row in world.unfinal()]


def test_plan__as_many_unfinal_as_may_be__waits_for_the_first_to_become_final(
    new_world: Callable[..., World],
) -> None:
    world = new_world(
        policy=EnginePolicy(batch_items_max=1, in_flight_max=2, unfinal_max=3),
        confirmations_blocks=10,
    )
    names = world.enter(5)
    world.tick()
    world.step(5)
    assert 3 == len(world.unfinal())
    assert {"earlier_batch"} == {world.row(name).waiting_on for name in names[3:]}
    world.settle()
    assert [RedemptionStatus.SETTLED] * 5 == world.statuses(names)


def test_pass__over_a_hundred_mined_and_far_from_final__reads_none_of_them(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world(confirmations_blocks=FAR_BLOCKS)
    world.tick()
    send_many(world, COUNT)
    world.step()
    assert [TransactionStatus.MINED] * COUNT == [row.status for row in world.unfinal()]

    (name,) = world.enter(1)
    read: list[int] = []
    of_row = TransactionRow.of

    def counted(row: RowMapping) -> TransactionRow:
        read.append(row["nonce"])
        return of_row(row)

    monkeypatch.setattr(TransactionRow, "of", counted)
    world.step()
    world.step()
    assert RedemptionStatus.PAID is world.status(name)
    assert [COUNT] == sorted(set(read))
