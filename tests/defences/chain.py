"""Defences against what the chain and its endpoints do: forks, lags, missing logs, fees, halts."""

from __future__ import annotations

from tests.defences.changes import Always, Drops, Never, Passes, Returns, Skips, Swaps
from tests.defences.model import Defence, Line

HEADS = "tests/chain/test_heads.py"
LOGS = "tests/chain/test_logs.py"
POSTINGS = "tests/domain/test_postings.py"
REORG = "chain_tests/reorg/test_reorganisation.py"
MISSING = (
    "chain_tests/cycle/test_missing_logs.py::"
    "test_scan__a_whole_batch_left_out__nothing_planned_until_it_is_read"
)
WATCH = "chain_tests/cycle/test_watch.py"

CHAIN: tuple[Defence, ...] = (
    Defence(
        name="heads_by_hash",
        line=Line.REORGANISATION,
        happens="another block takes the place of the newest one, at the same height",
        holds="heads are remembered and compared by hash, not by number",
        at="settlement_node/domain/engine/following.py:follow",
        change=Swaps(
            "remembered.latest == (head.number, head.block_hash)",
            "remembered.latest is not None and remembered.latest[0] == head.number",
        ),
        tests=(
            f"{REORG}::test_reorg__same_height_other_hash__seen_although_the_number_is_the_same"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="undone_with_its_block",
        line=Line.REORGANISATION,
        happens="the block that held a payment is replaced by one that does not",
        holds="the transaction is waiting again, its redemptions are not paid any more",
        at="settlement_node/booking/undo.py:undo_from",
        change=Skips("undo_mined"),
        tests=(
            f"{REORG}::test_reorg__before_finality__settling_again_then_paid_once[sqlite-pyevm]",
            f"{REORG}::test_reorg__mined_again_in_another_block__booked_at_the_new_place"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="ledger_undone_too",
        line=Line.REORGANISATION,
        happens="a payment is taken back by the chain and the ledger keeps it",
        holds="the posting is reversed in the same commit as the status",
        at="settlement_node/domain/postings.py:movements",
        change=Swaps("(*left, *changed)", "(*changed,)"),
        tests=(
            f"{POSTINGS}::test_ledger__any_path__balances_and_says_what_is_burned_owed_and_paid",
            f"{REORG}::test_reorg__before_finality__settling_again_then_paid_once[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="held_remembers_where_from",
        line=Line.MEANWHILE,
        happens="an order whose shares are burned already is held, and released again",
        holds="it goes back to where it was held from, and can only be paid or returned from there",
        at="settlement_node/domain/lifecycle.py:advance_redemption",
        change=Swaps(
            "REDEMPTION_TABLE",
            "{**REDEMPTION_TABLE, (HELD_FROM_BURNED, _F.HOLD_RELEASED): Standing(_R.APPROVED)}",
        ),
        tests=(
            "tests/domain/test_lifecycle.py::"
            "test_advance_redemption__burned_held_and_released__can_only_be_paid",
        ),
    ),
    Defence(
        name="void_payout_leaves_it_burned",
        line=Line.NO_OP_MINED,
        happens="the payout of an order whose shares are burned is proven void",
        holds="it is burned again, not approved: its shares are never burned twice",
        at="settlement_node/domain/lifecycle.py:advance_redemption",
        change=Swaps(
            "REDEMPTION_TABLE",
            "{**REDEMPTION_TABLE, (Standing(_R.PAYING), _F.SETTLEMENT_VOIDED):"
            " Standing(_R.APPROVED)}",
        ),
        tests=(
            "tests/domain/test_lifecycle.py::"
            "test_advance_redemption__payout_of_a_burned_one_void__is_burned_again",
        ),
    ),
    Defence(
        name="fork_begins_at_the_lowest_change",
        line=Line.REORGANISATION,
        happens="several remembered blocks are replaced, and ours come back in another order",
        holds="everything from the lowest changed block on is undone",
        at="settlement_node/domain/engine/finality.py:find_fork",
        change=Swaps("min(differing)", "max(differing)"),
        tests=(
            "tests/domain/test_finality.py::"
            "test_find_fork__remembered_with_gaps__starts_at_the_lowest_difference",
            f"{REORG}::test_reorg__order_of_two_batches_blocks_reversed__one_waits_for_the_other"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="asked_once_more_before_final",
        line=Line.REORGANISATION,
        happens="the node sleeps longer than it remembers blocks, and the chain changes meanwhile",
        holds="before anything counts as final, its block's hash is asked for once more",
        at="settlement_node/node/stages/track.py:_finish",
        change=Swaps("block.block_hash != row.block_hash", "block.number != row.block_number"),
        tests=(
            f"{REORG}::test_reorg__in_blocks_nobody_remembered__undone_at_the_last_look"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="nothing_final_before_its_time",
        line=Line.REORGANISATION,
        happens="a payment is called settled and its block is replaced afterwards",
        holds="settled is what stands at or below the final block",
        at="settlement_node/node/work.py:read_work",
        change=Passes("to_block", "final_number + 1_000"),
        tests=(
            f"{REORG}::test_reorg__before_finality__settling_again_then_paid_once[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="unknown_tag_is_not_final",
        line=Line.REORGANISATION,
        happens="an endpoint does not know the tag by which blocks are called final",
        holds="without an answer no block is final",
        at="settlement_node/domain/engine/finality.py:final_number",
        change=Swaps(
            "-1 if tag is None else max(min(by_depth, tag), -1)",
            "max(by_depth if tag is None else min(by_depth, tag), -1)",
        ),
        tests=(
            "tests/domain/test_finality.py::"
            "test_final_number__by_mode_depth_and_tags__is_the_lower_of_both",
        ),
    ),
    Defence(
        name="deep_fork_stops_the_lane",
        line=Line.DEEP_REORGANISATION,
        happens="the chain replaces blocks below the line that had counted as final",
        holds="the lane is paused with a break, nothing is undone and nothing sent",
        at="settlement_node/domain/engine/following.py:follow",
        change=Always("crosses_finality"),
        tests=(
            f"{REORG}::test_reorg__deeper_than_finality__"
            "lane_stops_with_a_break_and_nothing_is_sent_again[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="the_final_block_itself_counts",
        line=Line.DEEP_REORGANISATION,
        happens="of all final blocks just the last one is replaced",
        holds="the line includes the last final block",
        at="settlement_node/domain/engine/finality.py:crosses_finality",
        change=Returns("fork.first_undone_number < final_block_number"),
        tests=(
            "tests/domain/test_finality.py::test_crosses_finality__fork_at_8__does_if_8_was_final",
        ),
    ),
    Defence(
        name="stopped_lane_sends_nothing",
        line=Line.DEEP_REORGANISATION,
        happens="a batch is in flight when the lane is stopped, and the chain forgets it",
        holds="on a paused lane nothing is sent again, replaced or cancelled",
        at="settlement_node/node/context.py:Lane.may_send",
        change=Always("paused"),
        tests=(
            "chain_tests/cycle/test_pauses.py::test_pause__of_a_lane_whose_batch_the_mempools_forgot"
            "__sent_again_only_when_resumed",
        ),
    ),
    Defence(
        name="pause_is_read_before_sending_again",
        line=Line.DEEP_REORGANISATION,
        happens="a lane is stopped while a pass, which read its open work before, is under way",
        holds="whether anything may leave is read again when something is to leave",
        at="settlement_node/node/stages/keep.py:keep",
        change=Swaps("lane.work_now()", "lane.work()"),
        tests=(
            "chain_tests/cycle/test_pauses.py::test_pause__of_a_lane_while_a_pass_is_under_way__"
            "that_pass_sends_nothing_again",
        ),
    ),
    Defence(
        name="falling_head_is_a_lag",
        line=Line.FALSE_ENDPOINT,
        happens="the head falls back without another block anywhere: an endpoint flaps",
        holds="for a while a lower head on the same chain is not followed",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker.refresh",
        change=Never("_is_lag"),
        tests=(
            f"{HEADS}::test_refresh__flapping_endpoint__never_goes_back",
            f"{HEADS}::test_refresh__head_falls_back_on_one_chain__ignored",
        ),
    ),
    Defence(
        name="enough_must_agree",
        line=Line.FALSE_ENDPOINT,
        happens="one of two endpoints follows another fork",
        holds="a block counts when as many endpoints as configured have it under one hash",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker._agree",
        change=Always("winners", "needed"),
        tests=(f"{HEADS}::test_refresh__two_endpoints_differ_at_the_tip__last_common_block",),
    ),
    Defence(
        name="nobody_is_believed_alone",
        line=Line.FALSE_ENDPOINT,
        happens="one endpoint names a head far above all others",
        holds="the head is the highest that enough endpoints have reached",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker._agree",
        change=Swaps("needed - 1", "0"),
        tests=(f"{HEADS}::test_refresh__endpoint_far_ahead_alone__not_believed",),
    ),
    Defence(
        name="other_chain_has_no_say",
        line=Line.FALSE_ENDPOINT,
        happens="an endpoint serves another chain since its provider changed something",
        holds="its chain id is asked for with every head; another one is left out",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker._poll_one",
        change=Swaps("head.chain_id != self._chain_id", "False"),
        tests=(f"{HEADS}::test_refresh__wrong_chain__that_endpoint_has_no_say",),
    ),
    Defence(
        name="state_at_the_agreed_head",
        line=Line.FALSE_ENDPOINT,
        happens="balances and the settler's state are read from an endpoint that is behind",
        holds="state is read at the agreed head's hash; who lacks it fails",
        at="settlement_node/chain/client.py:ChainClient._at",
        change=Swaps("{'blockHash': self._block_at(block).block_hash}", "'latest'"),
        tests=("tests/chain/test_reads.py::test_calls__at_the_head_or_below__at_the_blocks_hash",),
    ),
    Defence(
        name="coins_at_the_agreed_head",
        line=Line.FALSE_ENDPOINT,
        happens="coins are read from an endpoint that has left the agreed head",
        holds="they are read at the agreed block's hash; who lacks it fails",
        at="settlement_node/chain/client.py:ChainClient._of_account",
        change=Swaps("{'blockHash': at.block_hash}", "hex(at.number)"),
        tests=(
            "chain_tests/assumptions/test_chain.py::test_reorganise__without_looking_again__"
            "state_of_the_old_head_is_refused[pyevm]",
        ),
    ),
    Defence(
        name="refused_range_is_halved",
        line=Line.LOGS_MISSING,
        happens="an endpoint refuses a range of blocks, or so many results",
        holds="the page is halved until it passes, and remembered",
        at="settlement_node/chain/contracts/logs.py:LogReader._page",
        change=Swaps("end == start", "end >= start"),
        tests=(
            f"{LOGS}::test_settler_events__range_refused__pages_halve_and_cover_every_block_once",
        ),
    ),
    Defence(
        name="batches_are_counted",
        line=Line.LOGS_MISSING,
        happens="an endpoint leaves out some logs of a transaction",
        holds="each batch tells how many items it settled and skipped; a gap is noticed",
        at="settlement_node/chain/contracts/logs.py:read_events",
        change=Swaps("incomplete is not None", "incomplete is not None and not events"),
        tests=(f"{LOGS}::test_settler_events__an_event_left_out__transient",),
    ),
    Defence(
        name="batches_follow_one_another",
        line=Line.LOGS_MISSING,
        happens="an endpoint leaves out all logs of a batch in the middle of others",
        holds="a batch names the hash it follows; where that is not the last one, it is read again",
        at="settlement_node/node/stages/scan.py:_check_follows",
        change=Never("previous_batch_hash"),
        tests=(f"{MISSING}[pyevm-sqlite-middle]",),
    ),
    Defence(
        name="events_end_where_the_settler_stands",
        line=Line.LOGS_MISSING,
        happens="an endpoint leaves out all logs of the newest batch",
        holds="the last batch read must be the settler's own hash, or nothing is acted on",
        at="settlement_node/node/stages/scan.py:_scan_settler",
        change=Never("batch_hash"),
        tests=(f"{MISSING}[pyevm-sqlite-newest]",),
    ),
    Defence(
        name="events_are_whole_before_they_count",
        line=Line.LOGS_MISSING,
        happens="a batch is left out, and where the settler stands is not answered in that pass",
        holds="until both were compared nothing is acted on, though no block comes in between",
        at="settlement_node/node/stages/scan.py:_scan_settler",
        change=Swaps(
            "address not in lane.memory.whole and start == lane.head.number + 1",
            "first <= lane.head.number",
        ),
        tests=(
            "chain_tests/cycle/test_missing_logs.py::test_scan__a_batch_left_out_and_the_ratchet"
            "_not_answered__looked_at_in_the_next_pass_too[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="logs_only_from_who_has_the_head",
        line=Line.LOGS_MISSING,
        happens="an endpoint without the newest blocks answers a range with less than there is",
        holds="logs count only together with the agreed head from the same endpoint",
        at="settlement_node/chain/contracts/logs.py:LogReader._logs_of",
        change=Swaps(
            "at_head is None or at_head.block_hash != head.block_hash",
            "at_head is not None and at_head.block_hash != head.block_hash",
        ),
        tests=(f"{LOGS}::test_settler_events__endpoints_lost_the_head__next_endpoints_are_asked",),
    ),
    Defence(
        name="balances_are_compared",
        line=Line.LOGS_MISSING,
        happens="the treasury's money moves and no log tells of it",
        holds="the balance must be what its transfers make it, or a break opens",
        at="settlement_node/domain/reconciliation.py:_totals",
        change=Swaps("chain.treasury_after_base_units", "None"),
        tests=(
            "tests/domain/test_reconciliation.py::"
            "test_compare__total_is_not_what_its_transfers_make_it__is_a_break",
        ),
    ),
    Defence(
        name="spike_stops_at_the_ceiling",
        line=Line.FEES_AND_HALTS,
        happens="the base fee multiplies within minutes",
        holds="no fee is offered above the ceiling; the transaction waits",
        at="settlement_node/domain/engine/fees.py:market_fees",
        change=Swaps("min(cap, policy.cap_ceiling_wei)", "cap"),
        tests=(
            "tests/domain/test_fees.py::test_market_fees__base_fee_spike__stops_at_the_ceiling",
        ),
    ),
    Defence(
        name="outpriced_is_replaced",
        line=Line.FEES_AND_HALTS,
        happens="the base fee has left behind what was offered, and nothing of ours is mined",
        holds="the lowest waiting nonce is replaced at the market's price after so many blocks",
        at="settlement_node/domain/engine/keeping.py:next_step",
        change=Never("replace_after_blocks"),
        tests=("tests/domain/test_keeping.py::test_next_step__lowest_and_old__is_replaced",),
    ),
    Defence(
        name="halt_is_told",
        line=Line.FEES_AND_HALTS,
        happens="no block comes for minutes",
        holds="an alert for as long as the head stands still",
        at="settlement_node/domain/watching.py:judge_lane",
        change=Never("HALTED_AFTER"),
        tests=(f"{WATCH}::test_watch__no_new_block_for_long__says_so_until_one_comes",),
    ),
    Defence(
        name="stuck_is_told",
        line=Line.FEES_AND_HALTS,
        happens="blocks come one after another and all stay empty",
        holds="an alert names the nonce that is not mined",
        at="settlement_node/domain/watching.py:judge_lane",
        change=Never("STUCK_AFTER_BLOCKS"),
        tests=(
            f"{WATCH}::test_watch__blocks_stay_empty__names_the_nonce_that_waits_until_it_is_mined",
        ),
    ),
    Defence(
        name="told_although_nobody_is_at_the_settler",
        line=Line.FEES_AND_HALTS,
        happens="a chain was started anew, and nobody answers at a settler's address",
        holds="the look at the lane's alerts goes on without it, and says what is wrong",
        at="settlement_node/node/stages/watch.py:_ask",
        change=Drops("Refused"),
        tests=(
            "chain_tests/cycle/test_watch.py::"
            "test_watch__nobody_answers_at_a_settler__the_rest_is_told_all_the_same[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="a_token_that_stands_still_is_told_before_anybody_waits",
        line=Line.FEES_AND_HALTS,
        happens="a token is paused on the chain while no order of the fund is due",
        holds="watching asks the tokens themselves, and tells a pause at once",
        at="settlement_node/domain/watching.py:judge_fund_on_chain",
        change=Never("paused_token"),
        tests=(
            "tests/domain/test_watching.py::"
            "test_judge_fund_on_chain__one_thing_is_wrong__tells_that[changes3-token_stopped]",
        ),
    ),
)
