"""Defences against what the database, other nodes, clocks and callers do."""

from __future__ import annotations

from tests.defences.changes import Adds, Drops, Gives, Never, Passes, Returns, Skips, Swaps, Text
from tests.defences.model import Defence, Line

TRANSIENT = "tests/store/test_transient.py"
RESTORED = "chain_tests/cycle/test_restored_book.py"
RACES = "chain_tests/cycle/test_planning_races.py"
LEASES = "tests/store/test_leases.py"
IDEMPOTENCY = "tests/api/test_idempotency.py"

DATABASE: tuple[Defence, ...] = (
    Defence(
        name="all_or_nothing",
        line=Line.DATABASE_FAILS,
        happens="a unit of work ends in an error after half of its statements",
        holds="nothing of it is kept: rows, facts, postings and events go together",
        at="settlement_node/store/database.py:Store.transaction",
        change=Swaps(
            "yield tx\nemitted = tx.flush()",
            "try:\n    yield tx\nfinally:\n    emitted = tx.flush()\n    connection.commit()",
        ),
        tests=(
            "tests/store/test_unit_of_work.py::"
            "test_transaction__ended_by_an_error__leaves_nothing_behind[sqlite]",
        ),
    ),
    Defence(
        name="unanswered_commit_is_open",
        line=Line.DATABASE_FAILS,
        happens="the connection breaks during the commit itself",
        holds="the error says that it may have happened; the next step decides by what it reads",
        at="settlement_node/store/database.py:Store.transaction",
        change=Swaps("step.committing = True", "step.committing = False"),
        tests=(
            f"{TRANSIENT}::test_transaction__connection_lost_during_the_commit__"
            "says_that_it_may_have_happened[postgresql]",
        ),
    ),
    Defence(
        name="unanswered_commit_is_not_repeated_blindly",
        line=Line.DATABASE_FAILS,
        happens="the API's commit is not answered, and may have happened",
        holds="the same work is not done again in the same request; the caller's retry finds it",
        at="settlement_node/api/idempotency.py:_worth_another_try",
        change=Drops("commit_unanswered"),
        tests=(
            f"{IDEMPOTENCY}::"
            "test_no_key__commit_not_answered__is_503_and_the_work_is_not_done_again[postgresql]",
        ),
    ),
    Defence(
        name="deadlock_is_tried_again",
        line=Line.DATABASE_FAILS,
        happens="two transactions wait for one another and the database ends one",
        holds="its code is known as passing: Transient, the same work again",
        at="settlement_node/store/database.py:TRANSIENT_STATES",
        change=Drops("40P01"),
        tests=(
            f"{TRANSIENT}::"
            "test_transaction__deadlock__one_goes_on_and_the_other_is_transient[postgresql]",
        ),
    ),
    Defence(
        name="failover_is_waited_for",
        line=Line.DATABASE_FAILS,
        happens="the server has become a standby, which takes no writes",
        holds="its code is known as passing: the stage waits for the new primary",
        at="settlement_node/store/database.py:TRANSIENT_STATES",
        change=Drops("25006"),
        tests=(
            f"{TRANSIENT}::test_transaction__server_has_become_a_standby__is_transient[postgresql]",
        ),
    ),
    Defence(
        name="full_disk_is_waited_for",
        line=Line.DATABASE_FAILS,
        happens="the disk is full",
        holds="the stage stops and tries again; nothing of the work is kept",
        at="settlement_node/store/database.py:SQLITE_MISUSE",
        change=Adds("sqlite3.SQLITE_FULL"),
        tests=(
            f"{TRANSIENT}::test_transaction__disk_full__is_transient_and_nothing_is_done[sqlite]",
        ),
    ),
    Defence(
        name="the_settlers_ratchet",
        line=Line.OLD_BACKUP,
        happens="a node on an old database sends a batch that was paid since",
        holds="the settler refuses a batch that does not follow the last one it settled",
        at="contracts/RedemptionSettler.sol",
        change=Text(
            "        if (previousBatchHash != batchHash) revert"
            " BatchHashMismatch(batchHash, previousBatchHash);\n",
            "",
        ),
        tests=(
            "contracts/test/Settle.t.sol::test_settle__batch_of_unknown_past__refused",
            "contracts/test/Settle.t.sol::test_settle__same_batch_twice__refused",
        ),
    ),
    Defence(
        name="paid_on_the_chain_is_not_planned",
        line=Line.OLD_BACKUP,
        happens="an order that another book has paid is entered again",
        holds="what the settlers' events show as paid is left out of planning",
        at="settlement_node/node/stages/plan.py:plan_fund",
        change=Swaps(
            "due = [row for row in due if row.redemption_id not in paid]",
            "paid = set()",
        ),
        tests=(
            f"{RESTORED}::"
            "test_plan__shown_as_paid_in_a_block_that_is_not_final__left_alone[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="found_settled_is_booked",
        line=Line.OLD_BACKUP,
        happens="the restored book has orders as open that were paid after the backup",
        holds="once their events are replayed and final they are booked as settled",
        at="settlement_node/node/stages/scan.py:_scan_fund",
        change=Never("has_found"),
        tests=(
            f"{RESTORED}::"
            "test_restore__orders_paid_after_the_backup__found_settled_and_the_lane_goes_on"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="lost_replacement_is_adopted",
        line=Line.OLD_BACKUP,
        happens="the attempt that was mined is one the restored book never heard of",
        holds="the settler's event names the batch, and the attempt is booked as found",
        at="settlement_node/node/stages/track.py:_watch_for_strangers",
        change=Never("_adopt_found"),
        tests=(
            f"{RESTORED}::"
            "test_restore__a_replacement_the_backup_never_saw_was_mined__taken_for_ours"
            "[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="used_indexes_are_not_given_again",
        line=Line.OLD_BACKUP,
        happens="a lost book is filled again and gives indexes the settler has used for others",
        holds="an order nothing of which was sent gets another index",
        at="settlement_node/node/stages/scan.py:_scan_page",
        change=Skips("_free_taken_indexes"),
        tests=(
            f"{RESTORED}::"
            "test_restore__orders_entered_in_another_order__their_indexes_do_not_meet_the_old_ones"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="unknown_batch_stops_the_lane",
        line=Line.STRANGER,
        happens="somebody settles at the fund's settler besides this book, at whatever price",
        holds="the lane stops in the next pass, until a person accepts that very batch",
        at="settlement_node/node/cycle.py:_observe",
        change=Skips("check_batches"),
        tests=(
            "chain_tests/cycle/test_stolen_key.py::"
            "test_stolen_key__node_runs__each_order_is_a_money_break[sqlite-pyevm]",
            "chain_tests/cycle/test_stolen_key.py::"
            "test_unknown_batch__at_the_right_price__stops_the_lane_until_a_person_accepts_it"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="behind_until_a_person_says_so",
        line=Line.OLD_BACKUP,
        happens="while no node ran, batches of the lane's key were settled: a restore, or a thief",
        holds="said until every fund is reconciled beyond them and a person closes it",
        at="settlement_node/desk/breaks.py:_check_reconciled",
        change=Returns("None"),
        tests=(
            f"{RESTORED}::"
            "test_restore__recognised__said_until_all_is_reconciled_and_a_person_closes_it"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="found_payment_is_priced",
        line=Line.STRANGER,
        happens="a stolen key settles genuine orders, to the right payees, for next to nothing",
        holds="what this book did not settle is judged by the fund's terms of its time: a money"
        " break for each",
        at="settlement_node/domain/found.py:judge",
        change=Never("expected", "paid"),
        tests=(
            "chain_tests/cycle/test_stolen_key.py::"
            "test_stolen_key__node_runs__each_order_is_a_money_break[sqlite-pyevm]",
            "chain_tests/cycle/test_stolen_key.py::"
            "test_stolen_key__node_is_down__each_order_is_a_money_break[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="found_payment_is_not_early",
        line=Line.STRANGER,
        happens="a stolen key settles orders that are dated tomorrow",
        holds="a found payment before its settlement date is a money break",
        at="settlement_node/domain/found.py:judge",
        change=Never("CLOCK_SKEW_MAX"),
        tests=(
            "chain_tests/cycle/test_stolen_key.py::"
            "test_stolen_key__orders_dated_tomorrow__too_early_whatever_the_price[sqlite-pyevm]",
        ),
    ),
    Defence(
        name="reconciliation_judges_for_itself",
        line=Line.STRANGER,
        happens="a found payment was booked as the first look at the chain had it",
        holds="reconciliation judges it again, by what the chain says then",
        at="settlement_node/domain/reconciliation.py:_events_against_book",
        change=Never("judgement"),
        tests=(
            "chain_tests/cycle/test_stolen_key.py::"
            "test_stolen_key__reconciliation__judges_by_what_the_chain_says_then[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="signed_keeps_its_index",
        line=Line.FALSE_ENDPOINT,
        happens="an endpoint calls a signed batch void and shows its index as another order's",
        holds="an order of which anything was ever signed keeps its index: the settler refuses a"
        " second payment by it",
        at="settlement_node/store/book/orders.py:give_new_index",
        change=Never("_was_ever_bound"),
        tests=(
            "tests/store/test_indexes.py::"
            "test_give_new_index__its_batch_is_void__kept_once_it_was_signed",
        ),
    ),
    Defence(
        name="one_holder_of_a_lease",
        line=Line.TWO_NODES,
        happens="two nodes are started on one lane",
        holds="while a lease lives, nobody else gets it",
        at="settlement_node/store/engine/leases.py:take_lease",
        change=Swaps("row.holder not in (None, holder)", "row.holder is None"),
        tests=(f"{LEASES}::test_take_lease__held_by_another__gives_none[sqlite]",),
    ),
    Defence(
        name="fence_in_every_commit",
        line=Line.TWO_NODES,
        happens="a node wakes up after its lease went to another, and commits what it had decided",
        holds="each commit of the lane compares the token under a lock, and fails",
        at="settlement_node/store/database.py:Store.transaction",
        change=Never("fence"),
        tests=(
            f"{LEASES}::"
            "test_transaction__after_a_take_over__is_refused_for_the_old_holder_only[sqlite]",
        ),
    ),
    Defence(
        name="token_grows",
        line=Line.TWO_NODES,
        happens="a lease runs out and the same holder takes it up again after another had it",
        holds="every take-up but a renewal gets a higher token, so that old ones stay refused",
        at="settlement_node/store/engine/leases.py:take_lease",
        change=Swaps("0 if renewal else 1", "0 if row.fencing_token else 1"),
        tests=(
            f"{LEASES}::test_take_lease__run_out__goes_to_another_under_a_higher_token[sqlite]",
            f"{LEASES}::test_take_lease__own_one_run_out__gets_a_higher_token[sqlite]",
        ),
    ),
    Defence(
        name="the_settlers_bitmap",
        line=Line.TWO_NODES,
        happens="two nodes with a database each send the same redemption in different batches",
        holds="the settler keeps a bit for each redemption's index and skips what is set",
        at="contracts/RedemptionSettler.sol",
        change=Text(
            "            bool unsettled = bits & bit == 0;\n",
            "            bool unsettled = true;\n",
        ),
        tests=(
            "contracts/test/Skips.t.sol::test_skip__index_settled_before",
            "contracts/test/Skips.t.sol::test_skip__index_twice_in_one_batch",
        ),
    ),
    Defence(
        name="plan_locks_its_fund",
        line=Line.MEANWHILE,
        happens="a fund is paused or priced anew while a plan of it is being committed",
        holds="either waits for the other: the commit sees the change, or comes before its answer",
        at="settlement_node/store/book/funds.py:_locked_fund",
        change=Skips("with_for_update"),
        tests=(
            f"{RACES}::test_plan__changed_by_a_commit_still_open__waits_for_it_and_plans_nothing"
            "_on_the_old[pyevm-fund nav-postgresql]",
            f"{RACES}::test_plan__changed_while_it_commits__is_in_the_book_before_the_change"
            "_is_acknowledged[pyevm-fund pause-postgresql]",
        ),
    ),
    Defence(
        name="plan_locks_its_lane",
        line=Line.MEANWHILE,
        happens="a lane is paused while a plan on it is being committed",
        holds="the lane's row is locked before it is read",
        at="settlement_node/store/engine/lanes.py:lock_lane",
        change=Swaps("it.with_for_update()", "it"),
        tests=(
            f"{RACES}::test_plan__changed_by_a_commit_still_open__waits_for_it_and_plans_nothing"
            "_on_the_old[pyevm-lane pause-postgresql]",
        ),
    ),
    Defence(
        name="breaks_wait_for_plans",
        line=Line.MEANWHILE,
        happens="the reconciliation finds money missing while a plan is being committed",
        holds="a money break locks its fund, as every change of it does",
        at="settlement_node/store/telling/attention.py:open_break",
        change=Skips("lock_fund_to_change"),
        tests=(
            f"{RACES}::test_plan__changed_by_a_commit_still_open__waits_for_it_and_plans_nothing"
            "_on_the_old[pyevm-money break-postgresql]",
        ),
    ),
    Defence(
        name="settlement_dates_by_the_databases_time",
        line=Line.CLOCK_JUMPS,
        happens="a node's clock is days ahead, and orders of the future look due",
        holds="whether a settlement date has come is asked of the database's clock",
        at="settlement_node/node/stages/plan.py:plan_fund",
        change=Gives("database_now", "tx.now_utc"),
        tests=(
            f"{RACES}::test_plan__the_nodes_clock_is_wrong__settlement_dates_go_by_the_databases"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="leases_by_the_databases_time",
        line=Line.CLOCK_JUMPS,
        happens="a node's clock leaps ahead while another holds the lane",
        holds="whether a lease has run out is asked of the database's clock",
        at="settlement_node/store/engine/leases.py:take_lease",
        change=Gives("database_now", "tx.now_utc"),
        tests=(
            f"{LEASES}::"
            "test_take_lease__by_the_databases_own_time__ignores_the_nodes_clock[sqlite]",
        ),
    ),
    Defence(
        name="fences_by_the_databases_time",
        line=Line.CLOCK_JUMPS,
        happens="the clock of a node that lost its lease is behind",
        holds="a commit's lease is compared with the database's clock",
        at="settlement_node/store/database.py:Store.transaction",
        change=Gives("database_now", "tx.now_utc"),
        tests=(
            f"{LEASES}::"
            "test_transaction__the_nodes_clock_jumps__the_lease_goes_by_the_databases[sqlite]",
        ),
    ),
    Defence(
        name="waiting_by_a_clock_that_only_goes_forward",
        line=Line.CLOCK_JUMPS,
        happens="the wall clock leaps while an endpoint is left alone for a while",
        holds="waiting times go by the monotonic clock",
        at="settlement_node/assembly.py:build_client",
        change=Passes("now", "time.time"),
        tests=(
            "chain_tests/faults/test_clocks.py::"
            "test_client__wall_clock_jumps__quarantine_lasts_as_long_as_it_was_given",
        ),
    ),
    Defence(
        name="a_lane_that_nobody_holds_is_told",
        line=Line.TWO_NODES,
        happens="the only node with a lane's signer is gone, and the others see nothing amiss",
        holds="every node looks at every lane of the book, and says which nobody holds",
        at="settlement_node/node/stages/watch.py:watch",
        change=Gives("_holders", "()"),
        tests=(
            "chain_tests/cycle/test_watch.py::"
            "test_watch__a_lane_that_nobody_holds__is_told_by_any_node[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="a_database_that_refuses_writes_is_not_ready",
        line=Line.DATABASE_FAILS,
        happens="the database answers reads only: a standby, a full disk, a file without its right",
        holds="readiness takes a write as well, and says no",
        at="settlement_node/api/routes/operations.py:_schema",
        change=Skips("forget_workers"),
        tests=(
            "tests/api/test_operations.py::"
            "test_readyz__a_database_that_can_only_be_read__is_not_ready",
        ),
    ),
)
