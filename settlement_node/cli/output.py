"""What commands print, and how they end.

Results go to standard output; errors, notes and progress to standard error. With `--json` the
result or the error is one JSON object on standard output.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, NoReturn, ParamSpec, TextIO, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from settlement_node.errors import InvalidInput, OutcomeUnknown, Refused, SettlementError, Transient

P = ParamSpec("P")
R = TypeVar("R")

PIPE_WIDTH = 240
EXIT_DONE = 0
EXIT_WRONG = 1
EXIT_INPUT = 2
EXIT_LATER = 3
EXIT_BROKEN = 4
EXIT_CODES = (
    "Exit status: 0 done · 1 done, and something is wrong (a break, a bad line, a failed check)"
    " · 2 refused: wrong input, configuration or state, nothing changed · 3 not possible now, try"
    " again"
    " · 4 something that must never be"
)

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of text for people.")
]


def out() -> Console:
    """The console of results."""
    return _console(sys.stdout)


def notes() -> Console:
    """The console of errors, notes and progress."""
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    # Into a pipe nothing is cut to the width of a screen that is not there.
    width = None if file.isatty() else PIPE_WIDTH
    return Console(file=file, highlight=False, soft_wrap=True, width=width)


def emit(data: Any, *, json_output: bool, human: Callable[[Console], None]) -> None:
    """Print a result in the asked form."""
    if json_output:
        sys.stdout.write(json.dumps(data, default=str) + "\n")
        sys.stdout.flush()
    else:
        human(out())


def finish(code: int) -> NoReturn:
    """End the command with an exit status."""
    raise typer.Exit(code)


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a deliberate error into its message and exit status; others keep their trace."""

    @functools.wraps(command)
    def carried_out(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SettlementError as error:
            show_error(error, json_output=bool(kwargs.get("json_output")))
            raise typer.Exit(exit_code_of(error)) from None

    return carried_out


class LeftUndone(SettlementError):
    """A command did a part of its work, and names the rest."""

    code = "left_undone"


def exit_code_of(error: SettlementError) -> int:
    """The exit status of an error by its family."""
    if isinstance(error, InvalidInput | Refused) or error.code == "database_unusable":
        return EXIT_INPUT
    if isinstance(error, LeftUndone):
        return EXIT_WRONG
    return EXIT_LATER if isinstance(error, Transient | OutcomeUnknown) else EXIT_BROKEN


def show_error(error: SettlementError, *, json_output: bool) -> None:
    """The message says what is wrong and how to mend it; the field says where."""
    if json_output:
        body = {"code": error.code, "message": error.message, "details": error.details}
        sys.stdout.write(json.dumps({"error": body}, default=str) + "\n")
        sys.stdout.flush()
        return
    console = notes()
    console.print(f"[bold red]error[/] {escape(error.message)}")
    field = error.details.get("field")
    if field and str(field) not in error.message:
        console.print(f"  where: {escape(str(field))}")


def table(title: str, *columns: str, rows: Iterable[Sequence[object]] = ()) -> Table:
    """A plain table; columns whose name ends in `>` are numbers and stand to the right, and what
    is not known is a dash."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        numbers = column.endswith(">")
        made.add_column(column.rstrip(">"), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    return made
