"""Approved redemptions as CSV, read line by line; a bad line is a value, not an exception."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from settlement_node.desk.intake import check_order
from settlement_node.domain.redemption import RedemptionOrder, check_external_id
from settlement_node.errors import InvalidInput
from settlement_node.store.book.funds import NewFund
from settlement_node.store.rows import FundRow
from settlement_node.units import (
    Shares,
    parse_address,
    parse_base_units,
    parse_decimal_units,
    parse_time,
)

REQUIRED = ("external_id", "investor_address", "payee_address")
SHARES = ("shares", "shares_base_units")
OPTIONAL = ("settle_after_utc",)


@dataclass(frozen=True, slots=True)
class GoodLine:
    """A line that makes an order of the fund."""

    line: int
    order: RedemptionOrder


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that does not, and why."""

    line: int
    reason: str


def read_orders(path: Path, fund: FundRow | NewFund) -> Iterator[GoodLine | BadLine]:
    """Every line of the file after its header, in order; the file is read once, so a pipe will do.

    Raises InvalidInput when the file cannot be read at all: absent, or a header that is not UTF-8
    or whose columns are not those of redemptions.
    """
    try:
        # Bytes that are not UTF-8 spoil their line alone: what came before it may be in the book.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = [name.strip() for name in next(reader, [])]
            except csv.Error as error:
                raise InvalidInput(f"{path} line 1: {error}", field="file", line=1) from None
            if not _is_utf8(header):
                raise InvalidInput(f"{path} is not UTF-8 text; save it as UTF-8", field="file")
            _check_header(path, header)
            yield from _lines(reader, header, fund)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", field="file") from None


def _lines(
    reader: Iterator[list[str]], header: list[str], fund: FundRow | NewFund
) -> Iterator[GoodLine | BadLine]:
    seen: dict[str, int] = {}
    while True:
        # csv.reader counts the lines it has read; a quoted field may span several.
        line = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(line, f"not CSV: {error}")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if not _is_utf8(cells):
            yield BadLine(line, "is not UTF-8 text")
            continue
        if len(cells) != len(header):
            yield BadLine(line, f"has {len(cells)} cells, the header has {len(header)}")
            continue
        try:
            order = _order(dict(zip(header, cells, strict=True)), fund)
        except InvalidInput as error:
            yield BadLine(line, error.message)
            continue
        first = seen.setdefault(order.external_id, line)
        if first != line:
            yield BadLine(line, f"external_id {order.external_id!r} is on line {first} already")
            continue
        yield GoodLine(line, order)


def _is_utf8(cells: list[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_header(path: Path, header: list[str]) -> None:
    known = {*REQUIRED, *SHARES, *OPTIONAL}
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in known]
    shares = [name for name in SHARES if name in header]
    fault = ""
    if missing and len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        fault = "the cells are not separated by commas; save the file as CSV with commas"
    elif missing:
        fault = f"the column {missing[0]} is missing"
    elif unknown:
        fault = f"the column {unknown[0][:60]!r} is not known"
    elif len(shares) != 1:
        fault = "give one of the columns shares and shares_base_units"
    elif len(set(header)) != len(header):
        fault = "a column appears twice"
    if fault:
        raise InvalidInput(
            f"{path} line 1: {fault}; the columns are {', '.join(REQUIRED)}, shares or"
            " shares_base_units, and settle_after_utc if you like",
            field="file",
            line=1,
        )


def _order(cells: Mapping[str, str], fund: FundRow | NewFund) -> RedemptionOrder:
    """The order of a line; raises InvalidInput naming the column."""
    external_id = check_external_id(cells["external_id"].strip())
    if "shares" in cells:
        shares = parse_decimal_units(cells["shares"].strip(), fund.share_decimals, field="shares")
        if shares == 0:
            raise InvalidInput("shares must be greater than zero", field="shares")
    else:
        shares = parse_base_units(cells["shares_base_units"].strip(), field="shares_base_units")
    time = cells.get("settle_after_utc", "").strip()
    order = RedemptionOrder(
        external_id=external_id,
        investor_address=parse_address(cells["investor_address"].strip(), field="investor_address"),
        payee_address=parse_address(cells["payee_address"].strip(), field="payee_address"),
        shares_base_units=Shares(shares),
        settle_after_utc=parse_time(time, field="settle_after_utc") if time else None,
    )
    check_order(fund, order)
    return order
