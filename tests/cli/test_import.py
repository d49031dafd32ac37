"""`import`: all or nothing, line numbers and reasons, and large files."""

from __future__ import annotations

import pytest

from settlement_node.store import redemptions
from settlement_node.store.rows import FundRow
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
        (HEADER.encode() + b",note\n", "'note' is not known"),
        (HEADER.encode() + b",shares_base_units\n", "one of the columns"),
        (HEADER.removesuffix(",shares").encode() + b"\n", "one of the columns"),
        (HEADER.encode() + b",external_id\n", "twice"),
        (b"\xff\xfe", "not UTF-8"),
        (HEADER.encode() + b"\na,\xe9,b,1\n", "not UTF-8"),
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


def test_import__no_file__is_refused(desk: Desk, fund: FundRow) -> None:
    result = desk.run("import", desk.folder / "none.csv")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_import__which_fund__must_be_clear(desk: Desk) -> None:
    file = desk.write("r.csv", "\n".join([HEADER, line("a")]))
    none = desk.run("import", file)
    assert (none.exit_code, "fund add FILE" in none.stderr) == (2, True)
    add_fund(desk.store)
    add_fund(desk.store, fund_id="beta", share_token_address=address("beta"), next_nonce=None)
    several = desk.run("import", file)
    assert (several.exit_code, "alpha, beta" in several.stderr) == (2, True)
    assert desk.json("import", file, "--fund", "beta")["fund_id"] == "beta"
    assert desk.json("import", file, "--fund", "nobody", code=2)["error"]["code"] == "not_found"
