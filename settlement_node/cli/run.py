"""`run`: the node and its API in one process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from rich.console import Console

from settlement_node.cli.common import ConfigOption, load, stop_on_signals
from settlement_node.cli.dry_run import rehearse
from settlement_node.cli.output import JsonOption, emit, reports_errors

if TYPE_CHECKING:
    import socket

    from settlement_node.api.server import ApiServer
    from settlement_node.assembly import CommitSignal
    from settlement_node.chain.context import ChainContext
    from settlement_node.config.sections import Settings
    from settlement_node.store.database import Store

app = typer.Typer()
log = structlog.get_logger(__name__)


@app.command("run")
@reports_errors
def run_node(
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Price and preview every due order once, say what would come of it, and end."
            " Nothing is planned, signed or sent, and no API is served.",
        ),
    ] = False,
    no_api: Annotated[bool, typer.Option("--no-api", help="Run the stages alone.")] = False,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Run the node and its API until SIGTERM or Ctrl-C.

    A stop finishes the commit at hand, gives the leases back and ends the event streams. Logs go
    to standard error. A dry run ends by itself: status 0 when every due order would be settled, 1
    when one would be held or wait, 3 when not all could be judged.
    """
    from settlement_node.assembly import CommitSignal, build_store, require_schema

    settings = load(config)
    commits = CommitSignal()
    store = build_store(settings, commits)
    require_schema(store)
    if no_api or dry_run:
        taken: AbstractContextManager[socket.socket | None] = nullcontext()
    else:
        from settlement_node.api.server import listen

        taken = closing(listen(settings.api.host, settings.api.port))
    with taken as listener:
        _run(settings, store, commits, listener, dry_run=dry_run, json_output=json_output)


def _run(
    settings: Settings,
    store: Store,
    commits: CommitSignal,
    listener: socket.socket | None,
    *,
    dry_run: bool,
    json_output: bool,
) -> None:
    from settlement_node.assembly import (
        build_chains,
        build_context,
        build_intervals,
        build_signers,
    )
    from settlement_node.node.runtime import Node

    context = build_context(settings, store, signers=build_signers(settings), dry_run=dry_run)
    _check_chains(settings, context.chains)
    if dry_run:
        rehearse(context, json_output=json_output)
    node = Node(
        context,
        # Clients of its own, so that reconciling and watching do not hold up the passes.
        background=replace(context, chains=build_chains(settings)),
        intervals=build_intervals(settings),
    )
    commits.listen(node.wake)
    server = None
    if listener is not None:
        server = _server(settings, store, commits, context.chains, listener)
    stop_on_signals(node.stop_soon)
    started: dict[str, Any] = {
        "started": True,
        "node_id": context.node_id,
        "api": None if server is None else server.url,
        "signers": [f"{chain_id}:{address}" for chain_id, address in context.signers],
    }
    try:
        if server is not None:
            server.start()
        emit(started, json_output=json_output, human=lambda console: _show(console, started))
        node.run_until_stopped()
    finally:
        if server is not None:
            server.stop()
    stopped = {"stopped": True, "node_id": context.node_id}
    emit(stopped, json_output=json_output, human=lambda console: console.print("stopped"))


def _check_chains(settings: Settings, chains: Mapping[int, ChainContext]) -> None:
    """An endpoint of another chain is refused now; one that is away may come back later."""
    from settlement_node.errors import InvalidInput, Transient

    for place, configured in enumerate(settings.chains):
        try:
            chains[configured.chain_id].client.check_chain_id()
        except Transient as error:
            log.warning(
                "endpoint_away_at_start", chain_id=configured.chain_id, reason=error.message
            )
        except InvalidInput as error:
            name = error.details["endpoint"]
            number = [endpoint.name for endpoint in configured.endpoints].index(name)
            raise InvalidInput(
                f"chains[{place}].endpoints[{number}] ({name}) is on chain"
                f" {error.details['answered_chain_id']}, and chains[{place}].chain_id is"
                f" {configured.chain_id}; change the one that is wrong",
                **error.details | {"field": f"chains[{place}].endpoints[{number}]"},
            ) from None


def _server(
    settings: Settings,
    store: Store,
    commits: CommitSignal,
    watched: Mapping[int, ChainContext],
    listener: socket.socket,
) -> ApiServer:
    from settlement_node.api.app import create_app
    from settlement_node.api.server import ApiServer
    from settlement_node.assembly import build_context

    # Its own clients: those of the stages are one caller's at a time.
    context = build_context(settings, store)
    api = create_app(
        context,
        settings.api,
        listen=commits.listen,
        watched=watched,
        head_stale_seconds={c.chain_id: c.head_stale_seconds for c in settings.chains},
    )
    return ApiServer(api, host=settings.api.host, port=settings.api.port, listener=listener)


def _show(console: Console, started: Mapping[str, Any]) -> None:
    console.print(f"node {started['node_id']} is running")
    console.print(f"API   {started['api'] or 'off'}")
    console.print(f"lanes {', '.join(started['signers']) or 'none: no signer is configured'}")
