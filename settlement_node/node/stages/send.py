"""Send: sign, write down, broadcast. Nothing leaves before its bytes and hash are committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.chain.views import Accepted, Rejected, SendAnswer, SendRejection, Unanswered
from settlement_node.domain.attention import Alert, AlertKind
from settlement_node.domain.engine.fees import Fees
from settlement_node.domain.lifecycle import TransactionFact, TransactionStatus
from settlement_node.errors import Refused, Transient
from settlement_node.node.context import Lane
from settlement_node.store.book import redemptions
from settlement_node.store.database import Tx
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.rows import AttemptRow, TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.store.telling.attention import tell
from settlement_node.units import Wei

log = structlog.get_logger(__name__)
NOOP_GAS = 21_000
UNSENT = (TransactionStatus.PLANNED, TransactionStatus.SIGNED)

NEVER_MINEABLE = frozenset(
    {
        SendRejection.GAS_LIMIT_TOO_HIGH,
        SendRejection.INTRINSIC_GAS,
        SendRejection.MALFORMED,
    }
)
"""Bytes no endpoint will ever take: the nonce is freed by a no-op, and the batch goes on in halves,
until the item that no endpoint takes a transaction for stands alone and is held."""

SIGNER_ALERTS = ((AlertKind.SIGNER_DOWN, Transient), (AlertKind.SIGNER_REFUSED, Refused))
"""The alert for each family of a signer's failures."""


@dataclass(frozen=True, slots=True)
class Signing:
    """An attempt about to be signed."""

    row: TransactionRow
    kind: AttemptKind
    fees: Fees


def send(lane: Lane) -> int:
    """Sign what is planned and broadcast what was never sent; returns how many were broadcast."""
    if not lane.is_changed and not lane.work().in_status(*UNSENT):
        return 0
    # Something may have to leave: whether it may, and what is asked for, is read again for that.
    work = lane.work_now()
    rows, attempts = work.in_status(*UNSENT), work.attempts
    if not rows or not lane.may_send(work):
        return 0
    ready = [
        (row, attempts[row.transaction_id][-1])
        for row in rows
        if attempts[row.transaction_id]
        and attempts[row.transaction_id][-1].sends_count == 0
        # One that is to be cancelled is left to `keep`, which signs its no-op.
        and (
            not row.cancel_requested or attempts[row.transaction_id][-1].kind is AttemptKind.CANCEL
        )
    ]
    # What is signed goes first: a signer that is down must not keep it back.
    broadcast(lane, ready)
    planned = [row for row in rows if row.status is TransactionStatus.PLANNED]
    if planned:
        orders = [Signing(row, _first_kind(lane, row), lane.market_fees()) for row in planned]
        sign_and_broadcast(lane, orders)
    return len(ready) + len(planned)


def _first_kind(lane: Lane, row: TransactionRow) -> AttemptKind:
    """What to sign for a transaction of which nothing was signed yet: a no-op if it is to be
    cancelled or overdue, so that its nonce is used and its redemptions are freed."""
    overdue = row.deadline_block is not None and lane.head.number > row.deadline_block
    return AttemptKind.CANCEL if row.cancel_requested or overdue else AttemptKind.ORIGINAL


def sign_and_broadcast(lane: Lane, orders: Sequence[Signing]) -> None:
    """Sign each, commit the bytes at once, broadcast.

    Where the signer fails, an alert is raised, what it signed before goes out all the same, and
    its Transient or Refused is raised: the rest is as it was and keeps its nonces.
    """
    signed, failure = _sign(lane, orders)
    written: list[tuple[TransactionRow, AttemptRow]] = []
    with lane.commit("sign") as tx:
        for order, bytes_ in signed:
            attempt = transactions.add_attempt(
                tx,
                order.row,
                attempt_hash=bytes_.hash_hex,
                kind=order.kind,
                raw=bytes_.raw,
                max_fee_per_gas_wei=order.fees.max_fee_per_gas_wei,
                max_priority_fee_per_gas_wei=order.fees.max_priority_fee_per_gas_wei,
                at_block=lane.head.number,
            )
            row = transactions.record_fact(
                tx, order.row, TransactionFact.ATTEMPT_SIGNED, speed_up_requested=False
            )
            written.append((row, attempt))
        _note_signer(tx, lane, failure)
    broadcast(lane, written)
    if failure is not None:
        raise failure


