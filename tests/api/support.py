"""A client of the application without a network, a chain that answers from a script, and bodies."""

# ruff: noqa: ARG002 -- the scripted chain takes what the real one takes

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from settlement_node.chain.client import ChainClient
from settlement_node.chain.context import ChainContext
from settlement_node.chain.views import HeadView, SettlerView, TokenView
from settlement_node.config.sections import ApiKey, ApiSettings
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.observations import (
    BurnStyle,
    EndpointHealth,
    FeeHistory,
    ItemPreview,
    SettleItem,
    SettlerEvent,
    SkipReason,
    TransferEvent,
)
from settlement_node.errors import SettlementError
from settlement_node.node.context import NodeContext
from settlement_node.store.book import redemptions
from settlement_node.store.database import Store
from settlement_node.units import UINT256_MAX, ZERO_ADDRESS, ZERO_HASH, Address, Payout, Wei
from tests_support.book import CHAIN_ID, LANE_ADDRESS, NEW_FUND, address, block

KEY = "a-key-of-the-treasury-desk"
OTHER_KEY = "a-key-of-the-administrator"
ENVIRONMENT = {"TREASURY_KEY": KEY, "ADMINISTRATOR_KEY": OTHER_KEY}
KEYS = (
    ApiKey(name="treasury", key_env="TREASURY_KEY"),
    ApiKey(name="administrator", key_env="ADMINISTRATOR_KEY"),
)
CONFIRMATIONS = 5


@dataclass
class ScriptedChain:
    """Answers what `estimate` and `reconcile_fund` ask; `error` makes every answer fail."""

    skipped: dict[int, SkipReason] = field(default_factory=dict)
    error: SettlementError | None = None
    supply_base_units: int = UINT256_MAX
    daily_limit_base_units: int = UINT256_MAX
    head_number: int = 20
    events: tuple[SettlerEvent, ...] = ()

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error

    def refresh(self) -> HeadView:
        self._answer()
        return HeadView(block(self.head_number), safe_number=None, finalized_number=None)

    def preview(
        self, settler: Address, items: Sequence[SettleItem], *, from_address: Address
    ) -> list[ItemPreview]:
        self._answer()
        return [
            ItemPreview(
                item.redemption_id_hex,
                self.skipped.get(item.redemption_index, SkipReason.NONE),
                40_000,
                b"",
            )
            for item in items
        ]

    def settler_view(self, settler: Address) -> SettlerView:
        self._answer()
        return SettlerView(
            settler_address=settler,
            share_token_address=NEW_FUND.share_token_address,
            payout_token_address=NEW_FUND.payout_token_address,
            treasury_address=NEW_FUND.treasury_address,
            burn_style=BurnStyle.BURN,
            batch_hash=ZERO_HASH,
            paused=False,
            daily_payout_limit_base_units=Payout(self.daily_limit_base_units),
            payout_available_base_units=Payout(10**15),
            floor_price=0,
            ceiling_price=2 * 10**6,
            item_gas_limit=400_000,
            predecessor_address=ZERO_ADDRESS,
            operator_address=LANE_ADDRESS,
        )

    def fee_history(self, *, block_count: int, percentile: float) -> FeeHistory:
        self._answer()
        return FeeHistory(base_fees_wei=(Wei(10), Wei(10)), tips_wei=(Wei(2),))

    def settler_events(
        self, settlers: Sequence[Address], *, from_block: int, to_block: int
    ) -> list[SettlerEvent]:
        self._answer()
        return [e for e in self.events if from_block <= e.place.block_number <= to_block]

    def transfers(self, token: Address, **_wanted: Any) -> list[TransferEvent]:
        return []

    def token_view(
        self,
        token: Address,
        *,
        holders: Sequence[Address] = (),
        allowance: tuple[Address, Address] | None = None,
        block: int = 0,
    ) -> TokenView:
        return TokenView(
            token_address=token,
            total_supply_base_units=self.supply_base_units,
            balances_base_units=dict.fromkeys(holders, 7),
            allowance_base_units=None if allowance is None else 7,
            paused=None,
        )

    def health(self) -> list[EndpointHealth]:
        return [
            EndpointHealth(
                name="scripted",
                head_number=12,
                latency_milliseconds=3.5,
                score=1.0,
                quarantined=False,
                last_error=None,
            )
        ]


def node_context(store: Store, chain: ScriptedChain) -> NodeContext:
    return NodeContext(
        store=store,
        chains={
            CHAIN_ID: ChainContext(
                cast(ChainClient, chain),
                FinalityPolicy(FinalityMode.CONFIRMATIONS, CONFIRMATIONS),
                FeePolicy(),
            )
        },
        signers={},
        node_id="api-test",
    )


def api_settings(**changes: Any) -> ApiSettings:
    return ApiSettings(**({"api_keys": KEYS, "host_names": ("node",)} | changes))


@dataclass
class Api:
    """Requests to the application, from any thread."""

    app: FastAPI
    portal: BlockingPortal
    key: str | None = KEY

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = "",
        headers: Mapping[str, str | bytes] | None = None,
        **rest: Any,
    ) -> httpx.Response:
        sent = dict(headers or {})
        presented = self.key if key == "" else key
        if presented is not None:
            sent.setdefault("Authorization", f"Bearer {presented}")
        return self.portal.call(functools.partial(self._send, method, path, headers=sent, **rest))

    async def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, **rest)

    def get(self, path: str, **rest: Any) -> httpx.Response:
        return self.request("GET", path, **rest)

    def post(self, path: str, **rest: Any) -> httpx.Response:
        return self.request("POST", path, **rest)


def order_body(name: str, **changes: Any) -> dict[str, Any]:
    """One order as JSON, of one share."""
    plain = {
        "external_id": name,
        "investor_address": address(f"investor {name}"),
        "payee_address": address(f"payee {name}"),
        "shares_base_units": str(10**18),
    }
    return plain | changes


def body(*orders: dict[str, Any] | str, fund_id: str = "alpha") -> dict[str, Any]:
    """A request to take orders in; a word stands for the order of that name."""
    full = [order_body(o) if isinstance(o, str) else o for o in orders]
    return {"fund_id": fund_id, "redemptions": full}


def redemption_count(store: Store) -> int:
    """How many orders the book has."""
    with store.read() as tx:
        return sum(redemptions.count_by_status(tx).values())


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a failed request, checked for what every one must have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["correlation_id"] == response.headers["x-request-id"]
    assert problem["type"].endswith(problem["code"])
    for secret in ("Traceback", "sqlalchemy", "SELECT", "INSERT", KEY):
        assert secret not in response.text
    return problem


@contextmanager
def serving(app: FastAPI, path: Path) -> Iterator[httpx.Client]:
    """The application behind a real server at a unix socket, since streams need one."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=30))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    transport = httpx.HTTPTransport(uds=str(path))
    try:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(
            transport=transport, base_url="http://node", headers=headers, timeout=60
        ) as client:
            yield client
    finally:
        app.state.context.hub.close()
        server.should_exit = True
        thread.join(timeout=60)
        if not thread.is_alive():
            listener.close()
