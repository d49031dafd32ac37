"""The interpreter's recursion limit stays its own, whatever the libraries of chains do to it."""

from __future__ import annotations

import subprocess
import sys

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
own = sys.getrecursionlimit()
import settlement_node
for module in pkgutil.walk_packages(settlement_node.__path__, "settlement_node."):
    if not module.name.endswith("__main__") and ".migrations." not in module.name:
        importlib.import_module(module.name)
        assert sys.getrecursionlimit() == own, module.name
assert {"web3", "eth_keyfile", "eth"} <= sys.modules.keys()
"""


def test_import__every_module__recursion_limit_is_the_interpreters_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


IMPORT_WHAT_RUNS = """
import sys
import settlement_node.cli, settlement_node.assembly, settlement_node.node.runtime
print(sorted({"web3", "eth_account", "eth_keyfile", "py_ecc", "alembic"} & sys.modules.keys()))
"""


def test_import__what_a_node_runs__none_of_the_libraries_that_take_seconds() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WHAT_RUNS], capture_output=True, text=True, check=False
    )

    assert ("[]\n", "") == (done.stdout, done.stderr)
