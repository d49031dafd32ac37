"""A database that cannot be used: every command names the setting and the cause, and promises
nothing."""

from __future__ import annotations

import pytest

from settlement_node.store.rows import FundRow
from tests.cli.conftest import Desk
from tests_support.book import address

COMMANDS = [
    ("status",), ("import", "x.csv"), ("db", "upgrade"), ("db", "status"), ("run",),
    ("reconcile",), ("fund", "list"), ("config", "check"),
]  # fmt: skip


@pytest.mark.enable_socket
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command__database_away__names_the_setting_and_the_cause(
    desk: Desk, command: tuple[str, ...]
) -> None:
    for url, cause in (
        ("postgresql://u:pass-word-1@127.0.0.1:1/x", "cannot be reached: connection refused"),
        ("sqlite:////nowhere/at/x.sqlite", "the folder /nowhere/at does not exist"),
    ):
        result = desk.run(*command, SETTLEMENT_NODE__DATABASE__URL=url)
        assert result.exit_code == (1 if command[0] == "config" else 3), result.output
        assert f"database.url: {cause}" in result.output
        assert "tried again" not in result.output
        assert "pass-word-1" not in result.output


@pytest.mark.enable_socket
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command__a_file_that_is_no_database__is_wrong_configuration(
    desk: Desk, command: tuple[str, ...]
) -> None:
    (desk.folder / "junk.sqlite").write_bytes(b"no database" * 400)
    env = {"SETTLEMENT_NODE__DATABASE__URL": "sqlite:///junk.sqlite"}
    told = desk.json(*command, code=1 if command[0] == "config" else 2, **env)
    assert "junk.sqlite is not an SQLite database" in str(told)


@pytest.mark.parametrize(
    "arguments",
    [
        ("break", "resolve", "9" * 23),
        ("break", "resolve", "0"),
        ("lane", "pause", "9" * 23, address("lane")),
        ("lane", "resume", str(2**53 + 1), address("lane")),
        ("fund", "rescan", "alpha", "--from-block", "9" * 23),
    ],
)
def test_operate__a_number_no_database_holds__is_refused(
    desk: Desk, fund: FundRow, arguments: tuple[str, ...]
) -> None:
    result = desk.run(*arguments, "--reason", "checked by hand")
    assert result.exit_code == 2, result.output
    # What wraps a message to the width of a screen is left out.
    assert "or equal to" in " ".join(result.stderr.replace("│", " ").split())
