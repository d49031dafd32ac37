"""A file of approved orders taken into one fund: whole in one commit, or its good lines alone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from settlement_node.chain.context import ChainContext
from settlement_node.desk.door import SeenCapacity, never_payable, see_capacity
from settlement_node.desk.intake import ORDERS_MAX, Refused, Repeated, Taken, intake, take_in
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.errors import InvalidInput
from settlement_node.sources.orders_csv import GoodLine, read_orders
from settlement_node.store.book.funds import get_fund, list_funds
from settlement_node.store.book.orders import ids_of, repeats
from settlement_node.store.database import Store
from settlement_node.store.rows import FundRow, RedemptionRow

WHOLE_FILE_LINES_MAX = 100_000
"""Most orders of a file that is taken in as one commit; they are in memory meanwhile."""
SHOWN_BAD_LINES_MAX = 100
APPROVED_BY_LENGTH_MAX = 100


def fund_named(store: Store, fund_id: str | None) -> FundRow:
    """The fund of this id, or the only one of the book; raises NotFound, or InvalidInput when it
    must be named."""
    with store.read() as tx:
        if fund_id is not None:
            return get_fund(tx, fund_id)
        funds = list_funds(tx, limit=20)
    if len(funds) == 1:
        return funds[0]
    known = ", ".join(fund.fund_id for fund in funds) or "none; settlement-node fund add FILE"
    raise InvalidInput(f"name the fund with --fund; the book has: {known}", field="fund")


@dataclass(slots=True)
class Imported:
    """What became of a file; the first of its bad lines, each with its number and reason."""

    file: str
    fund_id: str
    lines_count: int = 0
    imported_count: int = 0
    already_settled_count: int = 0
    bad_count: int = 0
    bad_lines: list[dict[str, Any]] = field(default_factory=list)


class Import:
    """A file on its way into a fund. The chain is asked what the fund can pay at most when a line
    first needs it, and once. `advance` is told of work done: of what, how many lines more, and of
    how many if that is known.

    Each way raises InvalidInput for a file that cannot be read, or is too large, at all.
    """

    def __init__(
        self,
        store: Store,
        chains: Mapping[int, ChainContext],
        fund: FundRow,
        file: Path,
        *,
        actor: str,
        advance: Callable[[str, int, int | None], None],
    ) -> None:
        self._store = store
        self._chains = chains
        self._fund = fund
        self._file = file
        self._actor = actor
        self._advance = advance
        self._approved_by = f"file:{file.name}"[:APPROVED_BY_LENGTH_MAX]
        self._done = Imported(file=str(file), fund_id=fund.fund_id)

    def take_all(self) -> Imported:
        """All lines in one commit, or none where one is bad. Every line is looked at before any is
        written, so that all bad ones are told and the database is not held meanwhile."""
        lines = list(islice(self._good_lines("checking"), WHOLE_FILE_LINES_MAX + 1))
        if len(lines) > WHOLE_FILE_LINES_MAX:
            raise InvalidInput(
                f"{self._file.name} has more than {WHOLE_FILE_LINES_MAX} orders; a whole file is"
                " one commit. Split it, or take it in with --skip-bad, a thousand lines at a time",
                field="file",
            )
        for chunk in _chunks(lines):
            payable = self._payable(chunk)
            with self._store.read() as tx:
                again = repeats(tx, self._fund, [good.order.external_id for good in payable])
            for place, words in again.items():
                self._bad(payable[place].line, words)
        if not self._done.bad_count:
            self._write(lines)
        return self._finished()

    def take_good(self) -> Imported:
        """The good lines, one commit a chunk: a repeat goes on where it stopped."""
        for chunk in _chunks(self._good_lines("taking in")):
            payable = self._payable(chunk)
            if not payable:
                continue
            orders = [good.order for good in payable]
            ids = ids_of(self._fund, (order.external_id for order in orders))
            with self._store.transaction(actor=self._actor) as tx:
                answers = intake(
                    tx, self._fund.fund_id, orders, approved_by=self._approved_by, known_ids=ids
                )
            self._took([answer.row for answer in answers if isinstance(answer, Taken)])
            for good, answer in zip(payable, answers, strict=True):
                if isinstance(answer, Repeated):
                    self._bad(good.line, answer.words)
                elif isinstance(answer, Refused):
                    self._bad(good.line, answer.error.message)
        return self._finished()

    def _good_lines(self, work: str) -> Iterator[GoodLine]:
        for entry in read_orders(self._file, self._fund):
            self._done.lines_count += 1
            self._advance(work, 1, None)
            if isinstance(entry, GoodLine):
                yield entry
            else:
                self._bad(entry.line, entry.reason)

    def _payable(self, chunk: list[GoodLine]) -> list[GoodLine]:
        """The lines that can be paid at all, or are in the book; the others are bad."""
        orders = [good.order for good in chunk]
        fund_id = self._fund.fund_id
        beyond = never_payable(self._store, fund_id, orders, lambda _fund: self._capacity)
        for place, words in beyond.items():
            self._bad(chunk[place].line, words)
        return [good for place, good in enumerate(chunk) if place not in beyond]

    @cached_property
    def _capacity(self) -> SeenCapacity | None:
        return see_capacity(self._store, self._chains, self._fund)

    def _write(self, lines: list[GoodLine]) -> None:
        """In one commit. What can be made before it is made before: SQLite has one writer, and a
        running node waits for it."""
        ids = ids_of(self._fund, (good.order.external_id for good in lines))
        by = self._approved_by
        with _uncollected(), self._store.transaction(actor=self._actor) as tx:
            for chunk in _chunks(lines):
                orders = [good.order for good in chunk]
                self._took(take_in(tx, self._fund.fund_id, orders, approved_by=by, known_ids=ids))
                tx.spill()
                self._advance("taking in", len(chunk), len(lines))

    def _took(self, rows: list[RedemptionRow]) -> None:
        self._done.imported_count += len(rows)
        settled = [row for row in rows if row.status is RedemptionStatus.SETTLED]
        self._done.already_settled_count += len(settled)

    def _bad(self, line: int, reason: str) -> None:
        self._done.bad_count += 1
        if len(self._done.bad_lines) < SHOWN_BAD_LINES_MAX:
            self._done.bad_lines.append({"line": line, "reason": reason})

    def _finished(self) -> Imported:
        self._done.bad_lines.sort(key=lambda bad: int(bad["line"]))
        return self._done


def _chunks(lines: Iterable[GoodLine]) -> Iterator[list[GoodLine]]:
    """As many at once as one call takes in."""
    rest = iter(lines)
    return iter(lambda: list(islice(rest, ORDERS_MAX)), [])


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looks for cyclic garbage, of which an import makes none worth a third of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
