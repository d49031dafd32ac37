"""`demo` where what it needs beside the node is not installed."""

from __future__ import annotations

import sys

import pytest

from .conftest import Desk


def test_demo__without_py_evm__says_how_to_install_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("settlement_node.devchain.emb")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "eth", None)

    result = desk.run("demo", "--no-serve", "--redemptions", "8")

    assert (2, True) == (result.exit_code, "make demo" in result.stderr)
