"""Idempotency keys: one attempt holds a key at a time."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta

import pytest

from settlement_node.errors import Conflict, IdempotencyMismatch
from settlement_node.store.database import Store
from settlement_node.store.people.requests import (
    Claim,
    StoredAnswer,
    abandon_request,
    begin_request,
    drop_old_keys,
    finish_request,
)
from tests_support.book import hash32
from tests_support.clock import Clock

PATIENCE = timedelta(seconds=60)
ANSWER = StoredAnswer(status=201, body={"n": "1"})
_tokens = itertools.count()


def new_claim(key: str = "k", client: str = "client") -> Claim:
    return Claim(client, key, f"attempt {next(_tokens)}")


def begin(store: Store, claim: Claim | None = None, *, body: str = "body") -> StoredAnswer | None:
    with store.transaction(actor="client") as tx:
        return begin_request(
            tx,
            claim or new_claim(),
            body_hash=hash32(body),
            at_utc=tx.now_utc,
            stale_before_utc=tx.now_utc - PATIENCE,
        )


def begun(store: Store) -> Claim:
    """A claim whose request is to be carried out."""
    claim = new_claim()
    assert begin(store, claim) is None
    return claim


def finish(store: Store, claim: Claim) -> None:
    with store.transaction(actor="client") as tx:
        finish_request(tx, claim, status=ANSWER.status, body=ANSWER.body)


def abandon(store: Store, claim: Claim) -> None:
    with store.transaction(actor="client") as tx:
        abandon_request(tx, claim)


def test_begin_request__new_key__is_to_be_carried_out(store: Store) -> None:
    assert begin(store) is None


def test_begin_request__answered_before__gives_the_same_answer(store: Store) -> None:
    finish(store, begun(store))
    assert begin(store) == ANSWER


@pytest.mark.parametrize("answered", [True, False])
def test_begin_request__another_body__is_a_mismatch(store: Store, answered: bool) -> None:
    claim = begun(store)
    if answered:
        finish(store, claim)
    with pytest.raises(IdempotencyMismatch):
        begin(store, body="another")


def test_begin_request__first_still_in_flight__is_a_conflict(store: Store) -> None:
    begun(store)
    with pytest.raises(Conflict, match="in flight"):
        begin(store)


def test_begin_request__another_clients_key__is_its_own(store: Store) -> None:
    begun(store)
    assert begin(store, new_claim(client="other")) is None


def test_begin_request__rolled_back__leaves_the_key_free(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction(actor="client") as tx:
        begin_request(
            tx,
            new_claim(),
            body_hash=hash32("body"),
            at_utc=tx.now_utc,
            stale_before_utc=tx.now_utc,
        )
        _ = 1 // 0
    assert begin(store) is None


def test_begin_request__many_at_once__one_carries_it_out(store: Store) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def run() -> None:
        ready.wait()
        try:
            outcomes.append("new" if begin(store) is None else "answered")
        except Conflict:
            outcomes.append("in flight")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in flight", "in flight", "in flight", "new"]


def test_begin_request__left_by_a_dead_process__is_given_to_one(store: Store, clock: Clock) -> None:
    begun(store)
    clock.advance(seconds=61)
    with pytest.raises(IdempotencyMismatch):
        begin(store, body="another")
    assert begin(store) is None
    with pytest.raises(Conflict, match="in flight"):
        begin(store)


def test_begin_request__answered_long_ago__stays_answered(store: Store, clock: Clock) -> None:
    finish(store, begun(store))
    clock.advance(seconds=10_000)
    assert begin(store) == ANSWER


def test_abandon_request__failed__frees_the_key_but_never_an_answer(store: Store) -> None:
    abandon(store, begun(store))
    again = begun(store)
    finish(store, again)
    abandon(store, again)
    assert begin(store) == ANSWER


def test_abandon_request__taken_over_by_another__leaves_the_key_with_that_one(
    store: Store, clock: Clock
) -> None:
    slow = begun(store)
    clock.advance(seconds=61)
    second = begun(store)
    abandon(store, slow)
    with pytest.raises(Conflict, match="in flight"):
        begin(store)
    finish(store, second)
    assert begin(store) == ANSWER


def test_finish_request__taken_over_by_another__is_refused_and_its_work_undone(
    store: Store, clock: Clock
) -> None:
    slow = begun(store)
    clock.advance(seconds=61)
    begun(store)
    with pytest.raises(Conflict, match="taken it over"):
        finish(store, slow)
    with pytest.raises(Conflict, match="in flight"):
        begin(store)


def test_drop_old_keys__older_than_a_time__frees_them(store: Store, clock: Clock) -> None:
    begin(store, new_claim("old"))
    clock.advance(seconds=59)
    begin(store, new_claim("new"))
    with store.transaction(actor="retain") as tx:
        assert drop_old_keys(tx, before_utc=clock.now_utc) == 1
    assert begin(store, new_claim("old")) is None
    with pytest.raises(Conflict):
        begin(store, new_claim("new"))
