"""Far more unfinal transactions than a lane is ever given: one pass tracks them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_tests.world import CONFIRMATIONS_BLOCKS, Chain, World, build_world
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.chain.transport import RpcRequest, RpcResult, Transport
from settlement_node.demo.stage import set_stage
from settlement_node.domain.lifecycle import TransactionFact, TransactionStatus
from settlement_node.store import transactions
from settlement_node.store.database import Store
from settlement_node.store.tables import AttemptKind
from settlement_node.units import Payout, Wei

COUNT = 120
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
                at_block=lane.head_number,
            )
            row = transactions.record_fact(tx, row, TransactionFact.ATTEMPT_SIGNED)
            transactions.record_send(
                tx, signed.hash_hex, at_block=lane.head_number, answer="accepted"
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
