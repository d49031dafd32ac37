"""README's demonstration does what README says. Its quickstart runs in chain_tests/docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.outputs import check_outputs, holds, missing_lines
from tests.docs.pages import Block, blocks_of, fresh_clone, run_script


@pytest.mark.slow
def test_readme__demonstration__runs_and_shows_what_is_printed(tmp_path: Path) -> None:
    (block,) = [b for b in blocks_of("README.md") if (b.kind, b.name) == ("run", "demo")]

    output = run_script(block.text, fresh_clone(tmp_path), seconds=120)

    check_outputs("README.md", "demo", output)


def test_readme__every_shell_block__is_run_by_a_test() -> None:
    text = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
    run = [b for b in blocks_of("README.md") if b.kind == "run"]
    assert text.count("```sh\n") == len(run)
    assert {b.name for b in run} == {"demo", "quickstart"}


def test_missing_lines__text_that_is_not_there__is_found() -> None:
    shown = Block("output", "x", "text", "settled   17\nheld 3\n")
    assert missing_lines(shown, "settled 17\nheld 2\n") == ["held 3"]


@pytest.mark.parametrize(
    ("shown", "real", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ([{"a": 1}], [{"a": 2}, {"a": 1}], True),
        ([{"a": 3}], [{"a": 2}, {"a": 1}], False),
        ([], [1], False),
        ([], [], True),
    ],
)
def test_holds__shown_and_real__every_shown_key_counts(
    shown: object, real: object, expected: bool
) -> None:
    assert holds(shown, real) is expected
