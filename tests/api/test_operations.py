"""Status, liveness, readiness, metrics, headers, and the reads' own key."""

from __future__ import annotations

from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from settlement_node.api.app import create_app
from settlement_node.domain.attention import Alert, AlertKind, OfLane, Shortfall
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import Store, open_engine
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import tell
from settlement_node.store.telling.records import note_worker
from tests.api.support import (
    ENVIRONMENT,
    KEY,
    Api,
    ScriptedChain,
    api_settings,
    body,
    node_context,
    problem_of,
)
from tests_support.book import CHAIN_ID, LANE, LANE_ADDRESS, approve, block, plan
from tests_support.clock import Clock


def test_status__a_filled_book__is_all_there(api: Api, store: Store, fund: FundRow) -> None:
    rows = approve(store, fund, ["a", "b"])
    plan(store, fund, rows[:1], nonce=0)
    with store.transaction(actor="node") as tx:
        chain_book.remember_heads(tx, LANE, [block(11), block(12)])
        chain_book.mark_final(tx, LANE, up_to_number=11)
        lane = OfLane(CHAIN_ID, LANE_ADDRESS)
        low = Shortfall(2 * 10**18, 10**17, 18)
        tell(tx, Alert(AlertKind.GAS_LOW, lane, "send it coins", low))
        tell(tx, Alert(AlertKind.LANE_PAUSED, lane, "by a person"))
        note_worker(
            tx,
            node_id="n",
            worker="watch",
            runs_count=3,
            failures_count=1,
            last_error="no answer",
            seconds=30.0,
        )
    told = api.get("/v1/status").json()
    assert told["redemptions_by_status"]["approved"] == 1
    assert told["redemptions_by_status"]["settling"] == 1
    assert told["settlements_by_status"] == {"live": 1, "settled": 0, "void": 0}
    assert told["transactions_unfinal"] == 1
    (lane,) = told["lanes"]
    assert (lane["head_number"], lane["final_number"], lane["transactions_unfinal"]) == (12, 11, 1)
    assert lane["held_by"] is None
    assert told["funds"][0]["nav_per_share"] == "1050000"
    amounts = {"needed_base_units": str(2 * 10**18), "available_base_units": str(10**17)}
    assert [(alert["kind"], alert["shortfall"]) for alert in told["alerts"]] == [
        ("gas_low", {**amounts, "decimals": 18}),
        ("lane_paused", None),
    ]
    assert told["workers"][0]["last_error"] == "no answer"
    assert told["chains"][0]["endpoints"][0]["name"] == "scripted"
    assert told["last_event_id"] > 0


def test_healthz__always__is_alive(api: Api) -> None:
    assert api.get("/healthz", key=None).json() == {"status": "alive"}


def ready_api(
    store: Store, chain: ScriptedChain, portal: BlockingPortal, stale_seconds: float
) -> Api:
    app = create_app(
        node_context(store, chain),
        api_settings(),
        environment=ENVIRONMENT,
        head_stale_seconds={CHAIN_ID: stale_seconds},
    )
    return Api(app, portal)


def test_readyz__a_fresh_head__is_ready_until_it_is_old(
    store: Store, chain: ScriptedChain, portal: BlockingPortal, fund: FundRow, clock: Clock
) -> None:
    api = ready_api(store, chain, portal, 60)
    none_yet = api.get("/readyz", key=None)
    assert (none_yet.status_code, none_yet.json()["ready"]) == (503, False)
    number = (int(clock().timestamp()) - 1_767_600_000) // 12
    with store.transaction(actor="node") as tx:
        chain_book.remember_heads(tx, LANE, [block(number)])
    assert api.get("/readyz", key=None).status_code == 200
    clock.advance(seconds=120)
    old = api.get("/readyz", key=None)
    assert old.status_code == 503
    assert "120 s old" in old.json()["checks"][-1]["detail"]


def test_readyz__without_a_bound__looks_at_the_database_alone(
    store: Store, chain: ScriptedChain, portal: BlockingPortal, fund: FundRow
) -> None:
    answer = ready_api(store, chain, portal, 0).get("/readyz", key=None)
    assert [check["name"] for check in answer.json()["checks"]] == ["database"]
    assert answer.status_code == 200


