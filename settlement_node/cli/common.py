"""What every command needs: the configuration option and the parts made from it."""

from __future__ import annotations

import os
import pwd
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from settlement_node.config.sections import Settings
    from settlement_node.store.database import Store

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The settings file; else SETTLEMENT_NODE_CONFIG, else ./settlement-node.toml.",
        show_default=False,
    ),
]


def load(config: Path | None) -> Settings:
    """The settings, with logs set up as they say."""
    from settlement_node.config.loading import load_settings
    from settlement_node.logs import configure_logs

    settings = load_settings(config)
    configure_logs(settings.logging)
    return settings


def open_store(settings: Settings) -> Store:
    """The book, reachable and with this version's schema."""
    from settlement_node.assembly import build_store, require_schema

    store = build_store(settings)
    require_schema(store)
    return store


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Have SIGTERM and Ctrl-C call `stop`, in a thread of its own: a handler that sets an event
    waits for ever when the signal, or a second one, comes while that event is being set."""
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def asked(_number: int, _frame: object) -> None:
        with suppress(BlockingIOError):  # full of signals already
            os.write(told, b"!")

    def listen() -> None:
        while os.read(heard, 64):
            stop()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)


def actor() -> str:
    """Who runs the command, for the audit trail."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"cli:{name}"[:100]
