"""The OpenAPI document: complete, and its examples are valid."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from settlement_node.api.routes.reconciliation import ReconcileIn
from settlement_node.api.routes.redemptions import RedemptionsIn
from settlement_node.api.routes.settlements import EstimateIn
from tests.api.support import Api

ENDPOINTS = {
    ("POST", "/v1/redemptions"),
    ("GET", "/v1/redemptions"),
    ("GET", "/v1/redemptions/{redemption_id}"),
    ("POST", "/v1/redemptions/{redemption_id}/cancel"),
    ("GET", "/v1/settlements"),
    ("GET", "/v1/settlements/{settlement_id}"),
    ("POST", "/v1/settlements/estimate"),
    ("GET", "/v1/transactions/{hash}"),
    ("GET", "/v1/reconciliation"),
    ("POST", "/v1/reconciliation"),
    ("GET", "/v1/status"),
    ("GET", "/v1/events"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
}
BODIES: list[type[BaseModel]] = [RedemptionsIn, EstimateIn, ReconcileIn]


@pytest.fixture
def database_name() -> str:
    """The document does not depend on the database."""
    return "sqlite"


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_document__lists_the_status_surface(document: dict[str, Any]) -> None:
    listed = {(method, path) for method, path, _ in operations(document)}
    assert listed >= ENDPOINTS
    assert all(path.startswith("/v1/") for _, path in listed - ENDPOINTS)


def test_document__every_operation__has_words_and_problem_answers(
    document: dict[str, Any],
) -> None:
    for method, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        statuses = {int(status) for status in operation["responses"]}
        if path.startswith("/v1/"):
            assert {401, 503} <= statuses, path
        if method == "POST":
            assert {400, 401, 413, 415, 422} <= statuses, path
            assert operation["security"], path
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and path.startswith("/v1/"):
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_document__every_reference__leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            target = node.get("$ref")
            if isinstance(target, str):
                assert target.rsplit("/", 1)[1] in schemas, target
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)


@pytest.mark.parametrize("model", BODIES, ids=lambda m: m.__name__)
def test_examples__of_each_body__are_valid(
    document: dict[str, Any], model: type[BaseModel]
) -> None:
    examples = document["components"]["schemas"][model.__name__]["examples"]
    assert examples
    for example in examples:
        model.model_validate(example)


def test_document__is_served(api: Api) -> None:
    answer = api.get("/openapi.json", key=None)
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Settlement Node"
