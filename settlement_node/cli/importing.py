"""`import`: approved redemptions from a CSV file, all or nothing unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, actor, load, open_store
from settlement_node.cli.output import EXIT_WRONG, JsonOption, emit, finish, notes, reports_errors

if TYPE_CHECKING:
    from settlement_node.sources.importing import Imported

app = typer.Typer()


@app.command("import")
@reports_errors
def import_orders(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with external_id, investor_address, payee_address, shares (decimal) or"
            " shares_base_units, and optionally settle_after_utc, a time with its zone"
            " (2026-01-31T12:00:00Z)."
        ),
    ],
    fund: Annotated[
        str | None,
        typer.Option("--fund", help="The fund's id; not needed while the book has only one."),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad",
            help="Take the good lines, a chunk at a time, and report the bad ones.",
        ),
    ] = False,
    config: ConfigOption = None,
    json_output: JsonOption = False,
) -> None:
    """Take approved redemptions in from a CSV file.

    Every bad line is reported with its number and reason, and then nothing of the file is taken,
    unless --skip-bad is given. Exit status 1 when there was a bad line.

    A whole file is one commit, of 100,000 orders at most. SQLite has one writer, and a running
    node waits for it: five to ten seconds for 30,000 lines. Take a larger file with --skip-bad,
    which holds it for a thousand lines at a time.
    """
    from settlement_node.assembly import build_chains
    from settlement_node.sources.importing import Import, fund_named

    settings = load(config)
    store = open_store(settings)
    row = fund_named(store, fund)
    with _progress() as advance:
        work = Import(store, build_chains(settings), row, file, actor=actor(), advance=advance)
        done = work.take_good() if skip_bad else work.take_all()
    emit(
        asdict(done), json_output=json_output, human=lambda console: _show(console, done, skip_bad)
    )
    if done.bad_count:
        finish(EXIT_WRONG)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Shown on standard error, and only where somebody looks; a line for each kind of work."""
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

    console = notes()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def advance(work: str, lines: int, total: int | None) -> None:
            if work not in tasks:
                tasks[work] = progress.add_task(work, total=total)
            progress.advance(tasks[work], lines)

        yield advance


def _show(console: Console, done: Imported, skip_bad: bool) -> None:
    for bad in done.bad_lines:
        console.print(f"line {bad['line']}: {escape(str(bad['reason']))}")
    if done.bad_count > len(done.bad_lines):
        console.print(f"… and {done.bad_count - len(done.bad_lines)} more bad lines")
    if done.bad_count and not skip_bad:
        console.print(
            f"nothing was taken: {done.bad_count} of {done.lines_count} lines are bad;"
            " mend them, or take the good ones with --skip-bad"
        )
        return
    console.print(
        f"{done.imported_count} redemptions taken into fund {escape(done.fund_id)}"
        + (
            f", {done.already_settled_count} of them already settled on the chain"
            if done.already_settled_count
            else ""
        )
        + (f"; {done.bad_count} bad lines left out" if done.bad_count else "")
    )
