"""Defences against what endpoints make up, leave open, or no longer have."""

from __future__ import annotations

from tests.defences.changes import Drops, Never, Swaps
from tests.defences.model import Defence, Line

HEADS = "tests/chain/test_heads.py"
REORG = "chain_tests/reorg/test_reorganisation.py"
WATCH = "chain_tests/cycle/test_watch.py"
ISOLATION = "chain_tests/cycle/test_isolation.py"
RESTORED = "chain_tests/cycle/test_restored_book.py"

REFUSED = "chain_tests/cycle/test_refused.py"

ENDPOINTS: tuple[Defence, ...] = (
    Defence(
        name="refused_batch_is_halved",
        line=Line.BATCH_TOO_LARGE,
        happens="no endpoint takes a transaction of that much gas, whatever the block would hold",
        holds="its nonce goes to a no-op, and the batch goes on in halves",
        at="settlement_node/booking/outcomes.py:record_final",
        change=Swaps("row.refused_words is not None", "False"),
        tests=(
            f"{REFUSED}::test_refused__batch_needs_more_gas_than_any_endpoint_takes__"
            "halved_until_it_goes[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="refused_is_replaced_at_the_market_price",
        line=Line.FEE_LIMITS,
        happens="a batch offered at the ceiling is refused for good, and nothing may outbid it",
        holds="where no endpoint took the batch its no-op outbids nothing, and goes at the market",
        at="settlement_node/node/stages/keep.py:_order",
        change=Never("refused_words"),
        tests=(
            f"{REFUSED}::test_refused__priced_at_the_ceiling__"
            "cancelled_at_the_market_price_all_the_same[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="failing_passes_are_told",
        line=Line.DATABASE_FAILS,
        happens="every pass ends in an error nobody foresaw",
        holds="an alert names the last one for as long as nothing is planned",
        at="settlement_node/node/cycle.py:run_pass",
        change=Swaps("_note_stall(it, words_of(error))", "pass"),
        tests=(
            f"{REFUSED}::test_pass__fails_each_time_in_a_way_nobody_foresaw__an_alert"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="tags_count_by_hash",
        line=Line.FALSE_ENDPOINT,
        happens="two endpoints at once name a made-up block as safe or finalized",
        holds="a tag counts where its block is, by its hash, the agreed one at that height",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker._tagged_number",
        change=Swaps(
            "{tag.number for tag in tags if hashes.get(tag.number) == tag.block_hash}",
            "{min(tag.number, head.number) for tag in tags}",
        ),
        tests=(
            f"{HEADS}::test_refresh__the_only_endpoint_makes_up_a_safe_block__no_safe_block",
            f"{HEADS}::test_refresh__most_endpoints_make_up_a_safe_block__not_believed[95]",
        ),
    ),
    Defence(
        name="headers_follow_one_another",
        line=Line.FALSE_ENDPOINT,
        happens="an endpoint answers with a header that does not fit between its neighbours",
        holds="headers of neighbouring heights must name each other, or none is believed",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker._learn",
        change=Never("parent_hash"),
        tests=(
            f"{HEADS}::test_blocks__a_header_that_does_not_name_its_parent__transient_and_not_kept",
        ),
    ),
    Defence(
        name="nothing_planned_below_a_head_seen_before",
        line=Line.FALSE_ENDPOINT,
        happens="while a fork spreads, the endpoints agree only on a block below what was paid",
        holds="nothing is planned until the head is back at the highest one ever seen",
        at="settlement_node/node/stages/plan.py:plan",
        change=Never("is_behind"),
        tests=(
            f"{REORG}::test_reorg__head_lower_than_one_seen_before__"
            "nothing_planned_until_it_is_there_again[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="undone_payment_of_another_settler_is_held",
        line=Line.REORGANISATION,
        happens="a reorganisation takes back what an older settler paid, and it is mined again",
        holds="the redemption is held: the present settler would not know of that payment",
        at="settlement_node/booking/undo.py:undo_events",
        change=Never("APPROVED", "HELD"),
        tests=(
            f"{REORG}::test_reorg__takes_back_what_another_settler_paid__"
            "held_and_never_paid_beside_it[pyevm-sqlite-approved]",
            f"{REORG}::test_reorg__takes_back_what_another_settler_paid__"
            "held_and_never_paid_beside_it[pyevm-sqlite-held]",
        ),
    ),
    Defence(
        name="undone_in_a_lost_block_is_held",
        line=Line.DEEP_REORGANISATION,
        happens="a former settler's payment stood in a block that is gone, deeper than heads are"
        " remembered",
        holds="what it paid is held as undone, and not only its events read again",
        at="settlement_node/node/stages/scan.py:_read_again",
        change=Swaps("block is not None and block.block_hash != tip.block_hash", "block is None"),
        tests=(
            f"{REORG}::"
            "test_reorg__takes_back_what_another_settler_paid_in_a_block_nobody_remembered__held"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="one_fund_keeps_no_other_back",
        line=Line.LOGS_MISSING,
        happens="the events of one fund's settler cannot be read to the head",
        holds="that fund is left out of planning, and the lane's others go on",
        at="settlement_node/node/stages/scan.py:scan",
        change=Drops("Transient"),
        tests=(
            f"{ISOLATION}::test_isolation__events_of_one_fund_cannot_be_read__"
            "the_lanes_other_funds_go_on[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="endless_answers_end",
        line=Line.FALSE_ENDPOINT,
        happens="an answer drips on without an end: its headers, its body, or what frames them",
        holds="an answer is bounded in seconds as a whole, and in bytes",
        at="settlement_node/chain/wire/bounded_http.py:_InTime.__init__",
        change=Swaps("None if seconds is None else time.monotonic() + seconds", "None"),
        tests=(
            "chain_tests/faults/test_http_answers.py::"
            "test_request__answer_that_never_ends__transport_failed_in_time[body]",
        ),
    ),
    Defence(
        name="answers_cut_short_are_no_answers",
        line=Line.FALSE_ENDPOINT,
        happens="the connection breaks or falls silent in the middle of an answer",
        holds="that endpoint gave no answer; others are asked, and a send's outcome is unknown",
        at="settlement_node/chain/wire/bounded_http.py:_read_piece",
        change=Swaps("HTTPError", "AnswerTooLarge"),
        tests=(
            "chain_tests/faults/test_http_answers.py::"
            "test_request__answer_cut_short__transport_failed[cut-single]",
        ),
    ),
    Defence(
        name="deep_answers_are_refused",
        line=Line.FALSE_ENDPOINT,
        happens="an answer is nested as deep as the parser goes, and what shows it goes no deeper",
        holds="an answer is bounded in nesting and in values before it is parsed",
        at="settlement_node/chain/wire/bounded_json.py:read_json",
        change=Swaps("NESTING_MAX", "VALUES_MAX"),
        tests=(
            "tests/chain/test_transport.py::"
            "test_request__no_usable_answer__transport_failed_after_one_try[deep]",
        ),
    ),
    Defence(
        name="late_answers_are_none",
        line=Line.FALSE_ENDPOINT,
        happens="on a connection that is used again the answer to an earlier request comes",
        holds="an answer counts only under the id of what was asked",
        at="settlement_node/chain/wire/transport.py:HttpTransport._result",
        change=Never("asked_id"),
        tests=(
            "tests/chain/test_transport.py::"
            "test_request__no_usable_answer__transport_failed_after_one_try[late]",
        ),
    ),
    Defence(
        name="stalled_finality_is_told",
        line=Line.FEES_AND_HALTS,
        happens="blocks come, and none becomes final, or the tag is not answered any more",
        holds="an alert says so; what is not known to be final is not final",
        at="settlement_node/domain/watching.py:_finality_words",
        change=Never("FINALITY_UNANSWERED_AFTER"),
        tests=(
            f"{WATCH}::test_watch__finality_tag_no_longer_answered__says_so_until_it_is"
            "[pyevm-sqlite]",
        ),
    ),
    Defence(
        name="paid_otherwise_is_told",
        line=Line.OLD_BACKUP,
        happens="an order that another book paid is entered again with another payee or amount",
        holds="a money break opens with both sides, and the ledger follows the chain",
        at="settlement_node/booking/found.py:_differences",
        change=Never("is_as_ordered"),
        tests=(
            f"{RESTORED}::test_restore__entered_otherwise_before_the_replay__"
            "a_break_and_the_ledger_as_the_chain[pyevm-sqlite]",
        ),
    ),
)
