"""Defences of what is told: events reach every consumer, each apart."""

from __future__ import annotations

from tests.defences.changes import Before, Drops, Gives, Never, Swaps
from tests.defences.model import Defence, Line

DELIVER = "tests/notify/test_deliver.py"

TELLING: tuple[Defence, ...] = (
    Defence(
        name="events_commit_in_the_order_of_their_ids",
        line=Line.UNTOLD,
        happens="a transaction takes ids of events and commits after a later one was read",
        holds="ids are taken under a lock that is kept until the commit: nobody reads past them",
        at="settlement_node/store/database.py:Tx.flush_events",
        change=Never("dialect"),
        tests=(
            f"{DELIVER}::test_deliver__a_transaction_commits_late__its_events_are_not_passed_over"
            "[postgresql]",
        ),
    ),
    Defence(
        name="a_cursor_moves_under_its_lease",
        line=Line.UNTOLD,
        happens="a process wakes up after its consumer went to another, and notes what it gave",
        holds="the cursor is moved in a commit that checks the consumer's lease",
        at="settlement_node/notify/deliver.py:deliver",
        change=Swaps(
            "with store.transaction(actor=fence.holder, fence=fence) as tx:\n"
            "    consumers.advance(...)",
            "with store.transaction(actor=fence.holder) as tx:\n"
            "    consumers.advance(tx, sink.name, to_event_id=events[-1]['event_id'])",
        ),
        tests=(f"{DELIVER}::test_deliver__lost_while_it_hands_over__it_does_not_move_it[sqlite]",),
    ),
    Defence(
        name="a_consumer_is_given_to_under_its_lease",
        line=Line.UNTOLD,
        happens="a process wakes up after its consumer went to another, and hands over old events",
        holds="the lease is checked before anything is given, so nothing old comes after newer",
        at="settlement_node/notify/deliver.py:deliver",
        change=Swaps(
            "with store.transaction(actor=fence.holder, fence=fence):\n    pass",
            "pass",
        ),
        tests=(
            f"{DELIVER}::test_deliver__two_processes__only_who_holds_it_gives_and_moves_it[sqlite]",
        ),
    ),
    Defence(
        name="given_before_it_is_noted",
        line=Line.UNTOLD,
        happens="the process is killed while it hands events over",
        holds="that they were given is noted afterwards: the next process gives them once more",
        at="settlement_node/notify/deliver.py:deliver",
        change=Before(
            "deliver",
            "with store.transaction(actor=fence.holder, fence=fence) as early:\n"
            "    consumers.advance(early, sink.name, to_event_id=events[-1]['event_id'])",
        ),
        tests=(
            f"{DELIVER}::test_deliver__its_process_ends_before_it_is_noted__"
            "the_next_hands_over_the_same_again[sqlite]",
        ),
    ),
    Defence(
        name="a_failing_consumer_is_left_alone_for_a_while",
        line=Line.UNTOLD,
        happens="a mail server is down for a day",
        holds="its events are tried less and less often, up to every 256 s",
        at="settlement_node/notify/deliver.py:deliver",
        change=Never("due", "database_now"),
        tests=(
            f"{DELIVER}::test_deliver__it_failed__is_tried_less_and_less_often_and_misses_nothing"
            "[sqlite]",
        ),
    ),
    Defence(
        name="a_slow_consumer_has_a_worker_of_its_own",
        line=Line.UNTOLD,
        happens="a consumer takes minutes for its events, or never comes back",
        holds="each has a worker and a thread: the others and the stages go on",
        at="settlement_node/node/runtime.py:Node.start",
        change=Swaps("4 + len(self.sinks)", "1"),
        tests=("tests/node/test_workers.py::test_node__a_consumer_hangs__the_others_are_given",),
    ),
    Defence(
        name="what_was_not_given_is_kept",
        line=Line.UNTOLD,
        happens="a consumer was away for longer than events are kept",
        holds="retention leaves what any consumer was not given, within a harder bound",
        at="settlement_node/store/telling/outbox.py:drop_old",
        change=Drops("is_wanted"),
        tests=(
            "tests/store/test_records.py::"
            "test_drop_old__old_and_handed_to_all__and_ids_are_never_given_again[sqlite]",
        ),
    ),
    Defence(
        name="the_dead_do_not_keep_the_outbox",
        line=Line.UNTOLD,
        happens="a consumer takes nothing for 90 days",
        holds="it is moved past what is older, which is said and audited, and the rows go",
        at="settlement_node/node/stages/retain.py:retain",
        change=Gives("pass_over", "[]"),
        tests=(
            "tests/node/test_workers.py::"
            "test_retain__a_consumer_stands_still_too_long__is_passed_over_and_said",
        ),
    ),
)
