"""What a person may leave in the folder and must never commit."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

IGNORED = (Path(__file__).parent.parent.parent / ".gitignore").read_text(encoding="utf-8").split()


@pytest.mark.parametrize(
    "name",
    [
        "lane.json",
        "lane-2.json",
        "keystore.json",
        "UTC--2026-01-31T12-00-00.000000000Z--70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "lane.password",
        "password.txt",
        "client.pem",
        "client.key",
        ".env",
        "settlement-node.toml",
        "settlement-node.sqlite",
        "settlement-node.sqlite-wal",
    ],
)
def test_gitignore__keys_passwords_and_settings__are_covered(name: str) -> None:
    assert [] != [pattern for pattern in IGNORED if fnmatch(name, pattern)]
