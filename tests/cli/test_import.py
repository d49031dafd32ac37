"""`import`: all or nothing, line numbers and reasons, and large files."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from settlement_node.domain.lifecycle import RedemptionStatus as S
from settlement_node.sources import orders_csv
from settlement_node.store import tables as t
from settlement_node.store.book import ledger, redemptions
from settlement_node.store.rows import FundRow
from settlement_node.store.telling import outbox, records
from settlement_node.units import UINT256_MAX
from tests.cli.conftest import Desk
from tests_support.book import add_fund, address

HEADER = "external_id,investor_address,payee_address,shares"


def line(name: str, shares: str = "1.5", **changes: str) -> str:
    cells = {
        "external_id": name,
        "investor_address": address("investor"),
        "payee_address": address("payee"),
        "shares": shares,
    } | changes
    return ",".join(cells.values())


def recorded(desk: Desk) -> int:
    with desk.store.read() as tx:
        return sum(redemptions.count_by_status(tx).values())


def test_import__a_good_file__is_taken_whole(desk: Desk, fund: FundRow) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("a"), line("b", "0.000000000000000001")]))
    told = desk.json("import", file)
    assert (told["imported_count"], told["bad_count"], told["fund_id"]) == (2, 0, "alpha")
    with desk.store.read() as tx:
        rows = redemptions.page(tx, redemptions.RedemptionFilter(), limit=5)
    assert sorted(row.shares_base_units for row in rows) == [1, 15 * 10**17]


def test_import__base_units_dates_and_a_byte_order_mark__are_read(
    desk: Desk, fund: FundRow
) -> None:
    header = "\ufeffexternal_id,investor_address,payee_address,shares_base_units,settle_after_utc"
    dated = line("a", str(UINT256_MAX)) + ",2026-03-01T10:00:00+02:00"
    file = desk.write("r.csv", "\r\n".join([header, dated, line("b", "5") + ",", ""]))
    assert desk.json("import", file)["imported_count"] == 2
    with desk.store.read() as tx:
        rows = redemptions.page(tx, redemptions.RedemptionFilter(search="a"), limit=5)
    (row,) = [row for row in rows if row.external_id == "a"]
    assert row.settle_after_utc is not None
    assert row.settle_after_utc.isoformat() == "2026-03-01T08:00:00+00:00"


@pytest.mark.parametrize("time", ["2026-03-01T10:00:00", "2026-03-01", "noon"])
def test_import__a_date_without_its_zone__is_refused_by_line(
    desk: Desk, fund: FundRow, time: str
) -> None:
    header = "external_id,investor_address,payee_address,shares,settle_after_utc"
    file = desk.write("r.csv", "\n".join([header, line("a") + f",{time}", ""]))
    result = desk.run("import", file)
    assert (result.exit_code, "a time with its zone" in result.output) == (1, True)
    assert "line 2" in result.output


BAD = [
    ("zero", line("x", "0"), "greater than zero"),
    ("negative", line("x", "-1"), "shares must be a plain decimal number"),
    ("too fine", line("x", "0." + "0" * 18 + "1"), "more than 18 decimals"),
    ("too much", line("x", str(UINT256_MAX)), "2^256"),
    ("wrong checksum", line("x", payee_address=address("x").lower()), "payee_address"),
    ("no address", line("x", investor_address="0x12"), "investor_address"),
    ("no id", line(""), "external_id"),
    ("NUL", line("a\x00b"), "external_id"),
    ("too few cells", "x,y", "has 2 cells, the header has 4"),
    ("too many cells", line("x") + ",5", "has 5 cells, the header has 4"),
    ("broken quotes", '"x"y,' + line("z"), "not CSV"),
    ("twice", line("good"), "is on line 2 already"),
]


@pytest.mark.parametrize(("bad", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_import__one_bad_line__names_it_and_takes_nothing(
    desk: Desk, fund: FundRow, bad: str, words: str
) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("good"), bad, line("last")]))
    told = desk.json("import", file, code=1)
    assert told["imported_count"] == 0
    assert told["bad_lines"][0]["line"] == 3
    assert words in told["bad_lines"][0]["reason"]
    assert recorded(desk) == 0


def test_import__the_treasury_as_payee__is_a_bad_line(desk: Desk, fund: FundRow) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("x", payee_address=fund.treasury_address)]))
    result = desk.run("import", file)
    assert result.exit_code == 1
    assert "line 2: payee_address must not be the treasury" in result.stdout
    assert "nothing was taken: 1 of 1 lines" in result.stdout


def test_import__several_bad_lines__are_all_told_in_order(desk: Desk, fund: FundRow) -> None:
    desk.json("import", desk.write("first.csv", "\n".join([HEADER, line("known")])))
    lines = [HEADER, line("a"), line("known"), line("b", "0"), line("c"), line("d", "x")]
    told = desk.json("import", desk.write("r.csv", "\n".join(lines)), code=1)
    assert [bad["line"] for bad in told["bad_lines"]] == [3, 4, 6]
    assert "already in the book" in told["bad_lines"][0]["reason"]
    assert recorded(desk) == 1


def test_import__skip_bad__takes_the_good_lines(desk: Desk, fund: FundRow) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("a"), line("b", "0"), line("c")]))
    told = desk.json("import", file, "--skip-bad", code=1)
    assert (told["imported_count"], told["bad_count"]) == (2, 1)
    again = desk.json("import", file, "--skip-bad", code=1)
    assert (again["imported_count"], again["bad_count"]) == (0, 3)
    assert recorded(desk) == 2


@pytest.mark.parametrize("mode", [(), ("--skip-bad",)], ids=["all or nothing", "skip bad"])
def test_import__more_than_a_chunk__is_taken_whole(
    desk: Desk, fund: FundRow, mode: tuple[str, ...]
) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, *(line(f"{n}") for n in range(1_050))]))
    assert desk.json("import", file, *mode)["imported_count"] == 1_050
    assert recorded(desk) == 1_050


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the column external_id is missing"),
        (b"external_id,investor_address,shares\n", "the column payee_address is missing"),
        (HEADER.replace(",", ";").encode() + b"\n", "not separated by commas"),
        (HEADER.replace(",", "\t").encode() + b"\n", "not separated by commas"),
        (HEADER.encode() + b",note\n", "'note' is not known"),
        (HEADER.encode() + b",shares_base_units\n", "one of the columns"),
        (HEADER.removesuffix(",shares").encode() + b"\n", "one of the columns"),
        (HEADER.encode() + b",external_id\n", "twice"),
        (b"\xff\xfe", "not UTF-8"),
        (HEADER.encode() + b",\xe9\n", "not UTF-8"),
    ],
)
def test_import__a_file_of_another_kind__is_refused(
    desk: Desk, fund: FundRow, content: bytes, words: str
) -> None:
    path = desk.folder / "r.csv"
    path.write_bytes(content)
    result = desk.run("import", path)
    assert result.exit_code == 2
    assert words in result.stderr
    assert recorded(desk) == 0


@pytest.mark.parametrize("mode", [(), ("--skip-bad",)], ids=["all or nothing", "skip bad"])
def test_import__a_late_line_that_is_not_utf8__is_a_bad_line(
    desk: Desk, fund: FundRow, mode: tuple[str, ...]
) -> None:
    path = desk.folder / "r.csv"
    good = [line(f"{n}") for n in range(1_020)]
    path.write_bytes("\n".join([HEADER, *good, ""]).encode() + b"x,\xff\xfe,y,1\nlast")
    told = desk.json("import", path, *mode, code=1)
    assert told["bad_lines"][0] == {"line": 1_022, "reason": "is not UTF-8 text"}
    assert told["imported_count"] == recorded(desk) == (1_020 if mode else 0)


@pytest.mark.parametrize("mode", [(), ("--skip-bad",)], ids=["all or nothing", "skip bad"])
def test_import__from_a_pipe__is_read_once(
    desk: Desk, fund: FundRow, mode: tuple[str, ...]
) -> None:
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    text = "\n".join([HEADER, *(line(f"{n}") for n in range(1_020))])
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert desk.json("import", pipe, *mode)["imported_count"] == 1_020
    writer.join()


def test_import__a_fault_in_a_late_chunk__takes_nothing(
    desk: Desk, fund: FundRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program enters an id between the look and the commit."""
    file = desk.write("r.csv", "\n".join([HEADER, *(line(f"{n}") for n in range(1_020))]))
    monkeypatch.setattr("settlement_node.store.book.orders.known_external_ids", late(desk))
    told = desk.json("import", file, code=2)
    assert "'1010' is already in the book" in told["error"]["message"]
    assert recorded(desk) == 0
    with desk.store.read() as tx:
        for table in (t.audit_events, t.ledger_postings, t.outbox):
            rows = tx.connection.execute(sa.select(table)).mappings()
            assert not [row for row in rows if "'redemption" in str(dict(row))]


