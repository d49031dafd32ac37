"""Track: receipts of every attempt, finality, and strangers at our nonces."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from settlement_node.booking.outcomes import record_displaced, record_final, record_mined
from settlement_node.booking.undo import undo_from
from settlement_node.chain.views import Undecided
from settlement_node.domain.attention import Alert, AlertKind
from settlement_node.domain.engine.nonces import Judged, judge_sighting
from settlement_node.domain.lane_breaks import LaneStopped, NonceLost, StrangerAtNonce
from settlement_node.domain.lifecycle import TransactionOutcome, TransactionStatus
from settlement_node.domain.observations import Receipt
from settlement_node.errors import Transient
from settlement_node.methods import method_of
from settlement_node.node.context import Lane
from settlement_node.node.work import Work
from settlement_node.store.book.funds import get_fund
from settlement_node.store.book.settlers import is_read_to
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.engine import settlements, transactions
from settlement_node.store.rows import AttemptRow, TransactionRow
from settlement_node.store.tables import AttemptKind
from settlement_node.store.telling.attention import tell
from settlement_node.units import Hex32, Wei

log = structlog.get_logger(__name__)
RECEIPT_LATE_POLLS = 300
"""So many passes, of a second each, a used nonce waits for the receipt of bytes of ours."""


def track(lane: Lane) -> int:
    """Look up what is unmined, finish what is final; returns how many rows moved.

    Absence of a receipt moves nothing: only a receipt on the agreed chain, or a changed block
    hash, does.
    """
    work = lane.work()
    moved, missing = _look_up(lane, work)
    moved += _finish(lane)
    if missing is not None:
        # Last, so that what else is final is booked even when this stops the lane.
        _watch_for_strangers(lane, missing, work.attempts[missing.transaction_id])
    return moved


def _look_up(lane: Lane, work: Work) -> tuple[int, TransactionRow | None]:
    """Book the receipts that are there; returns how many, and the lowest that has none. One that
    nobody could decide about is neither: it waits, and the others go on."""
    unmined = work.in_status(TransactionStatus.SIGNED, TransactionStatus.SENT)
    attempts = work.attempts
    if not unmined:
        return 0, None
    hashes = [a.attempt_hash for row in unmined for a in attempts[row.transaction_id]]
    receipts = lane.chain.client.receipts(hashes)
    moved = 0
    missing: list[TransactionRow] = []
    for row in unmined:
        own = [
            (attempt, receipts[attempt.attempt_hash]) for attempt in attempts[row.transaction_id]
        ]
        for attempt, receipt in own:
            if isinstance(receipt, Receipt):
                moved += _book_receipt(lane, row, attempt, receipt)
                break
        else:
            undecided = [said.why for _, said in own if isinstance(said, Undecided)]
            if undecided:
                log.warning("receipt_undecided", nonce=row.nonce, reason=undecided[0])
            else:
                missing.append(row)
    return moved, missing[0] if missing else None


def _book_receipt(lane: Lane, row: TransactionRow, attempt: AttemptRow, receipt: Receipt) -> int:
    with lane.store.read() as tx:
        remembered = chain_book.remembered_heads(tx, lane.key, from_number=receipt.block_number)
    known = remembered.get(receipt.block_number)
    if known is not None and known != receipt.block_hash:
        return 0  # the head moved under this pass; the next one sees one chain again
    with lane.commit("track") as tx:
        record_mined(tx, row, attempt, receipt)
        tell(tx, Alert(AlertKind.FEE_AT_CEILING, lane.at_nonce(row.nonce)))
    lane.memory.stranger_polls.pop(row.nonce, None)
    log.info(
        "transaction_mined",
        nonce=row.nonce,
        transaction_hash=attempt.attempt_hash,
        block_number=receipt.block_number,
        succeeded=receipt.succeeded,
    )
    return 1


def _finish(lane: Lane) -> int:
    """Finality, in nonce order; each block's hash is asked for once more before it counts. What
    is mined above the final line is not read: that may be thousands."""
    work = lane.work()
    ready, attempts = work.finishing, work.attempts
    if not ready:
        return 0
    blocks = lane.chain.client.blocks(sorted({row.block_number or 0 for row in ready}))
    finished = 0
    for row in ready:
        block = blocks.get(row.block_number or 0)
        if block is None:
            raise Transient(f"block {row.block_number} is not answered by the endpoints now")
        if block.block_hash != row.block_hash:
            # Its block was never among the remembered heads (the node slept): undo it now.
            with lane.commit() as tx:
                undo_from(
                    tx,
                    chain_id=lane.chain_id,
                    signer_address=lane.signer_address,
                    first_undone_number=block.number,
                )
            return 0
        kind = next(
            a.kind for a in attempts[row.transaction_id] if a.attempt_hash == row.mined_attempt_hash
        )
        reverted = not row.evm_succeeded and kind is not AttemptKind.CANCEL
        if reverted and lane.unscanned:
            continue  # why it reverted is read from the settlers' events
        whole = reverted and _refused_whole(lane, row)
        with lane.commit("finish") as tx:
            outcome = record_final(tx, row, mined_kind=kind, refused_whole=whole)
        finished += 1
        log.info(
            "transaction_final",
            nonce=row.nonce,
            outcome=outcome.value,
            transaction_hash=row.mined_attempt_hash,
        )
    return finished


def _refused_whole(lane: Lane, row: TransactionRow) -> bool:
    """Whether the batch was refused for a reason that lies in none of its items."""
    with lane.store.read() as tx:
        settlement = settlements.of_transaction(tx, row.transaction_id)
        fund = None if settlement is None else get_fund(tx, settlement.fund_id)
    return fund is not None and method_of(fund).refused_whole(lane.chain.client, row)


def _watch_for_strangers(
    lane: Lane, lowest: TransactionRow, attempts: Sequence[AttemptRow]
) -> None:
    """Is our lowest unmined nonce used on the chain by bytes that are not ours?

    Only looked at once something was sent and every settler is read to the head, and believed
    only after several passes that agree and once the nonce is used in a final block; the batch's
    own event may show that the bytes were ours after all (a restored book), or an endpoint has
    them and only their receipt is late. Otherwise the lane stops: a person must say who else holds
    the key.
    """
    if lane.unscanned or not any(a.sends_count for a in attempts):
        return
    chain_nonce = lane.chain.client.nonce(lane.signer_address)
    if chain_nonce <= lowest.nonce:
        lane.memory.stranger_polls.pop(lowest.nonce, None)
        if chain_nonce < lowest.nonce and lane.may_send(lane.work_now()):
            _fill_gap(lane, first=chain_nonce, below=lowest.nonce)
        return
    if _adopt_found(lane, lowest, attempts):
        return
    polls = lane.memory.stranger_polls.get(lowest.nonce, 0) + 1
    lane.memory.stranger_polls[lowest.nonce] = polls
    judged = judge_sighting(
        polls=polls,
        polls_min=lane.policy.stranger_after_polls,
        is_final=lane.head.final_number >= 0
        and lane.chain.client.nonce(lane.signer_address, lane.head.final_number) > lowest.nonce,
        displacement_accepted=lowest.displacement_accepted,
    )
    if judged is Judged.DISPLACED:
        with lane.commit() as tx:
            record_displaced(tx, lowest)
        log.warning("transaction_displaced", nonce=lowest.nonce)
    elif judged is Judged.STRANGER:
        # For so long and no longer: whoever was sent our bytes can show them for ever.
        if polls < RECEIPT_LATE_POLLS and _is_known(lane, attempts):
            raise Transient(
                f"nonce {lowest.nonce} is used and an endpoint has our transaction at it, but none"
                " has its receipt yet"
            )
        why = (
            f"nonce {lowest.nonce} of {lane.signer_address} is used on the chain by a transaction"
            " that is not ours; nothing is re-sent. Find out who else holds this key"
        )
        raise LaneStopped(StrangerAtNonce(lane.chain_id, lane.signer_address, lowest.nonce, why))


def _is_known(lane: Lane, attempts: Sequence[AttemptRow]) -> bool:
    """Whether an endpoint has one of these transactions, whose nonce is used: mined most likely,
    since hardly a mempool keeps it."""
    sent = [attempt.attempt_hash for attempt in attempts if attempt.sends_count]
    return any(lane.chain.client.transaction_place(sent_hash) is not None for sent_hash in sent)


def _fill_gap(lane: Lane, *, first: int, below: int) -> None:
    """The chain has lost transactions that were final (a person accepted that fork), and waits for
    their nonces. Those that had succeeded go out again as the very same bytes, which pay what the
    book has as paid; at a nonce of any other outcome the lane stops, since its bytes might now
    pay what was settled otherwise."""
    with lane.store.read() as tx:
        rows = transactions.with_nonces(
            tx, lane.chain_id, lane.signer_address, first=first, below=below
        )
        attempts = transactions.attempts_of(tx, [row.transaction_id for row in rows])
    for row in rows:
        if row.status is not TransactionStatus.FINAL:
            continue
        if row.outcome is not TransactionOutcome.SUCCEEDED:
            lost = NonceLost(lane.chain_id, lane.signer_address, row.nonce, row.outcome)
            raise LaneStopped(lost)
        for attempt in attempts[row.transaction_id]:
            if attempt.attempt_hash == row.mined_attempt_hash and attempt.raw:
                answer = lane.chain.client.send_raw(attempt.raw)
                log.warning("gap_filled", nonce=row.nonce, answer=type(answer).__name__)


def _adopt_found(lane: Lane, row: TransactionRow, attempts: Sequence[AttemptRow]) -> bool:
    """After a restored backup: the settler's event names our batch under a hash we do not know.
    True too while a re-scan has the events out of the book: nothing is known of strangers then."""
    with lane.store.read() as tx:
        settlement = settlements.of_transaction(tx, row.transaction_id)
        if settlement is None:
            return False
        event = chain_book.batch_event(
            tx, lane.chain_id, settlement.settler_address, settlement.batch_hash
        )
        is_read = is_read_to(tx, settlement.fund_id, lane.head.number)
    if event is None:
        return not is_read
    if any(attempt.attempt_hash == event.transaction_hash for attempt in attempts):
        return True  # ours and known: only its receipt was not answered this time
    place = lane.chain.client.transaction_place(Hex32(event.transaction_hash))
    if place is None or place != (lane.signer_address, row.nonce):
        return False
    with lane.commit() as tx:
        transactions.add_attempt(
            tx,
            row,
            attempt_hash=event.transaction_hash,
            kind=AttemptKind.FOUND,
            raw=b"",
            max_fee_per_gas_wei=Wei(0),
            max_priority_fee_per_gas_wei=Wei(0),
            at_block=lane.head.number,
        )
    log.warning("attempt_found", nonce=row.nonce, attempt_hash=event.transaction_hash)
    return True
