"""Defences against what went wrong once: a lie in the book, a break whose cause is gone."""

from __future__ import annotations

from tests.defences.changes import Adds, Always, Drops, Never, Passes, Skips, Swaps
from tests.defences.model import Defence, Line

RESCAN = "chain_tests/cycle/test_rescan.py"
LEASES = "tests/store/test_leases.py"
TRANSIENT = "tests/store/test_transient.py"
PROCESSES = "tests/node/test_ended_processes.py"
CHAIN_BOOK = "tests/store/test_chain_book.py"
RESTING = "chain_tests/cycle/test_resting.py"
RESTORE_GUIDE = "chain_tests/docs/test_restore_guide.py"

MENDING: tuple[Defence, ...] = (
    Defence(
        name="rescan_forgets",
        line=Line.BELIEVED_LIE,
        happens="a false page of events is in the book, and its blocks are read again",
        holds="the events of the range are deleted before they are read anew",
        at="settlement_node/desk/operators.py:rescan",
        change=Passes("from_number", "latest[0] + 1"),
        tests=(
            f"{RESCAN}::test_rescan__order_not_paid_though_a_false_page_says_so__"
            "forgotten_and_then_paid[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="rescan_compares_again",
        line=Line.BELIEVED_LIE,
        happens="an order was booked as settled by an event that never was",
        holds="reconciliation goes over the range again, and finds a payment the chain lacks",
        at="settlement_node/desk/operators.py:rescan",
        change=Skips("rewind_reconciliations"),
        tests=(
            f"{RESCAN}::test_rescan__order_booked_as_paid_by_a_false_page__"
            "a_break_and_never_paid_again[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="rescan_is_not_overwritten",
        line=Line.BELIEVED_LIE,
        happens="a page is being read when a person asks for a re-scan of earlier blocks",
        holds="a page moves the scan cursor on only from where it began, or is not written",
        at="settlement_node/store/book/settlers.py:set_scanned",
        change=Drops("scanned_to_block", "from_block"),
        tests=(
            f"{RESCAN}::test_rescan__during_a_pass__that_pass_writes_nothing_and_the_next_reads"
            "_first[pyevm-scan.before_commit-sqlite]",
            f"{CHAIN_BOOK}::test_set_scanned__taken_back_meanwhile__is_not_overwritten[sqlite]",
        ),
    ),
    Defence(
        name="forgetting_waits_for_the_page",
        line=Line.BELIEVED_LIE,
        happens="a page is being committed while its events are deleted",
        holds="both commits lock the fund first, so that none of the page stays behind",
        at="settlement_node/store/chain_memory/chain_book.py:forget_events",
        change=Skips("lock_fund_to_change"),
        tests=(
            f"{CHAIN_BOOK}::test_forget_events__while_a_page_is_being_written__takes_that_page_out"
            "_too[postgresql]",
        ),
    ),
    Defence(
        name="pages_do_not_wait_for_orders",
        line=Line.MEANWHILE,
        happens="a large file of orders is being taken in while new blocks come",
        holds="a page of events locks its fund against who deletes events, and against nobody else",
        at="settlement_node/node/stages/scan.py:_scan_page",
        change=Swaps(
            "lock_fund_to_plan(tx, fund.fund_id)",
            "from settlement_node.store.book.funds import lock_fund_to_change\n"
            "lock_fund_to_change(tx, fund.fund_id)",
        ),
        tests=(
            "chain_tests/cycle/test_planning_races.py::"
            "test_plan__orders_are_being_taken_in__is_not_kept_waiting[pyevm-postgresql]",
        ),
    ),
    Defence(
        name="unread_fund_is_not_planned",
        line=Line.BELIEVED_LIE,
        happens="events are out of the book for a re-scan, and a pass would plan without them",
        holds="planning reads the scan cursors, and once more in its own commit",
        at="settlement_node/node/stages/ratchet.py:read_book_view",
        change=Never("is_read_to"),
        tests=(
            f"{RESCAN}::test_rescan__payment_by_a_former_settler_is_out_of_the_book__"
            "not_planned_until_read[pyevm-sqlite]",
            f"{RESCAN}::test_rescan__during_a_pass__that_pass_writes_nothing_and_the_next_reads"
            "_first[pyevm-plan.before_commit-sqlite]",
        ),
    ),
    Defence(
        name="unread_order_is_not_cancelled",
        line=Line.BELIEVED_LIE,
        happens="a paid order's event is out of the book when somebody cancels the order",
        holds="nothing is cancelled or released while final events are still to be read",
        at="settlement_node/desk/intake.py:refuse_paid",
        change=Skips("require_read"),
        tests=(
            f"{RESCAN}::test_rescan__events_not_read_again_yet__nothing_is_cancelled_or_released"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="last_known_batch_may_be_false",
        line=Line.BELIEVED_LIE,
        happens="the last batch the book knows never was, and none follows it",
        holds="where the settler's own hash is not met, the last known batch is forgotten too",
        at="settlement_node/node/stages/scan.py:_read_again",
        change=Skips("forget_events"),
        tests=(
            f"{RESCAN}::test_scan__a_batch_that_never_was_is_the_last_known__forgotten_and_the"
            "_fund_goes_on[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="run_of_before_a_rescan_is_not_written",
        line=Line.BELIEVED_LIE,
        happens="reconciliation is at work when its blocks are to be compared again",
        holds="a run is written only behind the very run it began from",
        at="settlement_node/node/stages/reconcile.py:_write",
        change=Never("last_reconciliation"),
        tests=(
            f"{RESCAN}::test_rescan__while_reconciliation_is_at_work__its_run_is_not_written"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="history_stays_history",
        line=Line.BELIEVED_LIE,
        happens="blocks from before the book are compared again",
        holds="what the first comparison took for history stops nothing the second time either",
        at="settlement_node/node/stages/reconcile.py:reconcile_fund",
        change=Swaps("history_end is None or start < history_end", "last is None"),
        tests=(
            f"{RESCAN}::test_rescan__payments_of_before_the_book__stay_history_and_stop_nothing"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="explained_break_closes",
        line=Line.OLD_BACKUP,
        happens="orders missing from a restored book are entered again, and their breaks stay open",
        holds="a break closes once book and chain have the same payment, and new orders go on",
        at="settlement_node/node/stages/scan.py:_scan_fund",
        change=Skips("close_booked"),
        tests=(
            f"{RESTORE_GUIDE}::test_restore_guide__followed_to_the_end__"
            "new_orders_settle_and_nothing_is_left_open[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="only_what_is_read_anew_explains",
        line=Line.BELIEVED_LIE,
        happens="the chain lacks a payment, and a false event in the book still shows it",
        holds="such a break closes by what reconciliation has just read alone",
        at="settlement_node/domain/reconciliation.py:EXPLAINED_BY_BOOKING",
        change=Adds("BreakKind.BOOKED_NOT_PAID"),
        tests=(
            f"{RESCAN}::test_reconcile__the_false_event_is_still_in_the_book__its_break_stays_open"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="explained_means_the_same_figures",
        line=Line.OLD_BACKUP,
        happens="an order is in the book again, and was paid otherwise than it says",
        holds="its break closes only where every figure is the event's",
        at="settlement_node/domain/reconciliation.py:is_explained",
        change=Always("_ordered", "_happened"),
        tests=(
            "tests/domain/test_reconciliation.py::"
            "test_is_explained__book_and_event__only_when_both_tell_the_same[another payout]",
        ),
    ),
    Defence(
        name="read_only_connection_is_thrown_away",
        line=Line.DATABASE_FAILS,
        happens="connections are opened while the database's file can only be read",
        holds="the pool is emptied at the first refused write, and what comes next can write",
        at="settlement_node/store/database.py:_open_sqlite._throw_away",
        change=Swaps("context.is_disconnect = True", "context.is_disconnect = False"),
        tests=(
            "tests/store/test_transient.py::test_transaction__opened_while_the_file_could_only_be"
            "_read__writes_once_it_can",
        ),
    ),
    Defence(
        name="lane_of_an_ended_process_is_free",
        line=Line.DEATH_BETWEEN_STEPS,
        happens="a node is started again on its machine, and its own lease still lives",
        holds="a lease whose holder has provably ended is taken at once, under a higher token",
        at="settlement_node/store/engine/leases.py:take_lease",
        change=Swaps("has_ended(left)", "has_ended(holder)"),
        tests=(
            f"{LEASES}::test_take_lease__holders_process_has_ended__goes_to_another_at_once_under_a"
            "_higher_token[sqlite]",
        ),
    ),
    Defence(
        name="lane_of_a_living_process_is_not",
        line=Line.TWO_NODES,
        happens="a second node is started on the machine of the first",
        holds="nothing but the proven end of the holder's process gives its lane away",
        at="settlement_node/store/engine/leases.py:take_lease",
        change=Never("has_ended"),
        tests=(
            f"{LEASES}::test_take_lease__holders_process_lives_or_is_unknown__gives_none[sqlite]",
        ),
    ),
    Defence(
        name="ended_elsewhere_is_not_known_here",
        line=Line.TWO_NODES,
        happens="the holder runs on another machine or in another container",
        holds="process numbers count within one boot and one namespace alone",
        at="settlement_node/node/processes.py:has_ended",
        change=Never("_namespaces"),
        tests=(f"{PROCESSES}::test_has_ended__of_another_boot_or_namespace__is_never_proven",),
    ),
    Defence(
        name="a_number_is_no_process",
        line=Line.DEATH_BETWEEN_STEPS,
        happens="the dead holder's process number belongs to another process by now",
        holds="a process is its number and its start",
        at="settlement_node/node/processes.py:has_ended",
        change=Swaps("started is not None and started != start", "started is None"),
        tests=(f"{PROCESSES}::test_has_ended__number_given_to_a_later_process__is_proven",),
    ),
    Defence(
        name="unread_explains_no_nonce",
        line=Line.BELIEVED_LIE,
        happens="a re-scan takes out the events that explain a restored book's missing nonces",
        holds="nobody is called a stranger before the events are read again",
        at="settlement_node/node/lanes.py:_adopt_gap",
        change=Drops("is_read"),
        tests=(
            f"{RESCAN}::test_rescan__while_a_restored_book_is_explained__waits_and_stops_nothing"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="commits_read_what_is_committed",
        line=Line.MEANWHILE,
        happens="the server's default isolation keeps a commit's first view, of before it waited",
        holds="every commit is READ COMMITTED, whatever the server's default",
        at="settlement_node/store/database.py:open_engine",
        change=Drops("isolation_level"),
        tests=(
            f"{TRANSIENT}::test_transaction__server_keeps_a_first_view_by_default__"
            "sees_what_was_committed_since[repeatable read-postgresql]",
        ),
    ),
    Defence(
        name="resting_ends_when_other_orders_are_approved",
        line=Line.MEANWHILE,
        happens="one order is held and another released while all of a fund's wait for money",
        holds="a plan rests on each coming and going of an approved order, not on their count",
        at="settlement_node/store/book/redemptions.py:approved_moves",
        change=Swaps("c.moves_count", "sa.literal(0)"),
        tests=(
            f"{RESTING}::test_resting__one_held_and_one_released_at_once__"
            "the_count_is_the_same_and_it_is_planned[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="resting_ends_with_a_settlement_date",
        line=Line.MEANWHILE,
        happens="an order's settlement date comes while all of a fund's others wait for money",
        holds="a plan that came to nothing holds until the next date, and no longer",
        at="settlement_node/node/context.py:Rest.holds",
        change=Swaps("at_utc < self.until_utc", "True"),
        tests=(
            f"{RESTING}::test_resting__settlement_date_comes__planned_in_the_next_pass"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="resting_ends_when_the_chain_is_another",
        line=Line.MEANWHILE,
        happens="money comes to the treasury of a fund that waits for it",
        holds="at a new block the chain is asked again what the plan went by",
        at="settlement_node/node/stages/plan.py:_still_asked",
        change=Swaps("rest.chain != method_of(fund).state(lane.chain.client)", "False"),
        tests=(f"{RESTING}::test_resting__money_comes__planned_in_the_next_pass[pyevm-sqlite]",),
    ),
    Defence(
        name="nothing_rests_on_a_false_page",
        line=Line.MEANWHILE,
        happens="an endpoint's false page, later forgotten, shows all that is due as paid",
        holds="no plan rests while the chain shows a due order as paid",
        at="settlement_node/node/stages/plan.py:plan_fund",
        change=Swaps("not paid and _is_noted(due, made)", "_is_noted(due, made)"),
        tests=(
            f"{RESCAN}::test_rescan__order_not_paid_though_a_false_page_says_so__"
            "forgotten_and_then_paid[pyevm-sqlite]",
        ),
    ),
)