def late(desk: Desk) -> Callable[..., set[str]]:
    """What the book holds, as it is found inside the write: an id of the second chunk."""
    looks = iter([set(), set(), set(), {"1010"}])
    return lambda *_: next(looks)


def test_import__what_it_writes__is_what_single_steps_write(desk: Desk, fund: FundRow) -> None:
    desk.json("import", desk.write("r.csv", "\n".join([HEADER, line("a"), line("b")])))
    with desk.store.read() as tx:
        rows = redemptions.page(tx, redemptions.RedemptionFilter(), limit=5)
        (row,) = [row for row in rows if row.external_id == "a"]
        facts = [fact["action"] for fact in records.audit_of(tx, "redemption", row.redemption_id)]
        events = [e["topic"] for e in outbox.after(tx, 0) if e["subject_id"] == row.redemption_id]
        postings = ledger.postings_of(tx, row.redemption_id)
    assert (row.status, row.version, row.redemption_index) == (S.APPROVED, 1, 0)
    assert row.approved_at_utc == row.requested_at_utc == row.updated_at_utc
    assert sorted(facts) == ["approval_given", "requested"]
    assert events == ["redemption.approved"]
    assert [p["units_base_units"] for p in postings] == [row.shares_base_units]


def test_import__whole__reads_the_file_before_the_database_is_held(
    desk: Desk, fund: FundRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running node waits for the one writer of SQLite: no line is looked at meanwhile, and
    each order is written once."""
    statements: list[str] = []
    read_by: list[int] = []
    parse = orders_csv._order

    def noted(*arguments: Any) -> Any:
        read_by.append(len([s for s in statements if s.startswith("BEGIN IMMEDIATE")]))
        return parse(*arguments)

    def note(_c: Any, _k: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    monkeypatch.setattr(orders_csv, "_order", noted)
    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        file = desk.write("r.csv", "\n".join([HEADER, *(line(f"{n}") for n in range(1_020))]))
        desk.json("import", file)
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)
    assert set(read_by) == {0}
    assert len(statements) < 60, "nothing is one statement for every order"


def test_import__more_lines_than_one_commit_takes__is_refused_and_skip_bad_takes_it(
    desk: Desk, fund: FundRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settlement_node.sources.importing.WHOLE_FILE_LINES_MAX", 2)
    file = desk.write("r.csv", "\n".join([HEADER, *(line(f"{n}") for n in range(3))]))
    result = desk.run("import", file)
    assert (result.exit_code, "more than 2 orders" in result.stderr) == (2, True)
    assert recorded(desk) == 0
    assert desk.json("import", file, "--skip-bad")["imported_count"] == 3


def test_import__no_file__is_refused(desk: Desk, fund: FundRow) -> None:
    result = desk.run("import", desk.folder / "none.csv")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_import__no_fund__says_how_to_add_one(desk: Desk) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("a")]))
    none = desk.run("import", file)
    assert (none.exit_code, "fund add FILE" in none.stderr) == (2, True)


def test_import__which_fund__must_be_clear(desk: Desk, fund: FundRow) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("a")]))
    add_fund(desk.store, fund_id="beta", share_token_address=address("beta"), next_nonce=None)
    several = desk.run("import", file)
    assert (several.exit_code, "alpha, beta" in several.stderr) == (2, True)
    assert desk.json("import", file, "--fund", "alpha")["fund_id"] == "alpha"
    assert desk.json("import", file, "--fund", "nobody", code=2)["error"]["code"] == "not_found"
