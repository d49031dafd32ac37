"""Defences of a lane: mempools, strangers, nonces, the signer, many in flight, large batches."""

from __future__ import annotations

from tests.defences.changes import Adds, Always, Drops, Never, Passes, Returns, Swaps, Text
from tests.defences.model import Defence, Line

KEEPING = "chain_tests/cycle/test_keeping.py"
SENDING_TESTS = "tests/chain/test_sending.py"
CYCLE_SENDING = "chain_tests/cycle/test_sending.py"
STRANGERS = "chain_tests/cycle/test_strangers.py"
SIGNERS = "chain_tests/signers/test_signer_failures.py"
REVERTS = "chain_tests/cycle/test_reverts.py"
MANY = "chain_tests/cycle/test_many_in_flight.py"

LANES: tuple[Defence, ...] = (
    Defence(
        name="dropped_is_sent_again",
        line=Line.MEMPOOL_TROUBLE,
        happens="every mempool forgets a transaction that waits",
        holds="unmined bytes are sent again after so many blocks",
        at="settlement_node/domain/engine/keeping.py:next_step",
        change=Never("rebroadcast_after_blocks"),
        tests=(
            "tests/domain/test_keeping.py::"
            "test_next_step__a_block_later__sends_the_same_bytes_again",
            f"{KEEPING}::test_keeping__dropped_from_every_mempool__same_bytes_are_sent_again"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="full_mempool_is_waited_for",
        line=Line.MEMPOOL_TROUBLE,
        happens="the mempools are full and take nothing",
        holds="that is no fault of the bytes: they wait, and are sent again unchanged",
        at="settlement_node/node/stages/send.py:NEVER_MINEABLE",
        change=Adds("SendRejection.MEMPOOL_FULL"),
        tests=(
            f"{CYCLE_SENDING}::test_send__refused_in_passing__same_bytes_until_taken"
            "[pyevm-sqlite-txpool is full]",
        ),
    ),
    Defence(
        name="already_known_is_success",
        line=Line.MEMPOOL_TROUBLE,
        happens="an endpoint has the transaction already and answers with an error",
        holds="having it already is what was wanted: accepted",
        at="settlement_node/chain/endpoints/endpoint.py:Endpoint.send_raw",
        change=Never("ALREADY_KNOWN"),
        tests=(f"{SENDING_TESTS}::test_send_raw__any_endpoint_has_it__accepted",),
    ),
    Defence(
        name="nonce_too_low_is_looked_up",
        line=Line.MEMPOOL_TROUBLE,
        happens="an endpoint calls the nonce of our own transaction used up",
        holds="nothing is given up for it: the receipt tells what is mined",
        at="settlement_node/node/stages/send.py:NEVER_MINEABLE",
        change=Adds("SendRejection.NONCE_TOO_LOW"),
        tests=(
            f"{CYCLE_SENDING}::test_send__refused_in_passing__same_bytes_until_taken"
            "[pyevm-sqlite-nonce too low]",
        ),
    ),
    Defence(
        name="stranger_stops_the_lane",
        line=Line.STRANGER,
        happens="a transaction that is not ours is final at a nonce we gave",
        holds="the lane stops with a break for a person; nothing is sent again",
        at="settlement_node/domain/engine/nonces.py:judge_sighting",
        change=Always("polls_min"),
        tests=(
            f"{STRANGERS}::test_stranger__foreign_transaction_mined_at_our_nonce__"
            "lane_stops_and_nothing_is_sent_again[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="one_sighting_is_no_stranger",
        line=Line.STRANGER,
        happens="an endpoint shows a used nonce once, in a block that does not stay",
        holds="a stranger is believed after several sightings, in a final block",
        at="settlement_node/domain/engine/nonces.py:judge_sighting",
        change=Swaps("polls < polls_min or not is_final", "polls < 1"),
        tests=(
            f"{STRANGERS}::test_stranger__only_seen_once_then_gone__lane_goes_on[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="late_receipt_is_no_stranger",
        line=Line.STRANGER,
        happens="the only endpoint has our transaction in a final block, and no receipt of it",
        holds="bytes that an endpoint has at a used nonce are mined: their receipt is waited for",
        at="settlement_node/node/stages/track.py:_is_known",
        change=Returns("False"),
        tests=(
            f"{STRANGERS}::test_stranger__our_own_is_final_and_its_receipt_is_late__"
            "lane_waits_for_it[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="late_receipt_is_waited_for_so_long",
        line=Line.STRANGER,
        happens="somebody has the key, and an endpoint shows our bytes at that nonce for ever",
        holds="having bytes proves no mining: the lane stops once it has waited long enough",
        at="settlement_node/node/stages/track.py:_watch_for_strangers",
        change=Swaps("polls < RECEIPT_LATE_POLLS", "True"),
        tests=(
            f"{STRANGERS}::test_stranger__an_endpoint_shows_our_dropped_bytes_for_ever__"
            "lane_stops_all_the_same[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="unexplained_nonces_stop_the_start",
        line=Line.STRANGER,
        happens="while the node was away the key was used at nonces the book never gave",
        holds="they are accepted only if the settlers' events show them as ours",
        at="settlement_node/domain/engine/nonces.py:explain_gap",
        change=Swaps("Judged.STRANGER", "Judged.RESTORED"),
        tests=(
            f"{STRANGERS}::test_stranger__used_a_nonce_the_book_never_gave__"
            "next_start_refuses_to_plan[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="nonces_are_the_books",
        line=Line.NONCE_VIEWS,
        happens="the endpoint that is asked for a nonce has not seen our last transactions",
        holds="the next nonce is the book's own, given in the commit that plans",
        at="settlement_node/node/stages/plan.py:_commit_batch",
        change=Passes("nonce", "lane.chain.client.nonce(lane.signer_address)"),
        tests=(
            "chain_tests/cycle/test_whole_cycle.py::"
            "test_cycle__batches_in_flight__chained_by_the_ratchet_and_mined_in_one_block",
        ),
    ),
    Defence(
        name="lag_is_no_drift",
        line=Line.NONCE_VIEWS,
        happens="after a restart the chain's nonce is below the book's: ours are still under way",
        holds="only a nonce above the book's needs an explanation",
        at="settlement_node/domain/engine/nonces.py:judge_nonce",
        change=Swaps("chain_nonce <= book_nonce", "chain_nonce == book_nonce"),
        tests=(
            f"{SIGNERS}::test_signer__down_while_a_node_restarts__same_transaction_goes_on"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="nonce_at_the_agreed_head",
        line=Line.NONCE_VIEWS,
        happens="the endpoint that answers is ahead of the others, behind them, or on a fork",
        holds="nonces are read at the hash of the agreed head, or not at all",
        at="settlement_node/chain/client.py:ChainClient._of_account",
        change=Swaps("{'blockHash': at.block_hash}", "hex(at.number)"),
        tests=(
            "tests/chain/test_reads.py::test_nonce__at_the_head_or_below__at_the_agreed_blocks_hash",
        ),
    ),
    Defence(
        name="nonce_is_given_in_turn",
        line=Line.NONCE_VIEWS,
        happens="a nonce is planned that is not the lane's next",
        holds="the commit that gives a nonce moves the lane's own count, or fails",
        at="settlement_node/store/engine/transactions.py:plan_transaction",
        change=Never("rowcount"),
        tests=(
            "tests/store/test_invariants.py::"
            "test_plan_transaction__not_the_lanes_next_nonce__breaks_and_plans_nothing"
            "[sqlite-one too far]",
        ),
    ),
    Defence(
        name="signed_before_the_failure_goes_out",
        line=Line.SIGNER_AWAY,
        happens="the signer goes away between two signings",
        holds="what it signed is stored and sent all the same",
        at="settlement_node/node/stages/send.py:_sign",
        change=Swaps("return signed, error", "return [], error"),
        tests=(
            f"{SIGNERS}::test_signer__fails_between_two_signings__the_first_goes_out[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="resending_does_not_wait_for_the_signer",
        line=Line.SIGNER_AWAY,
        happens="the signer is away while a replacement is due, and the mempools forget",
        holds="what is to be sent again goes first, and needs no signer",
        at="settlement_node/node/stages/keep.py:keep",
        change=Swaps(
            "broadcast(...)\nif orders:\n    sign_and_broadcast(...)",
            "if orders:\n    sign_and_broadcast(...)\nbroadcast(...)",
        ),
        tests=(
            f"{SIGNERS}::test_signer__fails_at_a_replacement__what_is_signed_is_sent_again"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="no_nonces_for_a_silent_signer",
        line=Line.SIGNER_AWAY,
        happens="the signer is away for hours while orders come in",
        holds="what is planned must be signed before more is planned; one transaction waits",
        at="settlement_node/node/cycle.py:_act",
        change=Swaps("keep(...) + send(...)", "keep(...)"),
        tests=(
            f"{SIGNERS}::test_signer__fails_for_many_passes__one_alert_and_one_transaction_waits"
            "[pyevm-sqlite-down]",
        ),
    ),
    Defence(
        name="silent_signer_is_told",
        line=Line.SIGNER_AWAY,
        happens="nothing is signed any more and nobody knows",
        holds="an alert for as long as the signer fails",
        at="settlement_node/node/stages/send.py:sign_and_broadcast",
        change=Swaps("_note_signer(tx, lane, failure)", "_note_signer(tx, lane, None)"),
        tests=(
            f"{SIGNERS}::test_signer__fails_for_many_passes__one_alert_and_one_transaction_waits"
            "[pyevm-sqlite-down]",
        ),
    ),
    Defence(
        name="wrong_signature_is_refused",
        line=Line.SIGNER_AWAY,
        happens="the signer answers with a signature of another key",
        holds="the sender is computed from the signature; another one is never sent",
        at="settlement_node/chain/signers/base.py:sign_with",
        change=Never("recovered"),
        tests=("tests/chain/test_signers.py::test_sign_with__signature_of_another_key__refused",),
    ),
    Defence(
        name="one_question_for_all_receipts",
        line=Line.MANY_IN_FLIGHT,
        happens="more than a hundred transactions are out and each costs a round trip",
        holds="receipts of all attempts are asked for together",
        at="settlement_node/node/stages/track.py:_look_up",
        change=Swaps("it.receipts(hashes)", "{h: it.receipts([h])[h] for h in hashes}"),
        tests=(
            f"{MANY}::test_track__over_a_hundred_unfinal__all_booked_in_one_pass_of_few_questions",
        ),
    ),
    Defence(
        name="all_unmined_are_tracked",
        line=Line.MANY_IN_FLIGHT,
        happens="the book has more unmined transactions than a page of them",
        holds="a pass reads all of a lane's unmined transactions",
        at="settlement_node/store/engine/transactions.py:_unfinal",
        change=Swaps("UNFINAL_MAX", "50"),
        tests=(
            f"{MANY}::test_track__over_a_hundred_unfinal__all_booked_in_one_pass_of_few_questions",
        ),
    ),
    Defence(
        name="unmined_and_unfinal_are_bounded_apart",
        line=Line.MANY_IN_FLIGHT,
        happens="finality takes a quarter of an hour, and clients keep 16 of an account",
        holds="the small bound counts what is unmined, a far larger one what is not final",
        at="settlement_node/node/stages/ratchet.py:read_book_view",
        change=Swaps("policy.unfinal_max", "policy.in_flight_max"),
        tests=(f"{MANY}::test_plan__finality_is_far_away__only_what_is_unmined_bounds_it",),
    ),
    Defence(
        name="unfinal_are_bounded",
        line=Line.MANY_IN_FLIGHT,
        happens="finality does not come for days, while everything is mined",
        holds="past a bound nothing more is planned until the first ones are final",
        at="settlement_node/node/stages/ratchet.py:read_book_view",
        change=Never("unfinal_max"),
        tests=(
            f"{MANY}::test_plan__as_many_unfinal_as_may_be__waits_for_the_first_to_become_final",
        ),
    ),
    Defence(
        name="waiting_for_finality_costs_nothing",
        line=Line.MANY_IN_FLIGHT,
        happens="thousands of batches are mined and far from final",
        holds="a pass reads what is unmined, and of the mined ones those at the final line",
        at="settlement_node/node/work.py:read_work",
        change=Drops("to_block"),
        tests=(f"{MANY}::test_pass__over_a_hundred_mined_and_far_from_final__reads_none_of_them",),
    ),
    Defence(
        name="large_questions_are_cut",
        line=Line.MANY_IN_FLIGHT,
        happens="an endpoint takes no more than so many requests in one batch",
        holds="a longer list goes out in several batches, and no answer is lost",
        at="settlement_node/chain/wire/transport.py:HttpTransport.request",
        change=Swaps(
            "range(0, len(requests), self._batch_requests_max)",
            "range(0, 1, self._batch_requests_max)",
        ),
        tests=(
            "tests/chain/test_transport.py::"
            "test_request__more_than_the_bound__several_batches_in_order",
        ),
    ),
    Defence(
        name="unfinal_by_index",
        line=Line.MANY_IN_FLIGHT,
        happens="years of finished transactions slow every look at the few open ones",
        holds="the query names the status, so that the partial index serves it",
        at="settlement_node/store/engine/transactions.py:_unfinal",
        change=Swaps("word(TransactionStatus.FINAL)", "TransactionStatus.FINAL.value"),
        tests=(
            "tests/store/test_query_plans.py::test_unmined__statement__names_the_status_so_that_the"
            "_partial_index_fits",
        ),
    ),
    Defence(
        name="batch_fits_the_block",
        line=Line.BATCH_TOO_LARGE,
        happens="the block's gas limit is smaller than the batch",
        holds="a batch is cut to a part of the block's gas before it is planned",
        at="settlement_node/domain/planning.py:_fit_gas",
        change=Swaps(
            "block * bounds.batch_gas_bps // 10_000",
            "2 * batching.TRANSACTION_GAS_MAX",
        ),
        tests=(f"{REVERTS}::test_revert__block_gas_limit_below_the_batch__split_not_stuck",),
    ),
    Defence(
        name="reverted_batch_is_halved",
        line=Line.BATCH_TOO_LARGE,
        happens="one redemption makes every batch it is in revert",
        holds="those of a reverted batch go on in halves, until the culprit stands alone",
        at="settlement_node/booking/outcomes.py:_void",
        change=Swaps('{"reverted_batch_size": settlement.items_count} if at_fault else {}', "{}"),
        tests=(
            f"{REVERTS}::"
            "test_revert__one_item_spoils_every_batch__halved_until_it_stands_alone_and_is_held",
        ),
    ),
    Defence(
        name="large_preview_is_halved",
        line=Line.BATCH_TOO_LARGE,
        happens="the preview of a large batch runs out of the gas an endpoint gives a call",
        holds="it is asked for in halves, down to single items",
        at="settlement_node/chain/contracts/settler_reads.py:preview_items",
        change=Never("gas_bounded", "items"),
        tests=(
            "tests/chain/test_reads.py::"
            "test_preview__too_large_for_one_call__in_halves_and_in_order",
        ),
    ),
    Defence(
        name="gas_is_counted_before_each_item",
        line=Line.BATCH_TOO_LARGE,
        happens="the transaction has less gas than its items need",
        holds="the settler reverts as a whole rather than fail an item for want of gas",
        at="contracts/RedemptionSettler.sol",
        change=Text(
            "            if (gasleft() < _gasNeeded) revert GasTooLow(gasleft(), _gasNeeded);\n",
            "",
        ),
        tests=(
            "contracts/test/GasSafety.t.sol::test_gas__too_low_for_a_later_item__nothing_settled",
        ),
    ),
    Defence(
        name="a_second_gap_joins_the_first",
        line=Line.OLD_BACKUP,
        happens="the backup of a book that was just restored is restored",
        holds="the batches of both gaps are that book's own, and the lane goes on",
        at="settlement_node/node/lanes.py:_go_on_restored",
        change=Swaps("row.restored_below_nonce == book_nonce", "False"),
        tests=(
            "chain_tests/cycle/test_restored_book.py::"
            "test_restore__of_a_backup_taken_in_the_middle_of_a_restore__no_batch_is_a_strangers"
            "[pyevm-sqlite]",
        ),
    ),
)
