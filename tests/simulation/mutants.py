"""Known defects, most of them ways to pay twice, put into the node on purpose, to prove that the
simulator sees them.

Each replaces one function of the node by a careless one for as long as a run lasts. The chain's own
defences (ratchet and bitmap) would hide what the node does wrong, so the settler of these runs is
`naive`: it pays what it is told, as two plain transfers would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

from settlement_node.chain import client as pool
from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.chain.signers import base
from settlement_node.chain.signers.base import Signature
from settlement_node.chain.views import Unanswered
from settlement_node.chain.wire.transport import Transport
from settlement_node.domain.lifecycle import (
    RedemptionFact,
    TransactionFact,
    TransactionStatus,
)
from settlement_node.errors import Transient
from settlement_node.node import cycle
from settlement_node.node.context import Lane
from settlement_node.node.stages import keep, send, track
from settlement_node.store import tables as t
from settlement_node.store.book import redemptions
from settlement_node.store.database import Tx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.engine.lanes import set_lane
from settlement_node.store.rows import AttemptRow, SettlementRow, TransactionRow
from settlement_node.store.tables import SettlementStatus
from settlement_node.units import Address
from tests.simulation.signer import lane_key

PATIENCE_BLOCKS = 2
_track, _broadcast = track.track, send.broadcast


@dataclass(frozen=True, slots=True)
class Mutant:
    """`patches` are (module, name, replacement); `seen_as` is what the checker says
    of the defect itself, whatever else it breaks."""

    words: str
    seen_as: frozenset[str]
    patches: tuple[tuple[ModuleType, str, Callable[..., Any]], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The node, broken, for as long as the context lasts."""
        with ExitStack() as stack:
            for module, name, replacement in self.patches:
                stack.enter_context(mock.patch.object(module, name, replacement))
            yield


def track_taking_silence_for_absence(lane: Lane) -> int:
    """A receipt that errors or is null after a few blocks is read as "dropped": the transaction
    counts as void and its redemptions are planned again, at a new nonce."""
    try:
        moved = _track(lane)
    except Transient:
        moved = 0
    with lane.store.read() as tx:
        rows = transactions.unmined(tx, lane.chain_id, lane.signer_address)
        attempts = transactions.attempts_of(tx, [row.transaction_id for row in rows])
    for row in rows:
        signed = attempts[row.transaction_id]
        old = signed and lane.head.number - signed[0].signed_at_block >= PATIENCE_BLOCKS
        if row.status is TransactionStatus.SENT and old:
            with lane.commit() as tx:
                _declare_void(tx, lane, row, signed[-1])
            moved += 1
    return moved


def _declare_void(tx: Tx, lane: Lane, row: TransactionRow, attempt: AttemptRow) -> None:
    transactions.set_fields(
        tx,
        row.transaction_id,
        status="final",
        outcome="void",
        mined_attempt_hash=attempt.attempt_hash,
        block_number=max(lane.head.number, 0),
        block_hash="0x" + "00" * 32,
        evm_succeeded=True,
    )
    settlement = settlements.of_transaction(tx, row.transaction_id)
    assert settlement is not None
    settlements.end_settlement(tx, settlement, SettlementStatus.VOID)
    _free(tx, settlement)


def _free(tx: Tx, settlement: SettlementRow) -> None:
    """Back to planning with every redemption of a settlement."""
    items = settlements.items_of(tx, settlement.settlement_id)
    for row in redemptions.get_many(tx, [item.redemption_id for item in items]).values():
        redemptions.record_fact(tx, row, RedemptionFact.SETTLEMENT_VOIDED)


