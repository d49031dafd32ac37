"""Idempotency-Key: one request, one effect, one answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from settlement_node.api.idempotency import Write, carry_out, carry_out_apart
from settlement_node.api.keys import Client
from settlement_node.api.routes.redemptions import RedemptionsIn
from settlement_node.desk.intake import take_in
from settlement_node.errors import Conflict, Refused
from settlement_node.store.book import redemptions
from settlement_node.store.database import Store, Tx
from settlement_node.store.people.requests import Claim, begin_request
from settlement_node.store.rows import FundRow
from tests.api.support import OTHER_KEY, Api, body, problem_of
from tests_support.book import order
from tests_support.clock import Clock
from tests_support.stores import DATABASES

PATH = "/v1/redemptions"
KEY = {"Idempotency-Key": "request-1"}


@pytest.fixture(params=DATABASES)
def database_name(request: pytest.FixtureRequest) -> str:
    """Both: what is asked for here is the database's doing."""
    return str(request.param)


def recorded(store: Store) -> int:
    with store.read() as tx:
        return sum(redemptions.count_by_status(tx).values())


def claim(store: Store, sent: dict[str, Any]) -> None:
    """Leave the key as a process does that died between claim and commit."""
    write = a_write(RedemptionsIn.model_validate(sent))
    store.database_clock = store.clock
    with store.transaction(actor="test") as tx:
        begin_request(
            tx,
            Claim("treasury", "request-1", "of a process that died"),
            body_hash=write.body_hash,
            at_utc=tx.now_utc,
            stale_before_utc=tx.now_utc,
        )


