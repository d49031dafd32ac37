"""`create_app`: the REST surface over a store and a node's context."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from settlement_node.api.context import ApiContext
from settlement_node.api.documents import add_openapi
from settlement_node.api.edge import Edge
from settlement_node.api.hosts import ServedNames
from settlement_node.api.hub import EventHub
from settlement_node.api.keys import KeyRing
from settlement_node.api.metrics import Metrics
from settlement_node.api.problems import add_problem_handlers
from settlement_node.api.queries import check_query
from settlement_node.api.routes.events import router as events
from settlement_node.api.routes.operations import router as operations
from settlement_node.api.routes.operators import router as operators
from settlement_node.api.routes.reconciliation import router as reconciliation
from settlement_node.api.routes.redemptions import router as redemptions
from settlement_node.api.routes.settlements import router as settlements
from settlement_node.api.routes.status import router as status
from settlement_node.api.routes.transactions import router as transactions
from settlement_node.chain.context import ChainContext
from settlement_node.config.sections import ApiSettings
from settlement_node.node.context import NodeContext

ROUTERS = (
    redemptions,
    settlements,
    transactions,
    reconciliation,
    status,
    events,
    operations,
    operators,
)


def create_app(
    node: NodeContext,
    settings: ApiSettings,
    *,
    listen: Callable[[Callable[[], None]], None] | None = None,
    watched: Mapping[int, ChainContext] | None = None,
    head_stale_seconds: Mapping[int, float] | None = None,
    environment: Mapping[str, str] | None = None,
) -> FastAPI:
    """The application. `node` gives the store and the chains; its clients should be the API's own
    where a running node uses others, since a client is one caller's at a time; `watched` are then
    the running node's, whose endpoints' health is shown.

    `listen` is given what is to be called after each commit of this process; without it they are
    seen by polling, as those of others. Raises InvalidInput when a configured API key is not there.
    """
    hub = EventHub(
        node.store,
        queue_max=settings.event_queue_max,
        subscribers_max=settings.event_subscribers_max,
    )
    if listen is not None:
        listen(hub.wake)
    metrics = Metrics(node.store)
    context = ApiContext(
        store=node.store,
        settings=settings,
        node=node,
        keys=KeyRing(settings.api_keys, os.environ if environment is None else environment),
        hub=hub,
        metrics=metrics,
        watched=node.chains if watched is None else watched,
        head_stale_seconds=dict(head_stale_seconds or {}),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        hub.start()
        yield
        hub.close()

    # No page of documentation that loads scripts from elsewhere; the document itself is there. No
    # redirect either: behind TLS it would send a caller, with its key, to a plain http:// address.
    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_query)],
    )
    app.state.context = context
    for router in ROUTERS:
        app.include_router(router)
    add_problem_handlers(app)
    add_openapi(app)
    app.add_middleware(
        Edge,
        body_bytes_max=settings.body_bytes_max,
        metrics=metrics,
        names=ServedNames(settings),
    )
    return app
