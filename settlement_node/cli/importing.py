"""`import`: approved redemptions from a CSV file, all or nothing unless told otherwise."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from settlement_node.cli.common import ConfigOption, actor, load, open_store
from settlement_node.cli.output import EXIT_WRONG, JsonOption, emit, finish, notes, reports_errors
from settlement_node.errors import InvalidInput

if TYPE_CHECKING:
    from rich.progress import Progress

    from settlement_node.config.sections import Settings
    from settlement_node.desk.door import SeenCapacity
    from settlement_node.sources.orders_csv import GoodLine
    from settlement_node.store.database import Store
    from settlement_node.store.rows import FundRow, RedemptionRow

WHOLE_FILE_LINES_MAX = 100_000
"""Most orders of a file that is taken in as one commit; they are in memory meanwhile."""

app = typer.Typer()

SHOWN_BAD_LINES_MAX = 100


@dataclass(slots=True)
class Outcome:
    """What became of a file."""

    file: str
    fund_id: str
    lines_count: int = 0
    imported_count: int = 0
    already_settled_count: int = 0
    bad_count: int = 0
    bad_lines: list[dict[str, Any]] = field(default_factory=list)

    def bad(self, line: int, reason: str) -> None:
        """Count a bad line, and keep the first of them."""
        self.bad_count += 1
        if len(self.bad_lines) < SHOWN_BAD_LINES_MAX:
            self.bad_lines.append({"line": line, "reason": reason})

    def took(self, rows: list[RedemptionRow]) -> None:
        """Count orders that were taken in."""
        self.imported_count += len(rows)
        self.already_settled_count += [row.status.value for row in rows].count("settled")


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
    settings = load(config)
    store = open_store(settings)
    row = _fund(store, fund)
    see = _asked_once(store, settings, row)
    outcome = Outcome(file=str(file), fund_id=row.fund_id)
    with _progress() as progress:
        if skip_bad:
            _import_good(store, row, file, see, outcome, progress)
        else:
            lines = _check_all(store, row, file, see, outcome, progress)
            if not outcome.bad_count:
                _import_all(store, row, file, lines, outcome, progress)
    data = {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}
    emit(data, json_output=json_output, human=lambda console: _show(console, outcome, skip_bad))
    if outcome.bad_count:
        finish(EXIT_WRONG)


def _fund(store: Store, fund_id: str | None) -> FundRow:
    from settlement_node.store.book.funds import get_fund, list_funds

    with store.read() as tx:
        if fund_id is not None:
            return get_fund(tx, fund_id)
        funds = list_funds(tx, limit=20)
    if len(funds) == 1:
        return funds[0]
    known = ", ".join(fund.fund_id for fund in funds) or "none; settlement-node fund add FILE"
    raise InvalidInput(f"name the fund with --fund; the book has: {known}", field="fund")


def _asked_once(
    store: Store, settings: Settings, fund: FundRow
) -> Callable[[FundRow], SeenCapacity | None]:
    """The chain's answer, asked for when a line first needs it, and once."""
    from settlement_node.assembly import build_client
    from settlement_node.desk.door import see_capacity

    @cache
    def asked() -> SeenCapacity | None:
        chain = next((c for c in settings.chains if c.chain_id == fund.chain_id), None)
        if chain is None:
            return None
        return see_capacity(store, build_client(chain, settings), fund)

    return lambda _fund: asked()


def _check_all(
    store: Store,
    fund: FundRow,
    file: Path,
    see: Callable[[FundRow], SeenCapacity | None],
    outcome: Outcome,
    progress: Progress,
) -> list[GoodLine]:
    """Look at every line before anything is written, so that all bad lines are reported and the
    database is not held while the file is read."""
    from settlement_node.sources.orders_csv import BadLine, read_orders
    from settlement_node.store.book.orders import repeats

    lines: list[GoodLine] = []
    task = progress.add_task("checking", total=None)
    for entry in read_orders(file, fund):
        outcome.lines_count += 1
        progress.advance(task)
        if isinstance(entry, BadLine):
            outcome.bad(entry.line, entry.reason)
        else:
            lines.append(entry)
        if len(lines) > WHOLE_FILE_LINES_MAX:
            raise InvalidInput(
                f"{file.name} has more than {WHOLE_FILE_LINES_MAX} orders; a whole file is one"
                " commit. Split it, or take it in with --skip-bad, a thousand lines at a time",
                field="file",
            )
    for chunk in _chunks(lines):
        payable = _payable(store, fund, chunk, see, outcome)
        with store.read() as tx:
            again = repeats(tx, fund, [good.order.external_id for good in payable])
        for place, words in again.items():
            outcome.bad(payable[place].line, words)
    outcome.bad_lines.sort(key=lambda bad: int(bad["line"]))
    return lines


