"""The commands. One file a group; this one only puts them together."""

from __future__ import annotations

import typer

from settlement_node import __version__
from settlement_node.cli import (
    config,
    database,
    demo,
    deploy,
    fund,
    fund_settler,  # noqa: F401  # puts its commands under `fund`
    importing,
    keys,
    openapi,
    operate,
    reconcile,
    run,
    status,
)
from settlement_node.cli.output import EXIT_CODES

app = typer.Typer(
    name="settlement-node",
    help="Settle approved fund redemptions on chain: burned once, paid once.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

for single in (demo, run, deploy, importing, status, reconcile, openapi):
    app.add_typer(single.app)
for group, name in (
    (database.app, "db"),
    (fund.app, "fund"),
    (keys.app, "keys"),
    (config.app, "config"),
    *((group, name) for name, group in operate.GROUPS.items()),
):
    app.add_typer(group, name=name)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def top(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Say the version."
    ),
) -> None:
    """Settle approved fund redemptions on chain: burned once, paid once."""


def main() -> None:
    """Run the command line."""
    app()
