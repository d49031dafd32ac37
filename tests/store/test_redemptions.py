"""Orders, facts, what is due, pages and searches."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from settlement_node.domain.lifecycle import RedemptionFact, RedemptionStatus
from settlement_node.domain.redemption import HoldReason
from settlement_node.errors import InvariantBroken, Transient
from settlement_node.store import tables as t
from settlement_node.store.book import funds, payments, redemptions
from settlement_node.store.book.redemptions import Advance, RedemptionFilter
from settlement_node.store.chain_memory import chain_book, foreign
from settlement_node.store.database import Store
from settlement_node.store.rows import RedemptionRow
from settlement_node.store.telling import outbox, records
from settlement_node.units import Shares, redemption_id_of
from tests_support.book import (
    CHAIN_ID,
    NEW_FUND,
    add_fund,
    address,
    approve,
    batch_event,
    hash32,
    order,
    place,
    plan,
    request,
    settled_event,
)
from tests_support.clock import START_UTC, Clock


def search(store: Store, **wanted: object) -> list[str]:
    """External ids of the first page, in its order."""
    with store.read() as tx:
        rows = redemptions.page(tx, RedemptionFilter(**wanted), limit=100)  # type: ignore[arg-type]
    return [row.external_id for row in rows]


def get(store: Store, row: RedemptionRow) -> RedemptionRow:
    with store.read() as tx:
        found = redemptions.get(tx, row.redemption_id)
    assert found is not None
    return found


def test_new_rows__new__come_back_requested_in_their_order(store: Store) -> None:
    rows = request(store, add_fund(store), ["b", "a", "c"])
    assert [("b", 0), ("a", 1), ("c", 2)] == [(r.external_id, r.redemption_index) for r in rows]
    assert {(RedemptionStatus.REQUESTED, 0, START_UTC)} == {
        (r.status, r.version, r.requested_at_utc) for r in rows
    }


def test_new_rows__new__have_the_id_of_chain_token_and_external_id(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    assert row.redemption_id == redemption_id_of(
        chain_id=CHAIN_ID, share_token_address=NEW_FUND.share_token_address, external_id="a"
    )


def test_new_rows__later_ones__continue_the_index(store: Store) -> None:
    fund = add_fund(store)
    request(store, fund, ["a", "b"])
    assert [2] == [row.redemption_index for row in request(store, fund, ["c"])]


def test_new_rows__one_investor_in_several_orders__is_one_investor(store: Store) -> None:
    same = address("same")
    fund = add_fund(store)
    first = request(store, fund, [order("a", investor_address=same)])
    later = request(
        store, fund, [order("b", investor_address=same), order("c", investor_address=same)]
    )
    assert len({row.investor_id for row in [*first, *later]}) == 1


def test_new_rows__same_external_id_in_two_funds__is_two_redemptions(store: Store) -> None:
    one = request(store, add_fund(store), ["a"])[0]
    beta = add_fund(store, fund_id="beta", share_token_address=address("beta shares"))
    other = request(store, beta, ["a"])[0]
    assert one.redemption_id != other.redemption_id


def test_new_rows__none__gives_none(store: Store) -> None:
    assert request(store, add_fund(store), []) == []


def test_new_rows__more_than_one_chunk__all_go_in(store: Store) -> None:
    names = [f"n{n}" for n in range(1_001)]
    rows = request(store, add_fund(store), names)
    assert [(name, n) for n, name in enumerate(names)] == [
        (row.external_id, row.redemption_index) for row in rows
    ]


def test_record_fact__legal__writes_status_version_fact_and_event(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="desk") as tx:
        after = redemptions.record_fact(
            tx, row, RedemptionFact.APPROVAL_GIVEN, detail={"approved_by": "desk"}
        )
    with store.read() as tx:
        fact = records.audit_of(tx, "redemption", row.redemption_id)[-1]
        event = outbox.after(tx, 0)[-1]
    assert (after.status, after.version) == (RedemptionStatus.APPROVED, 1)
    assert get(store, row) == after
    assert (fact["action"], fact["actor"], fact["detail"]) == (
        "approval_given", "desk", {"from": "requested", "to": "approved", "approved_by": "desk"},
    )  # fmt: skip
    assert (event["topic"], event["subject_id"], event["payload"]["status"]) == (
        "redemption.approved", row.redemption_id, "approved",
    )  # fmt: skip


def test_record_fact__illegal__breaks_and_changes_nothing(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    with pytest.raises(InvariantBroken), store.transaction(actor="desk") as tx:
        redemptions.record_fact(tx, row, RedemptionFact.PAYMENT_FINAL)
    assert get(store, row) == row


def test_record_fact__row_moved_on_meanwhile__is_to_be_read_again(store: Store) -> None:
    """A cancellation meets the plan stage: the second to commit has seen an old row."""
    row = approve(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="desk") as tx:
        redemptions.record_fact(tx, row, RedemptionFact.CANCELLATION_GIVEN)
    with pytest.raises(Transient), store.transaction(actor="plan") as tx:
        redemptions.record_fact(tx, row, RedemptionFact.SETTLEMENT_PLANNED)
    assert get(store, row).status is RedemptionStatus.CANCELLED


def test_record_fact__out_of_hold__takes_the_reason_away(store: Store) -> None:
    row = approve(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="desk") as tx:
        held = redemptions.record_fact(
            tx,
            row,
            RedemptionFact.HOLD_PLACED,
            changes={"hold_reason": "operator", "hold_detail": "asked"},
        )
        released = redemptions.record_fact(tx, held, RedemptionFact.HOLD_RELEASED)
    assert [("operator", "asked"), (None, None)] == [
        (r.hold_reason, r.hold_detail) for r in (held, released)
    ]


def test_get_many__unknown_ids__are_absent(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    with store.read() as tx:
        found = redemptions.get_many(tx, [row.redemption_id, hash32("unknown")])
    assert found == {row.redemption_id: row}


def test_due__dates_that_have_come_or_none__oldest_index_first(store: Store, clock: Clock) -> None:
    fund = add_fund(store)
    approve(
        store,
        fund,
        [
            order("now", settle_after_utc=START_UTC),
            order("later", settle_after_utc=START_UTC + timedelta(seconds=1)),
            "any time",
        ],
    )
    request(store, fund, ["not approved"])

    def due() -> list[str]:
        with store.read() as tx:
            return [
                row.external_id
                for row in redemptions.due(tx, fund.fund_id, at_utc=clock(), limit=10)
            ]

    assert due() == ["now", "any time"]
    clock.advance(seconds=1)
    assert due() == ["now", "later", "any time"]


def test_due__more_than_the_limit__gives_the_oldest(store: Store) -> None:
    fund = add_fund(store)
    approve(store, fund, ["a", "b", "c"])
    with store.read() as tx:
        assert [
            r.external_id for r in redemptions.due(tx, fund.fund_id, at_utc=START_UTC, limit=2)
        ] == ["a", "b"]


def test_due__another_fund__is_left_out(store: Store) -> None:
    approve(store, add_fund(store), ["a"])
    beta = add_fund(store, fund_id="beta", share_token_address=address("beta shares"))
    with store.read() as tx:
        assert redemptions.due(tx, beta.fund_id, at_utc=START_UTC, limit=10) == []


def test_due_smallest__fewer_than_the_due__are_those_with_the_fewest_shares_by_index(
    store: Store,
) -> None:
    fund = add_fund(store)
    sizes = [("big", 2**80), ("mid", 10**18), ("small", 9), ("later", 1), ("tiny", 2)]
    orders = [order(name, shares_base_units=Shares(size)) for name, size in sizes]
    orders[3] = order("later", settle_after_utc=START_UTC + timedelta(seconds=1))
    approve(store, fund, orders)
    with store.read() as tx:
        found = redemptions.due_smallest(tx, fund.fund_id, at_utc=START_UTC, limit=3)
    assert [row.external_id for row in found] == ["mid", "small", "tiny"]


def test_waiting_but_settled__final_event_of_a_waiting_one__is_found(store: Store) -> None:
    fund = add_fund(store)
    final, recent, _unpaid = approve(store, fund, ["final", "recent", "unpaid"])
    with store.transaction(actor="test") as tx:
        chain_book.record_events(
            tx, CHAIN_ID, [settled_event(final, place(20)), settled_event(recent, place(21))]
        )
    with store.read() as tx:
        found = payments.waiting_but_settled(tx, fund, final_number=20, limit=10)
    assert [row.external_id for row in found] == ["final"]


def test_waiting_but_settled__among_very_many__is_found_by_the_batches_of_others(
    store: Store,
) -> None:
    fund = add_fund(store)
    paid, *_ = approve(store, fund, [f"order-{n}" for n in range(payments.WAITING_FEW + 1)])
    theirs = batch_event(place(20, log_index=1), number=1)
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, CHAIN_ID, [settled_event(paid, place(20)), theirs])
        foreign.note_batches(tx, fund.fund_id, CHAIN_ID, fund.settler_address, [theirs.batch_hash])
    with store.read() as tx:
        found = [
            [
                row.external_id
                for row in payments.waiting_but_settled(tx, fund, final_number=number, limit=10)
            ]
            for number in (19, 20)
        ]
    assert [[], ["order-0"]] == found


def test_waiting_but_settled__one_in_flight__is_left_to_its_own_settlement(store: Store) -> None:
    fund = add_fund(store)
    rows = approve(store, fund, ["a"])
    plan(store, fund, rows, nonce=0)
    with store.transaction(actor="test") as tx:
        chain_book.record_events(tx, CHAIN_ID, [settled_event(rows[0], place(20))])
    with store.read() as tx:
        assert payments.waiting_but_settled(tx, fund, final_number=20, limit=10) == []


def test_set_waiting_on__noted_twice__changes_once(store: Store) -> None:
    row = approve(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="test") as tx:
        counts = [redemptions.set_waiting_on(tx, [row.redemption_id], w) for w in ("nav", "nav")]
        counts.append(redemptions.set_waiting_on(tx, [row.redemption_id], None))
    assert counts == [1, 0, 1]


def test_set_waiting_on__not_approved__is_left_alone(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="test") as tx:
        assert redemptions.set_waiting_on(tx, [row.redemption_id], "nav") == 0


def test_in_flight_payout__settling_only__is_their_sum(store: Store) -> None:
    fund = add_fund(store)
    with store.read() as tx:
        none = redemptions.in_flight_payout(tx, fund.fund_id)
    rows = approve(store, fund, ["a", "b", "c"])
    plan(store, fund, rows[:2], nonce=0)
    with store.read() as tx:
        assert (none, redemptions.in_flight_payout(tx, fund.fund_id)) == (0, 2_000_000)


def test_page__newest_first__and_each_row_once_over_all_pages(store: Store, clock: Clock) -> None:
    """Rows of one request share their time, so the cursor must break ties."""
    fund = add_fund(store)
    for batch in ("x", "y", "z"):
        request(store, fund, [f"{batch}{n}" for n in range(5)])
        clock.advance(seconds=1)
    seen: list[RedemptionRow] = []
    while True:
        after = (seen[-1].requested_at_utc, seen[-1].redemption_id) if seen else None
        with store.read() as tx:
            rows = redemptions.page(tx, RedemptionFilter(), limit=4, after=after)
        if not rows:
            break
        seen += rows
    keys = [(row.requested_at_utc, row.redemption_id) for row in seen]
    assert len(keys) == 15
    assert keys == sorted(set(keys), reverse=True)


def test_page__filters__each_selects(store: Store, clock: Clock) -> None:
    fund = add_fund(store)
    beta = add_fund(store, fund_id="beta", share_token_address=address("beta shares"))
    request(store, fund, ["early"])
    clock.advance(seconds=10)
    approve(store, fund, ["late"])
    request(store, beta, ["other"])
    middle = START_UTC + timedelta(seconds=10)
    assert search(store, fund_id="beta") == ["other"]
    assert search(store, status=RedemptionStatus.APPROVED) == ["late"]
    assert search(store, investor_address=address("investor early")) == ["early"]
    assert search(store, requested_before_utc=middle) == ["early"]
    assert set(search(store, requested_from_utc=middle)) == {"late", "other"}
    assert search(store, fund_id="alpha", status=RedemptionStatus.REQUESTED) == ["early"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("%", ["50%"]),
        ("_", ["a_b"]),
        ("0%", ["50%"]),
        ("A_B", ["a_b"]),
        ("axb", ["axb"]),
        ("/", ["q/1"]),
        ("'", ["o'k"]),
        ("\\", ["back\\slash"]),
        ("nothing", []),
        ("a\x00", []),
    ],
)
def test_page__search_with_signs_of_patterns__takes_them_as_they_are(
    store: Store, words: str, expected: list[str]
) -> None:
    request(store, add_fund(store), ["50%", "a_b", "axb", "q/1", "o'k", "back\\slash"])
    assert search(store, search=words) == expected


def test_page__search_by_address_or_id__ignores_case(store: Store) -> None:
    row = request(store, add_fund(store), ["a", "b"])[0]
    for words in (row.investor_address, row.payee_address, row.redemption_id):
        assert search(store, search=words.lower()) == ["a"]
        assert search(store, search="0x" + words[2:].upper()) == ["a"]


def test_count_by_status__some__has_every_status(store: Store) -> None:
    fund = add_fund(store)
    request(store, fund, ["a", "b"])
    approve(store, fund, ["c"])
    with store.read() as tx:
        counts = redemptions.count_by_status(tx, fund.fund_id)
        elsewhere = redemptions.count_by_status(tx, "none")
    expected = dict.fromkeys(RedemptionStatus, 0) | {
        RedemptionStatus.REQUESTED: 2,
        RedemptionStatus.APPROVED: 1,
    }
    assert (expected, dict.fromkeys(RedemptionStatus, 0)) == (counts, elsewhere)


def test_count_by_status__after_facts_of_a_batch__is_what_counting_gives(store: Store) -> None:
    fund = add_fund(store)
    rows = approve(store, fund, [f"n{n}" for n in range(5)])
    request(store, fund, ["later"])
    plan(store, fund, rows[:3], nonce=0)
    with store.transaction(actor="test") as tx:
        hold = redemptions.hold(rows[3], HoldReason.OPERATOR, "asked")
        redemptions.record_facts(tx, [hold])
    with store.read() as tx:
        r = t.redemptions
        counted = tx.connection.execute(
            sa.select(r.c.status, sa.func.count()).group_by(r.c.status)
        ).all()
        kept = redemptions.count_by_status(tx)
    assert dict.fromkeys(RedemptionStatus, 0) | {RedemptionStatus(s): n for s, n in counted} == kept


def test_count_by_status__commits_that_cross__wait_for_one_another_and_all_count(
    store: Store,
) -> None:
    """Orders come in while others are held and released, in as many commits at once."""
    fund = add_fund(store)
    rows = approve(store, fund, [f"n{n}" for n in range(4)])
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for turn in range(5):
                approve(store, fund, [f"{name} {turn}"])
                with store.transaction(actor="test") as tx:
                    row = redemptions.get_many(tx, [rows[name].redemption_id])[
                        rows[name].redemption_id
                    ]
                    hold = redemptions.hold(row, HoldReason.OPERATOR, "asked")
                    if row.status is RedemptionStatus.HELD:
                        hold = Advance(row, RedemptionFact.HOLD_RELEASED)
                    redemptions.record_facts(tx, [hold])
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        counts = redemptions.count_by_status(tx, fund.fund_id)
    assert ([], 20, 4) == (
        failures,
        counts[RedemptionStatus.APPROVED],
        counts[RedemptionStatus.HELD],
    )


def test_record_facts__one_of_a_batch_moved_on__is_refused_whole(store: Store) -> None:
    rows = approve(store, add_fund(store), ["a", "b", "c"])
    with store.transaction(actor="desk") as tx:
        redemptions.record_fact(tx, rows[1], RedemptionFact.CANCELLATION_GIVEN)
    with pytest.raises(Transient, match="1 of 3"), store.transaction(actor="plan") as tx:
        redemptions.record_facts(
            tx, [redemptions.hold(row, HoldReason.OPERATOR, "asked") for row in rows]
        )
    assert get(store, rows[0]) == rows[0]


def test_record_facts__none__does_nothing(store: Store) -> None:
    with store.transaction(actor="desk") as tx:
        assert redemptions.record_facts(tx, []) == []


@pytest.mark.parametrize("count", [1, 50])
def test_record_facts__any_number__costs_as_many_statements(store: Store, count: int) -> None:
    rows = approve(store, add_fund(store), [f"n{n}" for n in range(count)])
    statements: list[str] = []
    sa.event.listen(
        store.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: statements.append(statement),
    )
    with store.transaction(actor="desk") as tx:
        redemptions.record_facts(
            tx, [Advance(row, RedemptionFact.CANCELLATION_GIVEN) for row in rows]
        )
    writing = [s for s in statements if s.startswith(("UPDATE", "INSERT"))]
    assert ["redemptions", "audit_events", "ledger_postings", "redemption_counts", "outbox"] == [
        s.split()[2 if s.startswith("INSERT") else 1] for s in writing
    ]


def test_times_settled__events_of_two_settlers__are_both_counted(store: Store) -> None:
    row = request(store, add_fund(store), ["a"])[0]
    with store.transaction(actor="test") as tx:
        chain_book.record_events(
            tx,
            CHAIN_ID,
            [
                settled_event(row, place(20)),
                settled_event(row, place(30, settler_address=address("older settler"))),
            ],
        )
        assert payments.times_settled(tx, CHAIN_ID, [row.redemption_id]) == {row.redemption_id: 2}


def raised(store: Store, *settled: int) -> int:
    """The index that the next order gets, after a replay of these."""
    fund = add_fund(store)
    with store.transaction(actor="test") as tx:
        funds.raise_next_index(tx, fund.fund_id, settled)
    return request(store, fund, ["a"])[0].redemption_index


def test_raise_next_index__settled_on_the_chain__is_never_given_again(store: Store) -> None:
    assert raised(store, 7, 2, 0) == 8


def test_raise_next_index__lower_than_the_book__changes_nothing(store: Store) -> None:
    fund = add_fund(store)
    request(store, fund, ["a", "b", "c"])
    with store.transaction(actor="test") as tx:
        funds.raise_next_index(tx, fund.fund_id, [0, 1])
    assert request(store, fund, ["d"])[0].redemption_index == 3


def test_raise_next_index__steps_that_a_book_makes__are_followed_in_order(store: Store) -> None:
    step = funds.INDEX_LEAP_MAX - 1
    assert raised(store, 3 * step, step, 2 * step) == 3 * step + 1


def test_raise_next_index__one_no_book_gave__does_not_use_up_the_others(store: Store) -> None:
    assert raised(store, 5, 2**62 - 1, funds.INDEX_LEAP_MAX + 6) == 6
