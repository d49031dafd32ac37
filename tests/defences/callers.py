"""Defences against what callers send: the same twice, malformed, enormous or malicious."""

from __future__ import annotations

from tests.defences.changes import Always, Drops, Never, Returns, Skips, Swaps
from tests.defences.model import Defence, Line

IDEMPOTENCY = "tests/api/test_idempotency.py"
DOOR = "tests/api/test_door.py"
TAKE_IN = "tests/api/test_take_in.py"

CALLERS: tuple[Defence, ...] = (
    Defence(
        name="same_key_same_answer",
        line=Line.REQUEST_TWICE,
        happens="a caller that got no answer sends its request again",
        holds="the answer is kept in the commit of the work, and given again",
        at="settlement_node/api/idempotency.py:_commit.attempt",
        change=Skips("finish_request"),
        tests=(
            f"{IDEMPOTENCY}::test_key__repeated_with_the_same_body__gives_the_first_answer[sqlite]",
        ),
    ),
    Defence(
        name="only_its_own_claim_is_freed",
        line=Line.REQUEST_TWICE,
        happens="a slow request fails after a repeat of it has taken its key over",
        holds="a claim has a token, and only the attempt that has it frees the key",
        at="settlement_node/store/people/requests.py:Claim._own_row",
        change=Drops("claim"),
        tests=(
            f"{IDEMPOTENCY}::"
            "test_key__slow_request_fails_after_another_took_the_key__is_not_freed[sqlite]",
            f"{IDEMPOTENCY}::"
            "test_key__slow_request_ends_after_another_took_the_key__its_work_is_undone"
            "[postgresql]",
        ),
    ),
    Defence(
        name="same_key_other_body",
        line=Line.REQUEST_TWICE,
        happens="a caller uses one key for two different requests",
        holds="another body under a key is a 422, and nothing is done",
        at="settlement_node/store/people/requests.py:begin_request",
        change=Swaps("row is not None and row.body_hash != body_hash", "row is None"),
        tests=(f"{IDEMPOTENCY}::test_key__with_another_body__is_422[sqlite]",),
    ),
    Defence(
        name="one_id_names_one_order",
        line=Line.REQUEST_TWICE,
        happens="the same order is entered again without a key",
        holds="its external id is in the book: a conflict that names it, nothing is taken",
        at="settlement_node/desk/intake.py:take_in",
        change=Swaps("isinstance(answer, Repeated)", "False"),
        tests=(
            f"{TAKE_IN}::"
            "test_post__an_id_of_the_book__is_a_conflict_and_nothing_of_the_request_is_taken"
            "[sqlite]",
            f"{TAKE_IN}::test_post__an_id_twice_in_one_request__is_a_conflict_that_names_it"
            "[sqlite]",
        ),
    ),
    Defence(
        name="bodies_are_bounded",
        line=Line.HOSTILE_INPUT,
        happens="a body without a length goes on and on",
        holds="what arrives is counted, and refused with a 413 past the bound",
        at="settlement_node/api/edge.py:Edge._bounded.receive_on",
        change=Never("_body_bytes_max"),
        tests=(f"{TAKE_IN}::test_post__too_large_a_body__is_413_with_and_without_a_length",),
    ),
    Defence(
        name="whole_digits_only",
        line=Line.HOSTILE_INPUT,
        happens="an amount comes as a fraction, an exponent, or in digits of another script",
        holds="an amount is plain decimal digits; anything else is refused by its field",
        at="settlement_node/units.py:parse_base_units",
        change=Swaps("_DIGITS.fullmatch(text)", "text.strip().isdigit()"),
        tests=("tests/test_units.py::test_parse_base_units__anything_else__is_refused_by_field",),
    ),
    Defence(
        name="unknown_fields_are_refused",
        line=Line.HOSTILE_INPUT,
        happens="a field is misspelt, and what was meant by it is silently ignored",
        holds="a field nobody knows is a 422 that names it, and nothing is taken",
        at="settlement_node/api/fields.py:InputSchema.model_config",
        change=Drops("extra"),
        tests=(
            f"{TAKE_IN}::"
            "test_post__one_bad_order_among_good__names_the_field_and_takes_nothing"
            "[sqlite-unknown field]",
        ),
    ),
    Defence(
        name="checksums_are_checked",
        line=Line.HOSTILE_INPUT,
        happens="an address has a wrong letter",
        holds="an address that is not written as its checksum says is refused",
        at="settlement_node/units.py:parse_address",
        change=Swaps("is_checksum_address(text)", "text.startswith('0x')"),
        tests=(
            "tests/test_units.py::test_parse_address__one_letter_in_the_wrong_case__is_refused",
        ),
    ),
    Defence(
        name="never_payable_is_refused",
        line=Line.HOSTILE_INPUT,
        happens="an order is of more shares than the token has in all",
        holds="the chain is asked for what can be paid at most, and the order is refused with it",
        at="settlement_node/api/routes/redemptions.py:take_redemptions_in",
        change=Skips("refuse_never_payable"),
        tests=(
            f"{DOOR}::"
            "test_post__more_shares_than_there_are__is_422_that_names_each_and_takes_none[sqlite]",
        ),
    ),
    Defence(
        name="paid_order_is_never_refused",
        line=Line.OLD_BACKUP,
        happens="an order is entered again after a restore, and its shares are gone: it was paid",
        holds="what an event shows as paid is taken in, and found settled",
        at="settlement_node/desk/door.py:never_payable",
        change=Always("ids", "paid"),
        tests=(
            f"{DOOR}::"
            "test_post__the_book_shows_it_as_paid__is_taken_in_though_its_shares_are_gone[sqlite]",
            f"{DOOR}::test_post__paid_in_a_block_the_book_has_not_read__is_taken_in[sqlite]",
        ),
    ),
    Defence(
        name="payee_is_a_payee",
        line=Line.HOSTILE_INPUT,
        happens="an order names the treasury itself as its payee",
        holds="treasury, settler, tokens and zero address are refused by name; nothing is taken",
        at="settlement_node/desk/intake.py:check_order",
        change=Drops("treasury_address"),
        tests=(f"{TAKE_IN}::test_post__the_treasury_as_payee__is_refused[sqlite]",),
    ),
    Defence(
        name="reads_need_a_key",
        line=Line.HOSTILE_INPUT,
        happens="an API that others reach is configured to be read by anyone",
        holds="the settings are refused: reading without a key is for loopback alone",
        at="settlement_node/config/sections.py:ApiSettings._open_on_loopback_only",
        change=Never("reads_need_key"),
        tests=(
            "tests/config/test_loading.py::"
            "test_load__reads_without_a_key_beyond_this_machine__is_refused",
        ),
    ),
    Defence(
        name="host_is_checked",
        line=Line.HOSTILE_INPUT,
        happens="a web page points a name of its own at this machine and reads through a browser",
        holds="a request for a name that is not served is a 421, before anything is looked at",
        at="settlement_node/api/edge.py:Edge._fault",
        change=Swaps("self._names.serve(headers.get(b'host'))", "headers.get(b'host')"),
        tests=(
            "tests/api/test_hosts.py::test_request__under_a_foreign_name__is_421[/v1/redemptions]",
        ),
    ),
    Defence(
        name="unknown_parameters_are_refused",
        line=Line.HOSTILE_INPUT,
        happens="a filter is misspelt, and an unfiltered list comes back",
        holds="a parameter that the document does not name, or one given twice, is a 422",
        at="settlement_node/api/app.py:create_app",
        change=Drops("dependencies"),
        tests=(
            "tests/api/test_queries.py::test_get__a_parameter_nobody_knows__is_422_by_its_name"
            "[/v1/redemptions?hold_reason=burn_failed-hold_reason]",
        ),
    ),
    Defence(
        name="streams_of_the_past_count",
        line=Line.HOSTILE_INPUT,
        happens="a caller opens any number of streams that read the whole past",
        holds="a stream takes its place before it reads anything",
        at="settlement_node/api/hub.py:EventHub.place",
        change=Swaps("self._places += 1", "self._places += 0"),
        tests=("tests/api/test_events.py::test_hub__reading_the_past__takes_a_place[sqlite]",),
    ),
    Defence(
        name="one_form_of_an_external_id",
        line=Line.REQUEST_TWICE,
        happens="the same order is entered again, its id written with another dash or accent",
        holds="ids are compared and hashed in one normal form",
        at="settlement_node/units.py:normal_external_id",
        change=Returns("text"),
        tests=(
            f"{TAKE_IN}::test_post__an_id_of_the_book_written_with_another_hyphen__is_a_conflict"
            "[sqlite]",
            "tests/test_units.py::"
            "test_redemption_id_of__written_with_another_hyphen_or_accent__is_the_same_id",
        ),
    ),
    Defence(
        name="no_id_is_a_formula",
        line=Line.HOSTILE_INPUT,
        happens="an id is a formula, and an export of the book is opened in a spreadsheet",
        holds="an id that begins like one is refused",
        at="settlement_node/domain/redemption.py:check_external_id",
        change=Never("FORMULA_STARTS"),
        tests=(f"{TAKE_IN}::test_post__an_id_like_a_formula__is_422[sqlite-=1+1]",),
    ),
    Defence(
        name="idle_connections_are_closed",
        line=Line.HOSTILE_INPUT,
        happens="a caller opens connections and sends nothing, or never ends a request",
        holds="each has a time in which its request must be there",
        at="settlement_node/api/protocol.py:BoundedProtocol.connection_made",
        change=Skips("_wait"),
        tests=(
            "tests/api/test_server.py::test_server__a_head_that_drips_in__is_closed_all_the_same",
        ),
    ),
    Defence(
        name="a_body_has_one_time",
        line=Line.HOSTILE_INPUT,
        happens="a caller holds every connection there may be with a body that drips in",
        holds="a body has one time for all of it, and the one we wait for longest makes room",
        at="settlement_node/api/protocol.py:BoundedProtocol._watch_body",
        change=Always("_timed"),
        tests=(
            "tests/api/test_server.py::test_server__a_body_that_drips_in__is_closed_all_the_same",
        ),
    ),
    Defence(
        name="one_of_each_header",
        line=Line.REQUEST_TWICE,
        happens="a request carries two keys, and who forwards it reads another one than the node",
        holds="a header of which one is read may be there once only",
        at="settlement_node/api/edge.py:Edge._fault",
        change=Never("names", "name"),
        tests=(
            "tests/api/test_hosts.py::test_request__a_header_twice__is_400_by_its_name"
            "[Idempotency-Key]",
        ),
    ),
    Defence(
        name="the_head_is_bounded",
        line=Line.HOSTILE_INPUT,
        happens="a head of any size arrives in one piece, past the server's own bound",
        holds="what was read is counted, and refused with a 431 past the bound",
        at="settlement_node/api/edge.py:Edge._fault",
        change=Never("HEAD_BYTES_MAX"),
        tests=(
            "tests/api/test_server.py::test_server__a_head_a_little_too_large__is_told_so[70000]",
        ),
    ),
    Defence(
        name="health_is_always_answered",
        line=Line.HOSTILE_INPUT,
        happens="as many requests are at work as may be, and the watchdog asks after the node",
        holds="health, readiness and metrics are answered beyond the bound",
        at="settlement_node/api/edge.py:Edge._fault",
        change=Always("QUIET_PATHS"),
        tests=(
            "tests/api/test_server.py::"
            "test_server__as_many_requests_as_may_be__health_is_answered_and_the_rest_come_back",
        ),
    ),
    Defence(
        name="a_refusal_can_be_read",
        line=Line.HOSTILE_INPUT,
        happens="a body is refused while it is still being sent, on a connection used before",
        holds="the rest is read and dropped, within bounds, before the connection closes",
        at="settlement_node/api/edge.py:Edge.__call__.send_on",
        change=Skips("drain"),
        tests=(
            "tests/api/test_server.py::"
            "test_server__too_large_a_body_on_a_reused_connection__the_413_is_read[False]",
        ),
    ),
)
