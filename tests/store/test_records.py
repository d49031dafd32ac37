"""Workers, runs, the outbox, breaks, alerts, funds and lanes."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from settlement_node.domain.attention import Alert, AlertKind, OfLane
from settlement_node.domain.breaks import PayoutTransfersDiffer
from settlement_node.domain.lane_breaks import BookWasBehind
from settlement_node.errors import Conflict, InvalidInput, NotFound
from settlement_node.store.book import funds, settlers
from settlement_node.store.database import Store, Tx
from settlement_node.store.engine import lanes
from settlement_node.store.telling import attention, consumers, outbox, records
from settlement_node.store.telling.consumers import Missed
from tests_support.book import (
    CHAIN_ID,
    LANE_ADDRESS,
    NEW_FUND,
    add_fund,
    address,
    hash32,
    stranger,
)
from tests_support.clock import Clock

A_BREAK = stranger(nonce=3)
LOW = Alert(AlertKind.GAS_LOW, OfLane(CHAIN_ID, LANE_ADDRESS))


def note(tx: Tx, node_id: str, *, runs: int = 1, last_error: str | None = None) -> None:
    records.note_worker(
        tx,
        node_id=node_id,
        worker="plan",
        runs_count=runs,
        failures_count=1,
        last_error=last_error,
        seconds=30.0,
    )


def test_workers__of_a_node_that_is_gone__leave_after_their_time(
    store: Store, clock: Clock
) -> None:
    with store.transaction(actor="before") as tx:
        note(tx, "before")
    clock.advance(seconds=20)
    with store.transaction(actor="after") as tx:
        note(tx, "after")
        both = records.list_workers(tx)
    clock.advance(seconds=11)
    with store.transaction(actor="after") as tx:
        left = records.list_workers(tx)
        dropped = records.forget_workers(tx)
    assert {"before", "after"} == {row["node_id"] for row in both}
    assert ["after"] == [row["node_id"] for row in left]
    assert 1 == dropped


def test_forget_workers__of_a_node_that_stops__leaves_the_others(store: Store) -> None:
    with store.transaction(actor="n") as tx:
        note(tx, "stopping")
        note(tx, "other")
        records.forget_workers(tx, node_id="stopping")
        left = records.list_workers(tx)
    assert ["other"] == [row["node_id"] for row in left]


def test_note_worker__again__replaces_its_row(store: Store) -> None:
    with store.transaction(actor="n") as tx:
        for runs, error in ((1, "x" * 2000), (2, None)):
            note(tx, "n", runs=runs, last_error=error)
        rows = records.list_workers(tx)
    assert [("plan", 2, 1, None)] == [
        (r["worker"], r["runs_count"], r["failures_count"], r["last_error"]) for r in rows
    ]


def test_last_reconciliation__several_runs__is_the_latest_of_the_fund(store: Store) -> None:
    add_fund(store)
    add_fund(store, fund_id="beta", share_token_address=address("beta shares"))
    with store.transaction(actor="n") as tx:
        for fund_id, to_block in (("alpha", 10), ("alpha", 20), ("beta", 30)):
            records.add_reconciliation(
                tx,
                fund_id=fund_id,
                from_block=0,
                to_block=to_block,
                share_supply_base_units=2**100,
                treasury_base_units=0,
                settled_count=1,
                breaks_opened_count=0,
                breaks_open_count=0,
            )
        last = records.last_reconciliation(tx, "alpha")
        none = records.last_reconciliation(tx, "gamma")
    assert last is not None
    assert (20, 2**100, None) == (last["to_block"], last["share_supply_base_units"], none)


def emit(store: Store, *subjects: str) -> None:
    with store.transaction(actor="n") as tx:
        for subject in subjects:
            tx.emit("topic", subject, {"s": subject})


def test_outbox_after__from_an_id__is_the_rest_in_order(store: Store) -> None:
    emit(store, "a", "b", "c")
    with store.read() as tx:
        first = outbox.after(tx, 0, limit=2)
        rest = outbox.after(tx, first[-1]["event_id"])
        ends = (outbox.oldest_id(tx), outbox.last_id(tx))
    assert [["a", "b"], ["c"]] == [[e["subject_id"] for e in events] for events in (first, rest)]
    assert ends == (first[0]["event_id"], rest[0]["event_id"])


def test_outbox__empty__has_ids_zero(store: Store) -> None:
    with store.read() as tx:
        assert (0, 0) == (outbox.oldest_id(tx), outbox.last_id(tx))


def drop(store: Store, before_utc: datetime, *, limit: int = 10) -> int:
    with store.transaction(actor="retain") as tx:
        return outbox.drop_old(tx, before_utc=before_utc, limit=limit)


def kept(store: Store) -> list[str]:
    with store.read() as tx:
        return [event["subject_id"] for event in outbox.after(tx, 0)]


def test_drop_old__old_and_handed_to_all__and_ids_are_never_given_again(
    store: Store, clock: Clock
) -> None:
    emit(store, "old", "old and unread")
    clock.advance(seconds=60)
    emit(store, "new")
    with store.transaction(actor="n") as tx:
        first, _, last = (event["event_id"] for event in outbox.after(tx, 0))
        for name, cursor in (("slow", first), ("quick", last)):
            consumers.enter(tx, name, from_now=False)
            consumers.advance(tx, name, to_event_id=cursor)
    assert drop(store, clock.now_utc) == 1
    assert kept(store) == ["old and unread", "new"]
    with store.transaction(actor="n") as tx:
        consumers.advance(tx, "slow", to_event_id=last)
    assert drop(store, clock.now_utc + timedelta(seconds=1)) == 2
    emit(store, "later")
    with store.read() as tx:
        assert outbox.last_id(tx) > last


def test_drop_old__a_bite__is_bounded(store: Store, clock: Clock) -> None:
    emit(store, "a", "b", "c")
    assert drop(store, clock.now_utc + timedelta(seconds=1), limit=2) == 2
    assert kept(store) == ["c"]


def test_pass_over__behind_what_is_too_old__misses_it_and_no_more(
    store: Store, clock: Clock
) -> None:
    emit(store, "a", "b")
    clock.advance(seconds=60)
    emit(store, "c")
    with store.transaction(actor="retain") as tx:
        a, b, c = (event["event_id"] for event in outbox.after(tx, 0))
        for name, cursor in (("dead", a), ("slow", b), ("quick", c)):
            consumers.enter(tx, name, from_now=False)
            consumers.advance(tx, name, to_event_id=cursor)
        missed = consumers.pass_over(tx, before_utc=clock.now_utc)
        cursors = {found.name: found.last_event_id for found in consumers.list_consumers(tx)}
    with store.read() as tx:
        told = records.audit_of(tx, "consumer", "dead")
    assert missed == [Missed("dead", after_event_id=a, to_event_id=b)]
    assert [("events_missed", {"after_event_id": a, "to_event_id": b})] == [
        (fact["action"], fact["detail"]) for fact in told
    ]
    assert cursors == {"dead": b, "quick": c, "slow": b}


def test_pass_over__nothing_too_old_or_nothing_at_all__misses_nothing(
    store: Store, clock: Clock
) -> None:
    with store.transaction(actor="retain") as tx:
        consumers.enter(tx, "new", from_now=False)
        none = consumers.pass_over(tx, before_utc=clock.now_utc)
    emit(store, "a")
    with store.transaction(actor="retain") as tx:
        assert ([], []) == (none, consumers.pass_over(tx, before_utc=clock.now_utc))


def test_open_break__same_one_again__is_one_until_resolved(store: Store) -> None:
    with store.transaction(actor="n") as tx:
        opened = [attention.open_lane_break(tx, A_BREAK) for _ in range(2)]
        number = attention.open_breaks(tx)[0]["break_id"]
        resolved = [attention.resolve_break(tx, number, reason="mended") for _ in range(2)]
        opened.append(attention.open_lane_break(tx, A_BREAK))
        assert attention.count_open_breaks(tx) == 1
    assert (opened, resolved) == ([True, False, True], [True, False])


def test_open_breaks__filters__select(store: Store) -> None:
    fund = add_fund(store)
    many = tuple((1, n, address(str(n))) for n in range(100))
    with store.transaction(actor="n") as tx:
        attention.open_break(tx, fund, PayoutTransfersDiffer(hash32("t"), many, ()))
        attention.open_lane_break(tx, BookWasBehind(CHAIN_ID, LANE_ADDRESS, 3, 5, 70))
        of_fund = attention.open_breaks(tx, fund_id="alpha")
        money = attention.open_breaks(tx, money_only=True)
        of_other = attention.open_breaks(tx, fund_id="beta")
        counts = [attention.count_open_breaks(tx, fund_id=f) for f in (None, "alpha", "beta")]
    assert [["payout_transfers_differ"], ["payout_transfers_differ"], []] == [
        [b["kind"] for b in rows] for rows in (of_fund, money, of_other)
    ]
    assert counts == [2, 1, 0]
    assert 200 == len(of_fund[0]["expected"])
    assert attention.break_of(of_fund[0]) == PayoutTransfersDiffer(hash32("t"), many, ())


def test_raise_alert__again_with_news__is_one_with_the_newest_words(store: Store) -> None:
    with store.transaction(actor="n") as tx:
        new = [attention.tell(tx, replace(LOW, detail=d)) != [] for d in ("one", "two", "two")]
        alerts = attention.open_alerts(tx)
        cleared = [attention.tell(tx, LOW) != [] for _ in range(2)]
        again = attention.tell(tx, replace(LOW, detail="three")) != []
    with store.read() as tx:
        topics = [e["topic"] for e in outbox.after(tx, 0)]
    assert (new, cleared, again) == ([True, False, False], [True, False], True)
    assert ["two"] == [a["detail"] for a in alerts]
    assert topics == ["alert.raised", "alert.cleared", "alert.raised"]


def test_raise_alert__by_many_nodes_at_once__is_one_and_nobody_fails(store: Store) -> None:
    new: list[object] = []
    ready = threading.Barrier(4)

    def run(name: str) -> None:
        ready.wait()
        try:
            with store.transaction(actor=name) as tx:
                new.append(attention.tell(tx, replace(LOW, detail=name)) != [])
        except BaseException as error:  # noqa: BLE001 (shown by the assertion)
            new.append(repr(error))

    threads = [threading.Thread(target=run, args=(f"n{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new, key=str) == [False, False, False, True]


def test_audit_of__subject__has_its_facts_in_order(store: Store) -> None:
    with store.transaction(actor="n") as tx:
        for action, subject in (("one", "1"), ("other", "2"), ("two", "1")):
            tx.audit(action, "thing", subject)
    with store.read() as tx:
        assert ["one", "two"] == [f["action"] for f in records.audit_of(tx, "thing", "1")]


def test_add_fund__new__has_its_settler_and_lane(store: Store) -> None:
    fund = add_fund(store, next_nonce=None)
    with store.read() as tx:
        known = [dict(s) for s in settlers.settlers_of(tx, fund.fund_id)]
        lane = lanes.get_lane(tx, CHAIN_ID, LANE_ADDRESS)
        listed = funds.list_funds(tx, chain_id=CHAIN_ID, lane_address=LANE_ADDRESS)
        elsewhere = funds.list_funds(tx, chain_id=1)
    assert lane is not None
    assert (lane.next_nonce, lane.paused, listed, elsewhere) == (None, False, [fund], [])
    assert [(NEW_FUND.settler_address, 10, 9)] == [
        (s["settler_address"], s["from_block"], s["scanned_to_block"]) for s in known
    ]


@pytest.mark.parametrize(
    "changes",
    [{"share_token_address": address("x")}, {"fund_id": "beta"}],
    ids=["same id", "same share token"],
)
def test_add_fund__id_or_token_taken__is_a_conflict(
    store: Store, changes: dict[str, object]
) -> None:
    add_fund(store)
    with pytest.raises(Conflict, match="alpha"):
        add_fund(store, **changes)


def test_add_fund__second_on_a_lane__shares_it(store: Store) -> None:
    add_fund(store, next_nonce=7)
    add_fund(store, next_nonce=None, fund_id="beta", share_token_address=address("beta shares"))
    with store.read() as tx:
        assert [7] == [lane.next_nonce for lane in lanes.list_lanes(tx)]


def test_add_settler__negative_block__is_refused(store: Store) -> None:
    add_fund(store)
    with pytest.raises(InvalidInput), store.transaction(actor="n") as tx:
        settlers.add_settler(tx, "alpha", settler_address=address("s2"), from_block=-1)


def test_get_fund__unknown__says_how_to_add_it(store: Store) -> None:
    with store.read() as tx, pytest.raises(NotFound, match="fund add"):
        funds.get_fund(tx, "nobody")


def test_set_fund_paused__and_resumed__keeps_the_reason_while_paused(store: Store) -> None:
    add_fund(store)
    states = []
    for paused, reason in ((True, "r" * 2000), (False, None)):
        with store.transaction(actor="n") as tx:
            funds.set_fund_paused(tx, "alpha", paused=paused, reason=reason)
        with store.read() as tx:
            fund = funds.get_fund(tx, "alpha")
            states.append((fund.paused, fund.pause_reason))
    assert states == [(True, "r" * 500), (False, None)]


def test_set_lane_paused__same_again__is_said_once(store: Store) -> None:
    add_fund(store)
    with store.transaction(actor="n") as tx:
        for _ in range(2):
            lanes.set_lane_paused(tx, CHAIN_ID, LANE_ADDRESS, paused=True, reason="stop")
    with store.read() as tx:
        lane = lanes.get_lane(tx, CHAIN_ID, LANE_ADDRESS)
        topics = [e["topic"] for e in outbox.after(tx, 0)]
    assert lane is not None
    assert (True, "stop", ["lane.paused"]) == (lane.paused, lane.pause_reason, topics)


def test_set_lane_paused__unknown_lane__is_not_found(store: Store) -> None:
    with pytest.raises(NotFound), store.transaction(actor="n") as tx:
        lanes.set_lane_paused(tx, CHAIN_ID, address("nobody"), paused=True, reason=None)
