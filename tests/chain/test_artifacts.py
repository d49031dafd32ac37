"""The artifacts a deployment needs, in a checkout and in an installed package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from settlement_node.chain.contracts import artifacts
from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.errors import InvalidInput

from .scripted import ACCOUNT

CHECKOUT = Path(artifacts.__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, source / name)
        else:
            (source / name).write_text("\n")
    shutil.copytree(CHECKOUT / "settlement_node", source / "settlement_node")
    shutil.copytree(CHECKOUT / "abi", source / "abi")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--wheel-dir",
            str(folder),
            str(source),
        ],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.mark.parametrize("name", ["RedemptionSettler", "FundToken", "TestStablecoin"])
def test_wheel__each_artifact__is_the_built_one(name: str, wheel: Path) -> None:
    packaged = wheel / "settlement_node" / "chain" / "contracts" / "abi" / f"{name}.json"
    assert (CHECKOUT / "abi" / f"{name}.json").read_bytes() == packaged.read_bytes()


def test_wheel__migrations__are_in_it(wheel: Path) -> None:
    assert list((wheel / "settlement_node" / "store" / "migrations").rglob("*.sql"))


def test_load_artifact__without_a_checkout__the_packaged_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: Path
) -> None:
    expected = load_artifact("RedemptionSettler")
    monkeypatch.setattr(artifacts, "_CHECKOUT", tmp_path)
    packaged = wheel / "settlement_node" / "chain" / "contracts" / "abi"
    monkeypatch.setattr(artifacts, "_PACKAGED", packaged)
    load_artifact.cache_clear()

    packaged = load_artifact("RedemptionSettler")

    assert packaged == expected
    load_artifact.cache_clear()


def test_load_artifact__unknown__invalid_input() -> None:
    with pytest.raises(InvalidInput, match="no artifact"):
        load_artifact("Nothing")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("mint", [ACCOUNT]),
        ("mint", [ACCOUNT, -1]),
        ("mint", ["not an address", 1]),
        ("nothing", []),
    ],
)
def test_encode_call__wrong_function_or_arguments__invalid_input(
    function: str, arguments: list[object]
) -> None:
    with pytest.raises(InvalidInput):
        load_artifact("FundToken").encode_call(function, arguments)


def test_encode_call__one_of_several_of_a_name__by_its_signature() -> None:
    artifact = load_artifact("FundToken")

    assert artifact.encode_call("burn(address,uint256)", [ACCOUNT, 1]) == artifact.encode_call(
        "burn", [ACCOUNT, 1]
    )