def _import_all(
    store: Store,
    fund: FundRow,
    file: Path,
    lines: list[GoodLine],
    outcome: Outcome,
    progress: Progress,
) -> None:
    """The whole file in one commit. What can be made before it is made before: SQLite has one
    writer, and a running node waits for it."""
    from settlement_node.desk.intake import take_in
    from settlement_node.store.book.orders import ids_of

    task = progress.add_task("taking in", total=outcome.lines_count)
    ids = ids_of(fund, (good.order.external_id for good in lines))
    with _uncollected(), store.transaction(actor=actor()) as tx:
        for chunk in _chunks(lines):
            orders = [good.order for good in chunk]
            by = _approved_by(file)
            outcome.took(take_in(tx, fund.fund_id, orders, approved_by=by, known_ids=ids))
            tx.spill()
            progress.advance(task, len(chunk))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looks for cyclic garbage, of which an import makes none worth a third of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _import_good(
    store: Store,
    fund: FundRow,
    file: Path,
    see: Callable[[FundRow], SeenCapacity | None],
    outcome: Outcome,
    progress: Progress,
) -> None:
    """The good lines, one commit a chunk: a repeat of the command goes on where it stopped."""
    from settlement_node.desk.intake import Refused, Repeated, Taken, intake
    from settlement_node.sources.orders_csv import BadLine, read_orders
    from settlement_node.store.book.orders import ids_of

    task = progress.add_task("taking in", total=None)

    def take(chunk: list[GoodLine]) -> None:
        payable = _payable(store, fund, chunk, see, outcome)
        if not payable:
            return
        orders = [good.order for good in payable]
        ids = ids_of(fund, (order.external_id for order in orders))
        with store.transaction(actor=actor()) as tx:
            by = _approved_by(file)
            answers = intake(tx, fund.fund_id, orders, approved_by=by, known_ids=ids)
        outcome.took([answer.row for answer in answers if isinstance(answer, Taken)])
        for good, answer in zip(payable, answers, strict=True):
            if isinstance(answer, Repeated):
                outcome.bad(good.line, answer.words)
            elif isinstance(answer, Refused):
                outcome.bad(good.line, answer.error.message)

    chunk: list[GoodLine] = []
    for entry in read_orders(file, fund):
        outcome.lines_count += 1
        progress.advance(task)
        if isinstance(entry, BadLine):
            outcome.bad(entry.line, entry.reason)
            continue
        chunk.append(entry)
        if len(chunk) == _chunk_max():
            take(chunk)
            chunk = []
    take(chunk)
    outcome.bad_lines.sort(key=lambda bad: int(bad["line"]))


def _payable(
    store: Store,
    fund: FundRow,
    chunk: list[GoodLine],
    see: Callable[[FundRow], SeenCapacity | None],
    outcome: Outcome,
) -> list[GoodLine]:
    """The lines that can be paid at all, or are in the book; the others are bad."""
    from settlement_node.desk.door import never_payable

    if not chunk:
        return []
    beyond = never_payable(store, fund.fund_id, [good.order for good in chunk], see)
    for place, words in beyond.items():
        outcome.bad(chunk[place].line, words)
    return [good for place, good in enumerate(chunk) if place not in beyond]


def _approved_by(file: Path) -> str:
    return f"file:{file.name}"[:100]


def _chunks(lines: list[GoodLine]) -> Iterator[list[GoodLine]]:
    size = _chunk_max()
    return (lines[start : start + size] for start in range(0, len(lines), size))


def _chunk_max() -> int:
    from settlement_node.desk.intake import ORDERS_MAX

    return ORDERS_MAX


def _progress() -> Progress:
    """On standard error, and only where somebody looks."""
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    console = notes()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _show(console: Console, outcome: Outcome, skip_bad: bool) -> None:
    for bad in outcome.bad_lines:
        console.print(f"line {bad['line']}: {escape(str(bad['reason']))}")
    if outcome.bad_count > len(outcome.bad_lines):
        console.print(f"… and {outcome.bad_count - len(outcome.bad_lines)} more bad lines")
    if outcome.bad_count and not skip_bad:
        console.print(
            f"nothing was taken: {outcome.bad_count} of {outcome.lines_count} lines are bad;"
            " mend them, or take the good ones with --skip-bad"
        )
        return
    console.print(
        f"{outcome.imported_count} redemptions taken into fund {escape(outcome.fund_id)}"
        + (
            f", {outcome.already_settled_count} of them already settled on the chain"
            if outcome.already_settled_count
            else ""
        )
        + (f"; {outcome.bad_count} bad lines left out" if outcome.bad_count else "")
    )
