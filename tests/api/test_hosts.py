"""The Host header: a page that points a name of its own at this machine reads nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI

from settlement_node.api.hosts import ServedNames
from settlement_node.config.sections import ApiSettings
from settlement_node.store.database import Store
from tests.api.support import Api, problem_of, redemption_count, serving


@pytest.fixture
def database_name() -> str:
    """Names do not depend on the database."""
    return "sqlite"


LOOPBACK = ApiSettings(host="127.0.0.1", host_names=("node.example",))
ANYWHERE = ApiSettings(host="::", host_names=("node.example",))
ONE_ADDRESS = ApiSettings(host="10.1.2.3")


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        (LOOPBACK, "127.0.0.1:8471"),
        (LOOPBACK, "localhost"),
        (LOOPBACK, "LocalHost.:8471"),
        (LOOPBACK, "[::1]:8471"),
        (LOOPBACK, "node.example"),
        (LOOPBACK, "NODE.example:443"),
        (ANYWHERE, "10.9.8.7:8471"),
        (ANYWHERE, "[2001:db8::1]"),
        (ANYWHERE, "localhost:8471"),
        (ONE_ADDRESS, "10.1.2.3:8471"),
    ],
)
def test_serve__own_name_or_address__is_served(settings: ApiSettings, host: str) -> None:
    assert ServedNames(settings).serve(host.encode())


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        (LOOPBACK, "attacker.example"),
        (LOOPBACK, "attacker.example:8471"),
        (LOOPBACK, "localhost.attacker.example"),
        (LOOPBACK, "127.0.0.1.attacker.example"),
        (LOOPBACK, "node.example.attacker.example"),
        (LOOPBACK, "node.example@attacker.example"),
        (LOOPBACK, "10.9.8.7"),
        (LOOPBACK, "localhost:port"),
        (LOOPBACK, "[::1"),
        (LOOPBACK, ""),
        (ANYWHERE, "attacker.example"),
        (ONE_ADDRESS, "10.1.2.4"),
        (ONE_ADDRESS, "127.0.0.1"),
    ],
)
def test_serve__any_other__is_not(settings: ApiSettings, host: str) -> None:
    assert not ServedNames(settings).serve(host.encode())


def test_serve__no_host__is_not() -> None:
    assert not ServedNames(LOOPBACK).serve(None)


@pytest.mark.parametrize("path", ["/v1/status", "/v1/redemptions", "/metrics", "/openapi.json"])
def test_request__under_a_foreign_name__is_421(api: Api, path: str) -> None:
    problem = problem_of(api.get(path, headers={"Host": "attacker.example"}), 421)
    assert problem["code"] == "misdirected_request"
    assert "attacker.example" in problem["detail"]
    assert "api.host_names" in problem["detail"]


def test_request__to_write_under_a_foreign_name__writes_nothing(api: Api, store: Store) -> None:
    sent = {"fund_id": "alpha", "redemptions": []}
    problem_of(api.post("/v1/redemptions", json=sent, headers={"Host": "attacker.example"}), 421)
    assert redemption_count(store) == 0


def test_server__under_a_foreign_name__is_421(app: FastAPI, tmp_path: Path) -> None:
    with serving(app, tmp_path / "api.sock") as client:
        problem_of(client.get("/v1/status", headers={"Host": "attacker.example"}), 421)
        assert client.get("/v1/status").status_code == 200


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "X-Api-Key", "Content-Type"])
def test_request__a_header_twice__is_400_by_its_name(
    app: FastAPI, tmp_path: Path, name: str
) -> None:
    with serving(app, tmp_path / "api.sock") as client:
        client.headers["Content-Type"] = "application/json"
        answer = client.post("/v1/redemptions", content=b"{}", headers=[(name, "a"), (name, "b")])
    assert problem_of(answer, 400)["field"] == name