def _sign(
    lane: Lane, orders: Sequence[Signing]
) -> tuple[list[tuple[Signing, SignedTransaction]], Refused | Transient | None]:
    """What the signer signed, in order, and why it stopped there."""
    signed: list[tuple[Signing, SignedTransaction]] = []
    lane.context.checkpoint("sign.before_signer")
    for order in orders:
        is_noop = order.kind is AttemptKind.CANCEL
        fields = TransactionFields(
            chain_id=lane.chain_id,
            nonce=order.row.nonce,
            to_address=lane.signer_address if is_noop else order.row.to_address,
            data=b"" if is_noop else order.row.data,
            value_wei=Wei(0),
            gas_limit=NOOP_GAS if is_noop else order.row.gas_limit,
            max_fee_per_gas_wei=order.fees.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei=order.fees.max_priority_fee_per_gas_wei,
        )
        try:
            signed.append((order, lane.signer.sign(fields)))
        except (Refused, Transient) as error:
            return signed, error
    return signed, None


def _note_signer(tx: Tx, lane: Lane, failure: Refused | Transient | None) -> None:
    """One alert for as long as the signer fails, of the kind of its last failure."""
    alerts = [
        Alert(kind, lane.subject, failure.message if isinstance(failure, family) else None)
        for kind, family in SIGNER_ALERTS
    ]
    tell(tx, *alerts)


def broadcast(lane: Lane, ready: Sequence[tuple[TransactionRow, AttemptRow]]) -> None:
    """Hand committed bytes to the endpoints and note the answers. Sending twice does no harm."""
    answers: list[tuple[TransactionRow, AttemptRow, SendAnswer]] = []
    for row, attempt in ready:
        lane.context.checkpoint("send.before_broadcast")
        answers.append((row, attempt, lane.chain.client.send_raw(attempt.raw)))
        lane.context.checkpoint("send.after_broadcast")
    if not answers:
        return
    with lane.commit() as tx:
        for row, attempt, answer in answers:
            _record_answer(tx, lane, row, attempt, answer)
    lane.context.checkpoint("send.after_commit")


def _record_answer(
    tx: Tx, lane: Lane, row: TransactionRow, attempt: AttemptRow, answer: SendAnswer
) -> None:
    match answer:
        case Accepted():
            words = "accepted"
            tell(tx, Alert(AlertKind.GAS_LOW, lane.subject))
            if attempt.kind is not AttemptKind.CANCEL:
                tell(tx, Alert(AlertKind.TRANSACTION_REFUSED, lane.subject))
        case Unanswered(message):
            words = f"unanswered: {message}"
        case Rejected(reason, message):
            words = f"{reason.value}: {message}"
    log.info(
        "attempt_sent",
        nonce=row.nonce,
        attempt_hash=attempt.attempt_hash,
        kind=attempt.kind.value,
        answer=words,
    )
    transactions.record_send(tx, attempt.attempt_hash, at_block=lane.head.number, answer=words)
    changes: dict[str, object] = {}
    if row.first_sent_at_utc is None:
        changes["first_sent_at_utc"] = tx.now_utc
    if isinstance(answer, Rejected):
        if answer.reason in NEVER_MINEABLE and attempt.kind is not AttemptKind.CANCEL:
            changes |= {"cancel_requested": True, "refused_words": words[:300]}
        if answer.reason in NEVER_MINEABLE | {SendRejection.WRONG_CHAIN}:
            refused = (
                f"every endpoint refuses the {attempt.kind.value} of nonce {row.nonce} for good:"
                f" {words}"
            )
            tell(tx, Alert(AlertKind.TRANSACTION_REFUSED, lane.subject, refused))
        if answer.reason is SendRejection.INSUFFICIENT_FUNDS:
            poor = f"{lane.signer_address} cannot pay for gas: {answer.message}"
            tell(tx, Alert(AlertKind.GAS_LOW, lane.subject, poor))
    current = transactions.get(tx, row.transaction_id)
    if current is None or current.status in (TransactionStatus.PLANNED, TransactionStatus.FINAL):
        return
    transactions.record_fact(tx, current, TransactionFact.ATTEMPT_SENT, **changes)
    if row.first_sent_at_utc is None:
        settlement = settlements.of_transaction(tx, row.transaction_id)
        if settlement is not None:
            redemptions.set_broadcast(tx, settlement.settlement_id)
