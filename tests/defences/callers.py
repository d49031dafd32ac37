"""Defences against what callers send: the same twice, malformed, enormous or malicious."""

from __future__ import annotations

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
        file="settlement_node/api/idempotency.py",
        old="                finish_request(tx, claim, status=status, body=body)\n        return",
        new="                pass\n        return",
        tests=(
            f"{IDEMPOTENCY}::test_key__repeated_with_the_same_body__gives_the_first_answer[sqlite]",
        ),
    ),
    Defence(
        name="only_its_own_claim_is_freed",
        line=Line.REQUEST_TWICE,
        happens="a slow request fails after a repeat of it has taken its key over",
        holds="a claim has a token, and only the attempt that has it frees the key",
        file="settlement_node/store/people/requests.py",
        old="self._row(), k.c.claim == self.token, k.c.response_status",
        new="self._row(), k.c.response_status",
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
        file="settlement_node/store/people/requests.py",
        old="row is not None and row.body_hash != body_hash:",
        new="row is None:",
        tests=(f"{IDEMPOTENCY}::test_key__with_another_body__is_422[sqlite]",),
    ),
    Defence(
        name="one_id_names_one_order",
        line=Line.REQUEST_TWICE,
        happens="the same order is entered again without a key",
        holds="its external id is in the book: a conflict that names it, nothing is taken",
        file="settlement_node/store/book/orders.py",
        old="    _refuse_duplicates(tx, fund, orders)\n",
        new=(
            "    first_seen = {order.external_id: order for order in orders}\n"
            "    known = known_external_ids(tx, fund.fund_id, sorted(first_seen))\n"
            "    orders = [o for key, o in first_seen.items() if key not in known]\n"
        ),
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
        file="settlement_node/api/edge.py",
        old="            if received > self._body_bytes_max:\n",
        new="            if received < 0:\n",
        tests=(f"{TAKE_IN}::test_post__too_large_a_body__is_413_with_and_without_a_length",),
    ),
    Defence(
        name="whole_digits_only",
        line=Line.HOSTILE_INPUT,
        happens="an amount comes as a fraction, an exponent, or in digits of another script",
        holds="an amount is plain decimal digits; anything else is refused by its field",
        file="settlement_node/units.py",
        old="    if not _DIGITS.fullmatch(text):\n",
        new="    if not text.strip().isdigit():\n",
        tests=("tests/test_units.py::test_parse_base_units__anything_else__is_refused_by_field",),
    ),
    Defence(
        name="unknown_fields_are_refused",
        line=Line.HOSTILE_INPUT,
        happens="a field is misspelt, and what was meant by it is silently ignored",
        holds="a field nobody knows is a 422 that names it, and nothing is taken",
        file="settlement_node/api/fields.py",
        old='extra="forbid", frozen=True, hide_input_in_errors=True',
        new="frozen=True, hide_input_in_errors=True",
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
        file="settlement_node/units.py",
        old="    if not is_checksum_address(text):\n",
        new='    if not text.startswith("0x"):\n',
        tests=(
            "tests/test_units.py::test_parse_address__one_letter_in_the_wrong_case__is_refused",
        ),
    ),
    Defence(
        name="never_payable_is_refused",
        line=Line.HOSTILE_INPUT,
        happens="an order is of more shares than the token has in all",
        holds="the chain is asked for what can be paid at most, and the order is refused with it",
        file="settlement_node/api/redemptions/routes.py",
        old="    refuse_never_payable(context.store, body.fund_id, orders, context.capacity_now)\n",
        new="",
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
        file="settlement_node/desk/door.py",
        old="and ids[named[place]] not in paid",
        new="",
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
        file="settlement_node/desk/intake.py",
        old="if order.payee_address in (fund.treasury_address, *never):",
        new="if order.payee_address in never:",
        tests=(f"{TAKE_IN}::test_post__the_treasury_as_payee__is_refused[sqlite]",),
    ),
    Defence(
        name="reads_need_a_key",
        line=Line.HOSTILE_INPUT,
        happens="an API that others reach is configured to be read by anyone",
        holds="the settings are refused: reading without a key is for loopback alone",
        file="settlement_node/config/sections.py",
        old="        if not self.reads_need_key and not self.on_loopback:\n",
        new="        if not self.reads_need_key and not self.host:\n",
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
        file="settlement_node/api/edge.py",
        old='        if not self._names.serve(headers.get(b"host")):\n',
        new='        if not headers.get(b"host"):\n',
        tests=(
            "tests/api/test_hosts.py::test_request__under_a_foreign_name__is_421[/v1/redemptions]",
        ),
    ),
    Defence(
        name="unknown_parameters_are_refused",
        line=Line.HOSTILE_INPUT,
        happens="a filter is misspelt, and an unfiltered list comes back",
        holds="a parameter that the document does not name, or one given twice, is a 422",
        file="settlement_node/api/app.py",
        old="        dependencies=[Depends(check_query)],\n",
        new="",
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
        file="settlement_node/api/events/hub.py",
        old="            self._places += 1\n",
        new="            self._places += 0\n",
        tests=("tests/api/test_events.py::test_hub__reading_the_past__takes_a_place[sqlite]",),
    ),
    Defence(
        name="one_form_of_an_external_id",
        line=Line.REQUEST_TWICE,
        happens="the same order is entered again, its id written with another dash or accent",
        holds="ids are compared and hashed in one normal form",
        file="settlement_node/units.py",
        old='    return "".join(map(_hyphen, unicodedata.normalize("NFC", text)))\n',
        new="    return text\n",
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
        file="settlement_node/domain/redemption.py",
        old="    if normal.startswith(FORMULA_STARTS):\n",
        new="    if not normal:\n",
        tests=(f"{TAKE_IN}::test_post__an_id_like_a_formula__is_422[sqlite-=1+1]",),
    ),
    Defence(
        name="idle_connections_are_closed",
        line=Line.HOSTILE_INPUT,
        happens="a caller opens connections and sends nothing, or never ends a request",
        holds="each has a time in which its request must be there",
        file="settlement_node/api/protocol.py",
        old="        super().connection_made(transport)\n        self._wait(IDLE_SECONDS)\n",
        new="        super().connection_made(transport)\n",
        tests=(
            "tests/api/test_server.py::test_server__a_head_that_drips_in__is_closed_all_the_same",
        ),
    ),
    Defence(
        name="a_body_has_one_time",
        line=Line.HOSTILE_INPUT,
        happens="a caller holds every connection there may be with a body that drips in",
        holds="a body has one time for all of it, and the one we wait for longest makes room",
        file="settlement_node/api/protocol.py",
        old="        elif self.cycle is not self._timed:\n",
        new="        else:\n",
        tests=(
            "tests/api/test_server.py::test_server__a_body_that_drips_in__is_closed_all_the_same",
        ),
    ),
    Defence(
        name="one_of_each_header",
        line=Line.REQUEST_TWICE,
        happens="a request carries two keys, and who forwards it reads another one than the node",
        holds="a header of which one is read may be there once only",
        file="settlement_node/api/edge.py",
        old="if names.count(name) > 1)",
        new="if names.count(name) > 9)",
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
        file="settlement_node/api/edge.py",
        old="        if _head_bytes(scope) > HEAD_BYTES_MAX:\n",
        new="        if _head_bytes(scope) < 0:\n",
        tests=(
            "tests/api/test_server.py::test_server__a_head_a_little_too_large__is_told_so[70000]",
        ),
    ),
    Defence(
        name="health_is_always_answered",
        line=Line.HOSTILE_INPUT,
        happens="as many requests are at work as may be, and the watchdog asks after the node",
        holds="health, readiness and metrics are answered beyond the bound",
        file="settlement_node/api/edge.py",
        old='        if self._at_work >= REQUESTS_MAX and scope["path"] not in QUIET_PATHS:\n',
        new="        if self._at_work >= REQUESTS_MAX:\n",
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
        file="settlement_node/api/edge.py",
        old="                await drain()\n",
        new="",
        tests=(
            "tests/api/test_server.py::"
            "test_server__too_large_a_body_on_a_reused_connection__the_413_is_read[False]",
        ),
    ),
)
