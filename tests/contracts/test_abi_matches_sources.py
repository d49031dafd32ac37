"""The artifacts in ``abi/`` are what the sources in ``contracts/`` compile to, byte for byte.

The node deploys and decodes with the committed artifacts and has no compiler; this test keeps them
true.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABI_FOLDER = ROOT / "abi"
NODE_MODULES = ROOT / "node_modules"
BUILD_TIMEOUT_SECONDS = 300


@pytest.fixture(scope="module")
def rebuilt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the artifacts made anew from the sources."""
    node = shutil.which("node")
    forge = shutil.which("forge", path=str(NODE_MODULES / ".bin")) or shutil.which("forge")
    if node is None or forge is None or not (NODE_MODULES / "solc").exists():
        pytest.fail("the Solidity compiler is not set up: run `make setup` (it needs Node 20)")
    folder = tmp_path_factory.mktemp("abi")
    build = subprocess.run(
        [node, str(ROOT / "tools" / "build-abi.mjs"), "--out", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_SECONDS,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


def test_abi__rebuilt__holds_the_same_contracts(rebuilt_folder: Path) -> None:
    expected = sorted(path.name for path in rebuilt_folder.glob("*.json"))
    actual = sorted(path.name for path in ABI_FOLDER.glob("*.json"))
    assert expected == actual, "run `make abi` and commit the result"


def test_abi__rebuilt__is_the_same_byte_for_byte(rebuilt_folder: Path) -> None:
    committed = {path.name: path.read_bytes() for path in ABI_FOLDER.glob("*.json")}
    stale = [
        path.name
        for path in sorted(rebuilt_folder.glob("*.json"))
        if committed.get(path.name) != path.read_bytes()
    ]
    assert stale == [], "these differ from what the sources compile to: run `make abi` and commit"
