"""The application over the shared store fixture, on SQLite.

What the store does is tested on both databases in `tests/store/`. A module whose requests meet one
another in the database, or read what it orders, takes both with a `database_name` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from settlement_node.api.app import create_app
from settlement_node.store.database import Store, open_engine
from settlement_node.store.rows import FundRow
from tests.api.support import ENVIRONMENT, Api, ScriptedChain, api_settings, node_context
from tests_support.book import add_fund


@pytest.fixture(params=["sqlite"])
def database_name(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own."""
    with start_blocking_portal() as opened:
        yield opened


@pytest.fixture
def chain() -> ScriptedChain:
    return ScriptedChain()


@pytest.fixture(scope="session")
def asked_app() -> FastAPI:
    """An application whose routes and document are made. FastAPI makes them at the first request,
    which takes longer than a test; they are the same for every application."""
    app = create_app(
        node_context(Store(open_engine("sqlite://")), ScriptedChain()), api_settings(api_keys=())
    )
    app.openapi()
    return app


@pytest.fixture
def app(store: Store, chain: ScriptedChain, asked_app: FastAPI) -> FastAPI:
    made = create_app(node_context(store, chain), api_settings(), environment=ENVIRONMENT)
    made.router.routes = asked_app.routes
    made.openapi_schema = asked_app.openapi_schema
    return made


@pytest.fixture
def api(app: FastAPI, portal: BlockingPortal) -> Api:
    return Api(app, portal)


@pytest.fixture
def fund(store: Store) -> FundRow:
    return add_fund(store)
