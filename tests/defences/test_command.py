"""The machinery at work on single rows: a defence that is seen, one that nobody would miss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.defences import running
from tests.defences.__main__ import main
from tests.defences.catalogue import DEFENCES
from tests.defences.changes import Returns, Swaps
from tests.defences.checking import check_row, check_untouched
from tests.defences.model import Defence
from tests.defences.places import Misfit
from tests.defences.workspace import ROOT, Workspace, copy_tree, patched

CHEAP = next(row for row in DEFENCES if row.name == "bump_is_rounded_up")
HARMLESS = replace(CHEAP, name="harmless", change=Returns("1 + old_wei * 9 // 8"))
NOT_IMPORTABLE = replace(
    CHEAP,
    name="not_importable",
    at="settlement_node/domain/engine/fees.py:Fees",
    change=Swaps("max_fee_per_gas_wei: Wei", "max_fee_per_gas_wei: Wei = max(())"),
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return copy_tree(tmp_path_factory.mktemp("defences").resolve() / "tree")


def test_row__defence_taken_out__is_seen_and_put_back(workspace: Workspace) -> None:
    path = workspace.folder / CHEAP.file
    assert check_untouched(workspace, [CHEAP]) == []
    verdict = check_row(workspace, CHEAP)
    assert (verdict.seen, verdict.why) == (True, "seen")
    assert path.read_text() == (ROOT / CHEAP.file).read_text()


def test_row__harmless_change__is_missed(workspace: Workspace) -> None:
    verdict = check_row(workspace, HARMLESS)
    assert not verdict.seen
    assert "ended as passed" in verdict.why


def test_row__change_that_cannot_be_imported__proves_nothing(workspace: Workspace) -> None:
    verdict = check_row(workspace, NOT_IMPORTABLE)
    assert not verdict.seen
    assert "not importable" in verdict.why


def test_row__not_done_in_time__proves_nothing_and_says_so(workspace: Workspace) -> None:
    verdict = check_row(workspace, CHEAP, seconds=0.2)
    assert not verdict.seen
    assert "not done within" in verdict.why


def test_untouched__test_that_does_not_exist__is_named(workspace: Workspace) -> None:
    row = replace(CHEAP, tests=("tests/domain/test_fees.py::test_nothing",))
    (wrong,) = check_untouched(workspace, [row])
    assert "test_nothing" in wrong


def test_patched__change_that_does_not_fit__is_a_misfit_that_names_row_and_place() -> None:
    with pytest.raises(Misfit, match=f"{CHEAP.name}: in {CHEAP.at}: raised is there 0 times"):
        patched("", CHEAP)


def test_run__error_in_a_fixture__is_no_failure(tmp_path: Path) -> None:
    ends = running.Run({"a[1]": "error", "a[2]": "passed", "b": "failed"})
    assert ends.ends_of("a") == {"error", "passed"}
    assert ends.ends_of("a[2]") == {"passed"}
    assert ends.ends_of("c") == set()


def test_command__unknown_name__lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no_such_defence"]) == 2
    said = capsys.readouterr().err
    assert "no_such_defence" in said
    assert all(row.name in said for row in DEFENCES)


def test_command__name_of_another_part__is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", CHEAP.name, "--part", "database"]) == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [False, True])
def test_command__list__shows_every_row(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", *(["--json"] if as_json else [])]) == 0
    said = capsys.readouterr().out
    shown = (
        [r["name"] for r in json.loads(said)]
        if as_json
        else [x.split()[1] for x in said.splitlines()]
    )
    assert shown == [row.name for row in DEFENCES]


def test_command__one_missed__says_so_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    rows: tuple[Defence, ...] = (CHEAP, HARMLESS)
    assert main([], rows) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "defences=2 seen=1 missed=1 lines=1"
    assert "MISSED" in said.err