def broadcast_recycling_nonces(
    lane: Lane, ready: Sequence[tuple[TransactionRow, AttemptRow]]
) -> None:
    """A send without an answer is read as failed: the transaction is deleted, its redemptions are
    freed, and its nonce goes to whatever is planned next."""
    failed: list[TransactionRow] = []

    class Listening:
        def __init__(self, client: Any) -> None:
            self.client = client

        def send_raw(self, raw: bytes) -> Any:
            answer = self.client.send_raw(raw)
            if isinstance(answer, Unanswered):
                failed.extend(row for row, attempt in ready if attempt.raw == raw)
            return answer

    with mock.patch.object(lane, "chain", mock.Mock(client=Listening(lane.chain.client))):
        _broadcast(lane, ready)
    newest = max((row.nonce for row, _ in ready), default=-1)
    for row in failed:
        if row.nonce == newest:
            with lane.commit() as tx:
                _forget(tx, lane, row)


def _forget(tx: Tx, lane: Lane, row: TransactionRow) -> None:
    highest = transactions.highest_unfinal_nonce(tx, lane.chain_id, lane.signer_address)
    settlement = settlements.of_transaction(tx, row.transaction_id)
    if settlement is None or highest != row.nonce:
        return
    _free(tx, settlement)
    for table, column in (
        (t.settlement_items, t.settlement_items.c.settlement_id),
        (t.settlements, t.settlements.c.settlement_id),
    ):
        tx.connection.execute(table.delete().where(column == settlement.settlement_id))
    for table in (t.attempts, t.transactions):
        tx.connection.execute(table.delete().where(table.c.transaction_id == row.transaction_id))
    set_lane(tx, lane.chain_id, lane.signer_address, next_nonce=row.nonce)


def recover_whatever_is_hoped_for(digest: bytes, signature: Signature) -> Address:
    """The signer's answer is taken as it is."""
    return lane_key().address


def send_before_writing(lane: Lane, orders: Sequence[send.Signing]) -> None:
    """A replacement goes out first and its hash is stored afterwards; a crash loses it."""
    signed, failure = send._sign(lane, orders)
    for _, bytes_ in signed:
        lane.chain.client.send_raw(bytes_.raw)
        lane.context.checkpoint("send.after_broadcast")
    with lane.commit() as tx:
        for order, bytes_ in signed:
            transactions.add_attempt(
                tx,
                order.row,
                attempt_hash=bytes_.hash_hex,
                kind=order.kind,
                raw=bytes_.raw,
                max_fee_per_gas_wei=order.fees.max_fee_per_gas_wei,
                max_priority_fee_per_gas_wei=order.fees.max_priority_fee_per_gas_wei,
                at_block=lane.head.number,
            )
            transactions.record_fact(
                tx, order.row, TransactionFact.ATTEMPT_SIGNED, speed_up_requested=False
            )
    if failure is not None:
        raise failure


class FirstBelieved(EndpointSet):
    """Whatever one endpoint says counts, however many there are."""

    def __init__(self, transports: Sequence[Transport], **words: Any) -> None:
        super().__init__(transports, **words | {"agreement": 1})


MUTANTS: Mapping[str, Mutant] = {
    "first_endpoint_believed": Mutant(
        "the first endpoint's answer counts, and no other is asked",
        frozenset({"double_paid", "lost", "false_final"}),
        ((pool, "EndpointSet", FirstBelieved),),
    ),
    "silence_is_absence": Mutant(
        "a receipt error or null is read as dropped, and the redemptions are planned anew",
        frozenset({"false_final", "double_paid"}),
        ((cycle, "track", track_taking_silence_for_absence),),
    ),
    "nonce_recycled": Mutant(
        "an unanswered send is read as failed, and its nonce given to another batch",
        frozenset({"nonce_reused", "double_paid"}),
        (
            (send, "broadcast", broadcast_recycling_nonces),
            (keep, "broadcast", broadcast_recycling_nonces),
        ),
    ),
    "stored_after_broadcast": Mutant(
        "a replacement's hash is stored after it was broadcast",
        frozenset({"sent_unwritten"}),
        ((keep, "sign_and_broadcast", send_before_writing),),
    ),
    "signature_unchecked": Mutant(
        "a signer's answer is used without asking whose signature it is",
        frozenset({"foreign_sender"}),
        ((base, "recover_address", recover_whatever_is_hoped_for),),
    ),
}