def test_readyz__a_database_without_the_schema__says_what_to_run(
    chain: ScriptedChain, portal: BlockingPortal, tmp_path: object
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.sqlite")
    answer = ready_api(Store(engine), chain, portal, 0).get("/readyz", key=None)
    engine.dispose()
    assert answer.status_code == 503
    assert "db upgrade" in answer.json()["checks"][0]["detail"]


def test_readyz__a_database_that_can_only_be_read__is_not_ready(
    chain: ScriptedChain, portal: BlockingPortal, migrated_sqlite: Path
) -> None:
    engine = open_engine(f"sqlite:///file:{migrated_sqlite}?mode=ro&uri=true")
    answer = ready_api(Store(engine), chain, portal, 0).get("/readyz", key=None)
    engine.dispose()
    assert 503 == answer.status_code
    assert "refuses writes" in answer.json()["checks"][0]["detail"]


def test_reads__a_database_that_is_away__is_503_without_its_words(
    chain: ScriptedChain, portal: BlockingPortal
) -> None:
    engine = open_engine("sqlite:////nowhere/at/all.sqlite")
    api = ready_api(Store(engine), chain, portal, 0)
    answer = api.get("/v1/redemptions")
    problem = problem_of(answer, 503)
    assert "nowhere" not in answer.text
    assert answer.headers["retry-after"] == "1"
    assert problem["code"] == "transient"
    ready = api.get("/readyz")
    assert (ready.status_code, "nowhere" in ready.text) == (503, False)
    assert "settlement_node_database_up 0.0" in api.get("/metrics").text
    problem_of(api.post("/v1/redemptions", json=body("a")), 503)
    engine.dispose()


def test_metrics__after_some_requests__count_them_by_route(
    api: Api, store: Store, fund: FundRow
) -> None:
    approve(store, fund, ["a"])
    api.get("/v1/redemptions")
    api.get("/v1/redemptions/0x12")
    api.get("/nowhere/at/all")
    answer = api.get("/metrics", key=None)
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    for line in (
        'settlement_node_redemptions{status="approved"} 1.0',
        'http_requests_total{method="GET",route="/v1/redemptions",status="200"} 1.0',
        'route="/v1/redemptions/{redemption_id}",status="422"} 1.0',
        'route="unmatched",status="404"} 1.0',
        "settlement_node_database_up 1.0",
        'settlement_node_breaks_open{fund_id=""} 0.0',
        "settlement_node_http_request_seconds_bucket",
    ):
        assert line in text
    assert "0x12" not in text


def test_headers__every_answer__is_guarded_and_carries_its_id(api: Api) -> None:
    for path in ("/healthz", "/v1/redemptions", "/nowhere", "/v1/redemptions/0x12"):
        answer = api.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 32
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [("trace-2026-01", True), ("short", False), ("x" * 65, False), ("line\x0bfeed-12", False)],
)
def test_headers__a_correlation_id_of_the_caller__is_kept_if_it_is_harmless(
    api: Api, given: str, kept: bool
) -> None:
    answer = api.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept


def test_unknown_paths_and_methods__are_problems(api: Api) -> None:
    problem_of(api.get("/v1/nothing"), 404)
    answer = api.request("DELETE", "/v1/redemptions")
    problem_of(answer, 405)
    assert answer.headers["allow"]
    assert api.get("/docs").status_code == 404


def test_reads__where_the_configuration_asks_for_a_key__need_it(
    store: Store, chain: ScriptedChain, portal: BlockingPortal
) -> None:
    app = create_app(
        node_context(store, chain), api_settings(reads_need_key=True), environment=ENVIRONMENT
    )
    api = Api(app, portal)
    for path in (
        "/v1/redemptions",
        "/v1/status",
        "/v1/settlements",
        "/v1/reconciliation",
        "/v1/events",
    ):
        problem_of(api.get(path, key=None), 401)
    assert api.get("/v1/redemptions", key=KEY).status_code == 200
    assert api.get("/healthz", key=None).status_code == 200


def test_log__of_a_request__never_holds_the_key(
    api: Api, fund: FundRow, capfd: pytest.CaptureFixture[str]
) -> None:
    api.post("/v1/redemptions", json=body("a"), headers={"X-API-Key": KEY})
    captured = capfd.readouterr()
    assert KEY not in captured.out + captured.err
