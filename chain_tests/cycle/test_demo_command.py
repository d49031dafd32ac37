"""`settlement-node demo`, run as a person runs it, on both chains."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "chain",
    [
        pytest.param("py-evm", marks=pytest.mark.pyevm),
        pytest.param("anvil", marks=pytest.mark.anvil),
    ],
)
def test_demo__as_a_command__ends_by_itself_and_its_last_line_says_that_the_books_agree(
    chain: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "settlement_node", "demo"),
            *("--chain", chain, "--redemptions", "20", "--no-serve", "--json"),
        ],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    counts = {name: found[name] for name in ("redemptions", "settled", "held", "rejected")}
    assert counts["redemptions"] == counts["settled"] + counts["held"] + counts["rejected"]
    assert (counts["held"], counts["rejected"]) == (2, 1)
    assert (found["breaks"], found["double_paid"]) == (0, 0)
    assert found["transactions"] >= 1
    figure(
        f"demo on {chain}: {found['redemptions']} redemptions in {found['seconds']} s,"
        f" {found['gas_per_redemption']} gas each"
    )
