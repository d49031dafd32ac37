"""Defences of what is sent and of what comes back: answers, receipts, attempts, fees."""

from __future__ import annotations

from tests.defences.changes import Always, Before, Drops, Never, Passes, Returns, Swaps
from tests.defences.model import Defence, Line

KEEPING = "chain_tests/cycle/test_keeping.py"
SENDING_TESTS = "tests/chain/test_sending.py"
PROVING = "tests/chain/test_proving.py"
LOOKUPS = "tests/chain/test_lookups.py"
CYCLE_SENDING = "chain_tests/cycle/test_sending.py"

SENDING: tuple[Defence, ...] = (
    Defence(
        name="silence_is_not_refusal",
        line=Line.LOST_ANSWER,
        happens="the connection breaks after the endpoint took the transaction, before it said so",
        holds="a send without an answer leaves the outcome open; it never counts as refused",
        at="settlement_node/chain/endpoints/endpoint.py:Endpoint.send_raw",
        change=Swaps(
            "Unanswered(error.message)", "Rejected(SendRejection.MALFORMED, error.message)"
        ),
        tests=(
            f"{SENDING_TESTS}::test_send_raw__no_answer__message_names_the_endpoint",
            f"{CYCLE_SENDING}::test_send__answer_lost__found_by_its_hash_under_one_nonce",
        ),
    ),
    Defence(
        name="strange_words_leave_it_open",
        line=Line.LOST_ANSWER,
        happens="a proxy answers a send with an error of its own making",
        holds="words that are not in the table say nothing about the outcome",
        at="settlement_node/chain/endpoints/endpoint.py:Endpoint.send_raw",
        change=Swaps(
            "reason in (SendRejection.UNKNOWN, SendRejection.RATE_LIMITED)",
            "reason is SendRejection.RATE_LIMITED",
        ),
        tests=(f"{SENDING_TESTS}::test_send_raw__anyone_leaves_it_open__unanswered",),
    ),
    Defence(
        name="unanswered_is_looked_up",
        line=Line.LOST_ANSWER,
        happens="a transaction is mined that no endpoint ever said it had taken",
        holds="receipts are asked for by the hash of all that was signed, answered or not",
        at="settlement_node/node/stages/track.py:_look_up",
        change=Swaps(
            "hashes = [a.attempt_hash for row in unmined for a in attempts[row.transaction_id]]",
            "answered = [[a for a in own if a.last_answer == 'accepted'] for own in"
            " attempts.values()]\n"
            "attempts |= dict(zip(attempts, answered, strict=True))\n"
            "hashes = [a.attempt_hash for row in unmined for a in"
            " attempts[row.transaction_id]]",
        ),
        tests=(f"{CYCLE_SENDING}::test_send__answer_lost__found_by_its_hash_under_one_nonce",),
    ),
    Defence(
        name="failed_lookup_is_unknown",
        line=Line.UNKNOWN_RECEIPT,
        happens="asking for the receipt of a mined transaction ends in an error",
        holds="a hash nobody could speak about is undecided, which is no absence: nothing moves",
        at="settlement_node/chain/endpoints/lookups.py:_Ballot.outcome",
        change=Swaps(
            "Undecided(self.failure or 'too few endpoints that have the agreed head could say')",
            "None",
        ),
        tests=(
            f"{LOOKUPS}::test_receipts__lookup_errors__undecided_and_the_others_are_not",
            f"{LOOKUPS}::test_receipts__only_source_is_on_a_fork__undecided_and_not_none",
        ),
    ),
    Defence(
        name="null_of_a_laggard_says_nothing",
        line=Line.UNKNOWN_RECEIPT,
        happens="a replica that is behind answers null for a transaction that is mined",
        holds="only an endpoint that has the agreed head may say that a receipt is not there",
        at="settlement_node/chain/endpoints/lookups.py:ReceiptLookup._take",
        change=Always("has_head"),
        tests=(
            f"{LOOKUPS}::test_receipts__null_from_an_endpoint_behind_the_head__undecided",
            f"{LOOKUPS}::test_receipts__null_from_an_endpoint_on_a_fork__undecided",
        ),
    ),
    Defence(
        name="second_opinion_on_null",
        line=Line.UNKNOWN_RECEIPT,
        happens="one endpoint is still indexing the block whose receipt another has already",
        holds="what the endpoints differ about is proven against the block, and a receipt is found",
        at="settlement_node/chain/endpoints/lookups.py:ReceiptLookup._decide",
        change=Never("is_disputed"),
        tests=(f"{PROVING}::test_receipts__null_for_a_block_just_mined__not_blamed",),
    ),
    Defence(
        name="receipt_of_a_fork_does_not_count",
        line=Line.UNKNOWN_RECEIPT,
        happens="an endpoint that follows another fork answers with a receipt from there",
        holds="a receipt counts only if its block is the agreed one at its height",
        at="settlement_node/chain/endpoints/lookups.py:ReceiptLookup._take",
        change=Swaps(
            "agreed.get(receipt.block_number) == receipt.block_hash",
            "receipt.block_number in agreed",
        ),
        tests=(f"{LOOKUPS}::test_receipts__only_source_is_on_a_fork__undecided_and_not_none",),
    ),
    Defence(
        name="written_before_sent",
        line=Line.DEATH_BETWEEN_STEPS,
        happens="the process dies after the first byte left and before its hash was stored",
        holds="signed bytes and their hash are committed before any of them leaves",
        at="settlement_node/node/stages/send.py:sign_and_broadcast",
        change=Before(
            "commit",
            "for _, bytes_ in signed:\n    lane.chain.client.send_raw(bytes_.raw)",
        ),
        tests=(f"{CYCLE_SENDING}::test_send__dies_before_the_bytes_are_stored__none_had_left",),
    ),
    Defence(
        name="what_is_signed_is_sent_as_it_is",
        line=Line.DEATH_BETWEEN_STEPS,
        happens="the process dies after it stored signed bytes and before it sent them",
        holds="after the restart the stored bytes go out; nothing is signed a second time",
        at="settlement_node/domain/engine/keeping.py:next_step",
        change=Swaps(
            "view.speed_up_requested", "view.speed_up_requested or view.last_sent_block is None"
        ),
        tests=(f"{CYCLE_SENDING}::test_send__dies_around_the_send__same_bytes_and_paid_once",),
    ),
    Defence(
        name="commit_reaches_the_disk",
        line=Line.DEATH_BETWEEN_STEPS,
        happens="the machine loses power after a commit whose bytes were sent at once",
        holds="SQLite syncs each commit to the disk before it returns",
        at="settlement_node/store/database.py:_open_sqlite._prepare",
        change=Swaps("'PRAGMA synchronous=FULL'", "'PRAGMA synchronous=NORMAL'"),
        tests=(
            "tests/store/test_unit_of_work.py::"
            "test_open_engine__sqlite_file__commits_to_the_disk_before_it_returns",
        ),
    ),
    Defence(
        name="every_attempt_is_looked_up",
        line=Line.OTHER_ATTEMPT_MINED,
        happens="the first attempt is mined although a dearer one was sent since, or the reverse",
        holds="the receipts of all attempts of a transaction are asked for",
        at="settlement_node/node/stages/track.py:_look_up",
        change=Swaps(
            "receipts = it.receipts(hashes)",
            "last = [own[-1].attempt_hash for own in attempts.values() if own]\n"
            "receipts = dict.fromkeys(hashes) | it.receipts(last)",
        ),
        tests=(
            f"{KEEPING}::test_keeping__original_mined_although_cancelled__it_counts_and_is_paid_once"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="the_attempt_that_mined_is_booked",
        line=Line.OTHER_ATTEMPT_MINED,
        happens="two attempts of one nonce were out, and the older one got into the block",
        holds="the book names the attempt the receipt belongs to",
        at="settlement_node/node/stages/track.py:_look_up",
        change=Swaps(
            "_book_receipt(lane, row, attempt, receipt)",
            "_book_receipt(lane, row, own[-1][0], receipt)",
        ),
        tests=(
            f"{KEEPING}::test_keeping__original_mined_although_cancelled__it_counts_and_is_paid_once"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="replacement_keeps_its_nonce",
        line=Line.OTHER_ATTEMPT_MINED,
        happens="a replacement and the attempt it was to replace are both mined",
        holds="every attempt of a transaction is signed with its one nonce",
        at="settlement_node/node/stages/send.py:_sign",
        change=Passes("nonce", "lane.chain.client.nonce(lane.signer_address, 'pending')"),
        tests=(
            f"{KEEPING}::test_keeping__person_asks_to_speed_up__replaced_at_once[sqlite-anvil]",
        ),
    ),
    Defence(
        name="no_op_is_void",
        line=Line.NO_OP_MINED,
        happens="the no-op that took an overdue batch's nonce is mined, and succeeds",
        holds="its outcome is void, and the batch's redemptions are free to be planned anew",
        at="settlement_node/booking/outcomes.py:record_final",
        change=Swaps(
            "mined_kind is AttemptKind.CANCEL",
            "mined_kind is AttemptKind.CANCEL and not row.evm_succeeded",
        ),
        tests=(
            f"{KEEPING}::test_keeping__cancelled__noop_mined_void_and_planned_anew[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="overdue_is_cancelled",
        line=Line.NO_OP_MINED,
        happens="a batch is not mined for longer than the policy allows",
        holds="past its deadline block a no-op is signed at its nonce",
        at="settlement_node/domain/engine/keeping.py:next_step",
        change=Drops("overdue"),
        tests=("tests/domain/test_keeping.py::test_next_step__to_be_cancelled__is_cancelled",),
    ),
    Defence(
        name="bump_is_rounded_up",
        line=Line.FEE_LIMITS,
        happens="a raise by an eighth, rounded down, lands exactly on a client's limit",
        holds="one wei is added to the raise, so that it is strictly above",
        at="settlement_node/domain/engine/fees.py:raised",
        change=Returns("old_wei * 9 // 8"),
        tests=(
            "tests/domain/test_fees.py::"
            "test_raised__1_to_2000_wei__is_strictly_above_every_clients_limit",
        ),
    ),
    Defence(
        name="both_fees_rise",
        line=Line.FEE_LIMITS,
        happens="a client refuses a replacement that raises the cap and leaves the tip",
        holds="tip and cap are raised together",
        at="settlement_node/domain/engine/fees.py:bump",
        change=Swaps(
            "raised(old.max_priority_fee_per_gas_wei)", "old.max_priority_fee_per_gas_wei"
        ),
        tests=(
            "tests/domain/test_fees.py::test_bump__quiet_market__raises_both_by_an_eighth_and_one",
            f"{KEEPING}::test_keeping__dropped_and_old__replaced_with_both_fees_an_eighth_up"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="ceiling_is_kept",
        line=Line.FEE_LIMITS,
        happens="bump after bump the fee reaches what the operator is willing to pay at most",
        holds="a replacement that would pass the ceiling is not signed",
        at="settlement_node/domain/engine/fees.py:bump",
        change=Swaps("cap > ceiling_wei", "tip > ceiling_wei"),
        tests=(
            "tests/domain/test_fees.py::test_bump__next_step_one_above_the_ceiling__bumps_nothing",
        ),
    ),
    Defence(
        name="at_the_ceiling_the_bytes_go_on",
        line=Line.FEE_LIMITS,
        happens="the fee cannot be raised any more and the mempools forget the transaction",
        holds="the last bytes are sent again with every step",
        at="settlement_node/node/stages/keep.py:keep",
        change=Swaps("again += [(row, attempt) for attempt in own[-2:]]", "continue"),
        tests=(
            f"{KEEPING}::"
            "test_keeping__fee_at_the_ceiling__sent_again_with_an_alert_and_recovers[sqlite-anvil]",
        ),
    ),
    Defence(
        name="at_the_ceiling_somebody_is_told",
        line=Line.FEE_LIMITS,
        happens="a transaction is stuck at the ceiling and nobody knows",
        holds="an alert names the nonce, the fee it would need and the ceiling",
        at="settlement_node/node/stages/keep.py:_order",
        change=Passes("detail", "None"),
        tests=(
            f"{KEEPING}::"
            "test_keeping__fee_at_the_ceiling__sent_again_with_an_alert_and_recovers[sqlite-anvil]",
        ),
    ),
)