def test_key__repeated_with_the_same_body__gives_the_first_answer(
    api: Api, fund: FundRow, store: Store
) -> None:
    first = api.post(PATH, json=body("a"), headers=KEY)
    again = api.post(PATH, json=body("a"), headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert recorded(store) == 1


def test_key__repeated_with_the_body_written_differently__is_the_same_request(
    api: Api, fund: FundRow, store: Store
) -> None:
    api.post(PATH, json=body("a"), headers=KEY)
    turned = dict(reversed(body("a").items()))
    assert api.post(PATH, json=turned, headers=KEY).status_code == 201
    assert recorded(store) == 1


def test_key__with_another_body__is_422(api: Api, fund: FundRow, store: Store) -> None:
    api.post(PATH, json=body("a"), headers=KEY)
    problem = problem_of(api.post(PATH, json=body("b"), headers=KEY), 422)
    assert problem["code"] == "idempotency_key_reused"
    assert recorded(store) == 1


def test_key__of_another_client__is_another_key(api: Api, fund: FundRow, store: Store) -> None:
    api.post(PATH, json=body("a"), headers=KEY)
    assert api.post(PATH, json=body("b"), headers=KEY, key=OTHER_KEY).status_code == 201


def test_key__of_a_request_that_failed__is_free_again(api: Api, fund: FundRow) -> None:
    problem_of(api.post(PATH, json=body("a", fund_id="nobody"), headers=KEY), 404)
    assert api.post(PATH, json=body("a"), headers=KEY).status_code == 201


def test_key__of_a_conflict__is_free_again(api: Api, fund: FundRow) -> None:
    api.post(PATH, json=body("a"))
    problem_of(api.post(PATH, json=body("a"), headers=KEY), 409)
    assert api.post(PATH, json=body("b"), headers=KEY).status_code == 201


def test_key__in_flight__is_409_until_it_is_stale(
    api: Api, fund: FundRow, store: Store, clock: Clock
) -> None:
    claim(store, body("a"))
    answer = api.post(PATH, json=body("a"), headers=KEY)
    problem = problem_of(answer, 409)
    assert problem["field"] == "Idempotency-Key"
    assert answer.headers["retry-after"] == "1"
    clock.advance(seconds=61)
    assert api.post(PATH, json=body("a"), headers=KEY).status_code == 201
    assert recorded(store) == 1


def test_key__stale_and_with_another_body__stays_422(
    api: Api, fund: FundRow, store: Store, clock: Clock
) -> None:
    claim(store, body("a"))
    clock.advance(seconds=61)
    problem_of(api.post(PATH, json=body("b"), headers=KEY), 422)


def take_over(store: Store, write: Write, clock: Clock) -> None:
    """Come again with the same request when the first attempt has taken too long."""
    clock.advance(seconds=61)
    with store.transaction(actor="test") as tx:
        answer = begin_request(
            tx,
            Claim(write.client.name, "request-1", "of a second attempt"),
            body_hash=write.body_hash,
            at_utc=tx.now_utc,
            stale_before_utc=tx.now_utc - timedelta(seconds=60),
        )
    assert answer is None


def a_write(body: BaseModel) -> Write:
    return Write(Client("treasury"), "POST /v1/redemptions", body, "request-1")


def test_key__slow_request_fails_after_another_took_the_key__is_not_freed(
    api: Api, fund: FundRow, store: Store, clock: Clock
) -> None:
    store.database_clock = clock
    write = a_write(RedemptionsIn.model_validate(body("a")))

    def slow() -> BaseModel:
        take_over(store, write, clock)
        raise Refused("too late")

    with pytest.raises(Refused):
        carry_out_apart(api.app.state.context, write, status=201, work=slow)
    problem = problem_of(api.post(PATH, json=body("a"), headers=KEY), 409)
    assert problem["field"] == "Idempotency-Key"


@pytest.mark.parametrize("database_name", ["postgresql"], indirect=True)
def test_key__slow_request_ends_after_another_took_the_key__its_work_is_undone(
    api: Api, fund: FundRow, store: Store, clock: Clock
) -> None:
    store.database_clock = clock
    write = a_write(RedemptionsIn.model_validate(body("a")))

    def slow(tx: Tx) -> BaseModel:
        take_in(tx, "alpha", [order("a")], approved_by="treasury")
        take_over(store, write, clock)
        return write.body

    with pytest.raises(Conflict, match="taken it over"):
        carry_out(api.app.state.context, write, status=201, work=slow)
    assert recorded(store) == 0


@pytest.mark.parametrize("key", ["", "with blank", "x" * 201, "\u00e9"])
def test_key__of_a_bad_form__is_422(api: Api, fund: FundRow, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    problem = problem_of(api.post(PATH, json=body("a"), headers=headers), 422)
    assert problem["detail"] == (
        "Idempotency-Key must be 1 to 200 visible ASCII characters without blanks: a UUID will do"
    )


def test_key__from_many_threads__has_one_effect(api: Api, fund: FundRow, store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: api.post(PATH, json=body("a", "b"), headers=KEY), range(24))
        )
    statuses = {answer.status_code for answer in answers}
    assert 201 in statuses
    assert statuses <= {201, 409}
    taken = [answer.json() for answer in answers if answer.status_code == 201]
    assert all(answer == taken[0] for answer in taken)
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["field"] == "Idempotency-Key"
    assert recorded(store) == 2


def test_no_key__the_same_order_from_many_threads__is_taken_once(
    api: Api, fund: FundRow, store: Store
) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: api.post(PATH, json=body("a", f"{n}")), range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 15
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["details"]["external_id"] == "a"
    assert recorded(store) == 2


def test_no_key__different_orders_from_many_threads__are_all_taken(
    api: Api, fund: FundRow, store: Store
) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: api.post(PATH, json=body(f"{n}")), range(24)))
    assert {answer.status_code for answer in answers} == {201}
    indexes = [a.json()["redemptions"][0]["redemption_index"] for a in answers]
    assert sorted(indexes) == list(range(24))


@pytest.mark.parametrize("database_name", ["postgresql"], indirect=True)
def test_no_key__commit_not_answered__is_503_and_the_work_is_not_done_again(
    api: Api, fund: FundRow, store: Store
) -> None:
    """A commit without an answer may have happened; the client asks again and is told."""
    commits: list[int] = []

    def lose(connection: Connection) -> None:
        if connection.get_execution_options().get("settlement_read_only"):
            return  # what is read before the work is no commit of it
        pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        commits.append(pid)
        if len(commits) == 1:
            with store.engine.connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    sa.event.listen(store.engine, "commit", lose)
    try:
        problem_of(api.post(PATH, json=body("a")), 503)
    finally:
        sa.event.remove(store.engine, "commit", lose)
    assert len(commits) == 1
    assert recorded(store) == 0
    assert api.post(PATH, json=body("a")).status_code == 201
