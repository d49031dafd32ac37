"""The artifacts a deployment needs, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from settlement_node.chain import artifacts
from settlement_node.chain.artifacts import load_artifact
from settlement_node.errors import InvalidInput

from .scripted import ACCOUNT

PACKAGED = Path(artifacts.__file__).parent / "abi"
BUILT = Path(artifacts.__file__).parents[2] / "abi"


@pytest.mark.parametrize("name", ["RedemptionSettler", "FundToken", "TestStablecoin"])
def test_packaged_artifact__each__is_the_built_one(name: str) -> None:
    packaged = PACKAGED / f"{name}.json"

    assert packaged.read_bytes() == (BUILT / f"{name}.json").read_bytes(), (
        f"the contracts were built anew: copy abi/{name}.json to settlement_node/chain/abi/"
    )


def test_load_artifact__without_a_checkout__the_packaged_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = load_artifact("RedemptionSettler")
    monkeypatch.setattr(artifacts, "_CHECKOUT", tmp_path)
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
