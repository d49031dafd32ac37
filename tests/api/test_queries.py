"""Query parameters that nobody knows, misspelt ones and repeats."""

from __future__ import annotations

import pytest

from settlement_node.store.rows import FundRow
from tests.api.support import Api, body, problem_of


@pytest.fixture
def database_name() -> str:
    """Parameters do not depend on the database."""
    return "sqlite"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/redemptions?settled_from_utc=2026-01-31T12:00:00Z", "settled_from_utc"),
        ("/v1/redemptions?hold_reason=burn_failed", "hold_reason"),
        ("/v1/redemptions?fund_id=alpha&Status=held", "Status"),
        ("/v1/redemptions?fund-id=alpha", "fund-id"),
        ("/v1/settlements?search=x", "search"),
        ("/v1/reconciliation?fund=alpha", "fund"),
        ("/v1/status?verbose=1", "verbose"),
        ("/v1/events?topics=redemption", "topics"),
        ("/healthz?x=", "x"),
        ("/openapi.json?version=2", "version"),
    ],
)
def test_get__a_parameter_nobody_knows__is_422_by_its_name(api: Api, path: str, name: str) -> None:
    problem = problem_of(api.get(path), 422)
    assert problem["field"] == name
    assert "it takes" in problem["detail"]


def test_get__misspelt__the_problem_names_what_the_request_takes(api: Api) -> None:
    problem = problem_of(api.get("/v1/redemptions?stats=held"), 422)
    assert problem["detail"] == (
        "stats is not a query parameter of this request; it takes fund_id, status, waiting_for,"
        " investor_address, requested_from_utc, requested_before_utc, search, limit, cursor"
    )


@pytest.mark.parametrize(
    "path",
    ["/v1/redemptions?status=held&status=paid", "/v1/redemptions?limit=1&fund_id=a&limit=2",
     "/v1/events?after=1&after=1"],
)  # fmt: skip
def test_get__a_parameter_twice__is_422(api: Api, path: str) -> None:
    assert "give it once" in problem_of(api.get(path), 422)["detail"]


def test_post__with_a_parameter__is_422_and_changes_nothing(api: Api, fund: FundRow) -> None:
    problem_of(api.post("/v1/redemptions?dry_run=true", json=body("a")), 422)
    assert api.get("/v1/redemptions").json()["items"] == []


def test_get__a_name_that_cannot_be_shown__is_422(api: Api) -> None:
    problem = problem_of(api.get("/v1/redemptions?%00%0a=1"), 422)
    assert problem["field"].isprintable()


def test_request__with_a_slash_too_many__is_404_and_leads_nowhere_else(api: Api) -> None:
    problem_of(api.get("/v1/redemptions/"), 404)
    problem_of(api.post("/v1/redemptions/", json=body("a")), 404)
