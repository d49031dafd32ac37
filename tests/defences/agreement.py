"""Defences against one endpoint that lies about what is in the agreed chain: invariant 11."""

from __future__ import annotations

from tests.defences.changes import Always, Gives, Never, Swaps
from tests.defences.model import Defence, Line

AGREEMENT = "tests/chain/test_agreement.py"
FEES = "tests/chain/test_fee_reads.py"
HEADS = "tests/chain/test_heads.py"
HEALTH = "tests/chain/test_health.py"
LOGS = "tests/chain/test_logs.py"
LOOKUPS = "tests/chain/test_lookups.py"
PROOFS = "tests/chain/test_proofs.py"
PROVING = "tests/chain/test_proving.py"

AGREEMENT_ROWS: tuple[Defence, ...] = (
    Defence(
        name="state_is_agreed",
        line=Line.LYING_ENDPOINT,
        happens="one endpoint makes up a nonce, a balance, code or a contract's answer",
        holds="state counts when as many endpoints as must agree gave the same content",
        at="settlement_node/chain/endpoints/endpoint_set.py:EndpointSet.agreed",
        change=Always("same", "agreement"),
        tests=(
            f"{AGREEMENT}::test_agreed__one_of_three_says_something_else__passed_over_and_blamed"
            "[0-nonce]",
            f"{AGREEMENT}::test_agreed__two_differ__nothing_is_said_and_both_are_named[nonce]",
        ),
    ),
    Defence(
        name="a_false_answer_is_blamed",
        line=Line.LYING_ENDPOINT,
        happens="an endpoint's answer is contradicted by enough others",
        holds="it is left alone at once, longer each time, and told by name",
        at="settlement_node/chain/endpoints/endpoint_set.py:EndpointSet.blame",
        change=Swaps("self.record(endpoint).contradicted", "self.record(endpoint).failed"),
        tests=(
            f"{AGREEMENT}::test_agreed__one_of_three_says_something_else__passed_over_and_blamed"
            "[0-nonce]",
        ),
    ),
    Defence(
        name="who_is_in_quarantine_decides_at_last",
        line=Line.LYING_ENDPOINT,
        happens="two endpoints differ, and the one that could decide is in quarantine",
        holds="it is asked all the same",
        at="settlement_node/chain/endpoints/endpoint_set.py:EndpointSet.answers",
        change=Always("endpoint", "first"),
        tests=(
            f"{AGREEMENT}::test_agreed__the_deciding_endpoint_is_in_quarantine__asked_all_the_same",
        ),
    ),
    Defence(
        name="failed_reads_are_asked_again",
        line=Line.LYING_ENDPOINT,
        happens="every seventh read fails, and two endpoints must both answer",
        holds="after all were asked, who failed is asked again within the same pass",
        at="settlement_node/chain/endpoints/endpoint_set.py:EndpointSet.answers",
        change=Always("READ_AGAIN_SECONDS"),
        tests=(
            f"{AGREEMENT}::test_agreed__one_of_two_fails_now_and_then__"
            "asked_again_within_the_question",
        ),
    ),
    Defence(
        name="single_answers_are_asked_again",
        line=Line.LYING_ENDPOINT,
        happens="a provider counts each request of a batch, so of many always some fail",
        holds="what failed among answers that came is asked again alone",
        at="settlement_node/chain/endpoints/endpoint.py:Endpoint._ask_again",
        change=Swaps("not failed or len(failed) == len(results)", "failed or not failed"),
        tests=(
            f"{AGREEMENT}::test_calls__every_seventh_of_many_fails__those_alone_are_asked_again",
        ),
    ),
    Defence(
        name="receipts_are_agreed",
        line=Line.LYING_ENDPOINT,
        happens="one endpoint makes up a receipt, or calls a mined batch reverted",
        holds="a receipt counts when enough endpoints give it alike, or its block proves it",
        at="settlement_node/chain/endpoints/lookups.py:_Ballot.outcome",
        change=Always("votes", "needed"),
        tests=(
            f"{LOOKUPS}::test_receipts__one_of_two_says_null__undecided_and_both_named",
            f"{LOOKUPS}::test_receipts__one_of_three_makes_one_up__absent_all_the_same[0]",
        ),
    ),
    Defence(
        name="receipts_are_proven",
        line=Line.LYING_ENDPOINT,
        happens="one of two endpoints lies about receipts for as long as it likes",
        holds="the block's own roots decide, so that the lane goes on and the liar is named",
        at="settlement_node/chain/endpoints/lookups.py:ReceiptLookup._decide",
        change=Never("block", "receipts"),
        tests=(
            f"{PROVING}::test_receipts__one_of_two_lies__the_true_one_and_the_liar_is_named"
            "[reverted-0]",
        ),
    ),
    Defence(
        name="logs_are_agreed",
        line=Line.LYING_ENDPOINT,
        happens="one endpoint leaves out a batch, or makes one up, in a page that fits together",
        holds="a page counts when enough endpoints give it alike, or its blocks prove it",
        at="settlement_node/chain/contracts/logs.py:LogReader._agreed",
        change=Always("same", "agreement"),
        tests=(
            f"{LOGS}::test_settler_events__one_of_three_leaves_out_a_batch__"
            "given_and_it_is_blamed[0]",
        ),
    ),
    Defence(
        name="logs_are_proven",
        line=Line.LYING_ENDPOINT,
        happens="one of two endpoints leaves out or changes logs for as long as it likes",
        holds="the blocks they differ about are proven by their receipts or their blooms",
        at="settlement_node/chain/contracts/logs.py:LogReader._proven_page",
        change=Gives("_prove", "None"),
        tests=(
            f"{PROVING}::test_transfers__one_of_two_lies__the_true_ones_and_the_liar_is_named"
            "[left out-0]",
        ),
    ),
    Defence(
        name="a_proof_covers_the_header",
        line=Line.LYING_ENDPOINT,
        happens="an endpoint makes up a block whose roots fit its false receipts",
        holds="its header must hash to the agreed hash",
        at="settlement_node/chain/wire/proofs.py:prove_header",
        change=Never("keccak"),
        tests=(
            f"{PROOFS}::test_prove_header__a_field_is_changed_or_missing__not_proven[receiptsRoot]",
        ),
    ),
    Defence(
        name="a_proof_covers_the_headers_names",
        line=Line.LYING_ENDPOINT,
        happens="an endpoint shows a true header's values under other fields' names",
        holds="a field that a fork added is read only with all those of earlier forks before it",
        at="settlement_node/chain/wire/proofs.py:prove_header",
        change=Swaps("takewhile", "filter"),
        tests=(f"{PROOFS}::test_prove_header__values_stand_under_later_fields_names__not_proven",),
    ),
    Defence(
        name="a_proof_covers_the_receipts",
        line=Line.LYING_ENDPOINT,
        happens="an endpoint shows a true header beside false receipts",
        holds="all receipts of the block together must have the header's root",
        at="settlement_node/chain/wire/proofs.py:prove_receipts",
        change=Never("receipts_root"),
        tests=(f"{PROOFS}::test_prove_receipts__something_is_changed__not_proven[no logs]",),
    ),
    Defence(
        name="a_proof_covers_whose_receipt_it_is",
        line=Line.LYING_ENDPOINT,
        happens="an endpoint attributes another transaction's receipt to ours",
        holds="the transactions must have the header's root too: a place in both tries is one",
        at="settlement_node/chain/wire/proofs.py:prove_receipts",
        change=Never("transactions_root"),
        tests=(
            f"{PROOFS}::test_prove_receipts__something_is_changed__not_proven"
            "[a transaction is another]",
        ),
    ),
    Defence(
        name="nonces_are_proven",
        line=Line.LYING_ENDPOINT,
        happens="one of two endpoints makes up a nonce or coins for as long as it likes",
        holds="the agreed block's state root decides, where a proof can be had",
        at="settlement_node/chain/endpoints/endpoint_set.py:EndpointSet.agreed",
        change=Gives("proof", "None"),
        tests=(
            "chain_tests/assumptions/test_proofs.py::"
            "test_account__one_of_two_lies__proven_by_the_state_root[0x7]",
        ),
    ),
    Defence(
        name="the_sender_is_agreed_or_proven",
        line=Line.LYING_ENDPOINT,
        happens="one endpoint names our key as the sender of somebody else's transaction",
        holds="the hash must prove sender and nonce, or enough endpoints say the same",
        at="settlement_node/chain/endpoints/lookups.py:find_place",
        change=Always("is_proven", "agreement"),
        tests=(
            f"{LOOKUPS}::test_transaction_place__one_of_two_has_it_and_nothing_proves_it__"
            "transient",
        ),
    ),
    Defence(
        name="one_history_makes_no_price",
        line=Line.LYING_ENDPOINT,
        happens="one endpoint says that everybody pays a thousandfold",
        holds="the middle of all endpoints' histories counts, of two the lower",
        at="settlement_node/domain/engine/fees.py:middle_history",
        change=Swaps("(len(histories) - 1) // 2", "len(histories) - 1"),
        tests=(f"{FEES}::test_fee_history__one_endpoint_is_far_off__not_dearer[2-1000-0]",),
    ),
    Defence(
        name="whole_headers_are_compared",
        line=Line.LYING_ENDPOINT,
        happens="an endpoint shows a head's true hash beside a false time, parent or gas limit",
        holds="headers count as they are, not by their hash alone",
        at="settlement_node/chain/endpoints/heads.py:HeadTracker._agree",
        change=Swaps(
            "votes.setdefault(block, {})[endpoint] = block",
            "same = next((b for b in votes if b.block_hash == block.block_hash), block)\n"
            "votes.setdefault(same, {})[endpoint] = block",
        ),
        tests=(
            f"{HEADS}::test_refresh__one_of_three_changes_a_field_of_the_head__not_believed[0]",
        ),
    ),
    Defence(
        name="plain_http_is_chosen",
        line=Line.LYING_ENDPOINT,
        happens="somebody on the way to an endpoint changes its answers",
        holds="plain HTTP to another machine is refused, unless the settings allow it",
        at="settlement_node/config/sections.py:EndpointSettings._guarded",
        change=Swaps("not self.allow_plain_http", "self.allow_plain_http"),
        tests=(
            "tests/config/test_loading.py::"
            "test_load__plain_http_to_another_machine__refused_unless_it_is_allowed[node.example]",
        ),
    ),
)
