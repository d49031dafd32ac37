"""`demo`: a realistic book settled on a development chain, and served until stopped."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from settlement_node.cli.output import (
    EXIT_DONE,
    EXIT_WRONG,
    JsonOption,
    emit,
    finish,
    notes,
    reports_errors,
    table,
)

if TYPE_CHECKING:
    import socket

    from settlement_node.demo.play import Demo, DemoResult
    from settlement_node.demo.stage import DevelopmentChain

app = typer.Typer()
REDEMPTIONS_MAX = 20_000
BLOCK_SECONDS = 1.0
HOST = "127.0.0.1"


class DemoChain(StrEnum):
    """The chain programs the demonstration can run on."""

    PY_EVM = "py-evm"
    ANVIL = "anvil"


@app.command("demo")
@reports_errors
def demo(
    redemptions: Annotated[
        int, typer.Option(min=8, max=REDEMPTIONS_MAX, help="How many orders arrive.")
    ] = 60,
    chain: Annotated[DemoChain, typer.Option(help="The chain to run on.")] = DemoChain.PY_EVM,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the API afterwards, until Ctrl-C.")
    ] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0 picks one.")] = (
        8471
    ),
    json_output: JsonOption = False,
) -> None:
    """Settle a realistic book on a real chain, then reconcile and audit it from the chain's logs.

    Everything happens in a temporary folder: the chain starts empty, tokens and settler are
    deployed, investors get their shares, orders arrive (a blocked payee, a holder with too few
    shares and a duplicate among them), and the node settles them. Exit status 0 only when book and
    chain agree.
    """
    from settlement_node.config.sections import LoggingSettings
    from settlement_node.demo.play import prepare_demo
    from settlement_node.logs import configure_logs

    # What the stages log is shown as progress here; warnings and worse still come through.
    configure_logs(LoggingSettings(level="warning"))
    with (
        closing(_listener(port)) if serve else nullcontext() as listener,
        tempfile.TemporaryDirectory(prefix="settlement-node-demo-") as folder,
    ):
        with _started(chain) as development, _progress() as progress:
            setting = progress.add_task("setting the stage", total=None)

            def confirmed(what: str) -> None:
                progress.update(setting, description=escape(what))

            played = prepare_demo(
                development, Path(folder), redemptions_count=redemptions, confirmed=confirmed
            )
            progress.remove_task(setting)
            _settle(played, progress)
            result = played.finish()
            progress.stop()
            emit(result.summary(), json_output=json_output, human=lambda c: _show(c, result))
            if listener is not None:
                _serve(played, development, listener)
        finish(EXIT_DONE if result.books_agree else EXIT_WRONG)


def _listener(port: int) -> socket.socket:
    """The API's address, before anything is played."""
    from settlement_node.api.server import listen
    from settlement_node.errors import InvalidInput

    try:
        return listen(HOST, port)
    except InvalidInput:
        raise InvalidInput(
            f"port {port} of {HOST} is taken; name another with --port (0 picks one), or end after"
            " the audit with --no-serve",
            field="--port",
        ) from None


@contextmanager
def _started(chain: DemoChain) -> Iterator[DevelopmentChain]:
    if chain is DemoChain.ANVIL:
        from settlement_node.devchain.anvil import AnvilProcess

        with AnvilProcess() as process:
            yield process
    else:
        from settlement_node.devchain.embedded.chain import EmbeddedChain

        yield EmbeddedChain()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}"),
        TimeElapsedColumn(),
        console=notes(),
        transient=True,
    )


def _settle(played: Demo, progress: Progress) -> None:
    from settlement_node.domain.lifecycle import RedemptionStatus

    total = len(played.book.orders)
    shown = (
        RedemptionStatus.SETTLING,
        RedemptionStatus.PAID,
        RedemptionStatus.SETTLED,
        RedemptionStatus.HELD,
    )
    tasks = {status: progress.add_task(status.value, total=total) for status in shown}

    def update(counts: dict[RedemptionStatus, int]) -> None:
        for status, task in tasks.items():
            progress.update(task, completed=counts[status])

    played.settle(update)


def _show(console: Console, result: DemoResult) -> None:
    figures = [(name.replace("_", " "), value) for name, value in result.summary().items()]
    console.print(table("Reconciliation", "figure", "value>", rows=figures))
    odd = [
        (one.case.external_id, one.case.what, one.status, one.reason or one.case.why)
        for one in result.odd_outcomes
    ]
    console.print(table("The odd cases", "order", "what", "came out", "why", rows=odd))
    for line in result.audit.contradictions:
        console.print(f"[bold red]contradiction[/] {escape(line)}")
    console.print(
        "[green]book and chain agree[/]"
        if result.books_agree
        else "[bold red]book and chain do NOT agree[/]"
    )


def _serve(played: Demo, development: DevelopmentChain, listener: socket.socket) -> None:
    """Keep the chain and the node going, and serve the API over the same book."""
    from settlement_node.api.app import create_app
    from settlement_node.api.server import ApiServer
    from settlement_node.config.sections import ApiSettings

    settings = ApiSettings(host=HOST, reads_need_key=False)
    context = played.api_context()
    app = create_app(context, settings)
    server = ApiServer(app, host=settings.host, port=settings.port, listener=listener)
    stopping = threading.Event()

    def turn() -> None:
        while not stopping.wait(BLOCK_SECONDS):
            development.mine()
            played.node.tick()

    loop = threading.Thread(target=turn, name="demo", daemon=True)
    server.start()
    loop.start()
    notes().print(
        f"API at {server.url}, for reading (see {server.url}/openapi.json); Ctrl-C ends it"
    )
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        notes().print("stopped")
    finally:
        stopping.set()
        loop.join(timeout=30)
        server.stop()
