"""`fund settler` and `fund export`, from deploying the second settler to a new book."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from settlement_node.cli.fund_file import read_fund_file, write_fund_file
from settlement_node.devchain.development_keys import development_keys
from tests.cli.conftest import SETTINGS, Desk
from tests.docs.pages import ROOT
from tests_support.anvil import AnvilProcess
from tests_support.book import address

pytestmark = [pytest.mark.anvil, pytest.mark.allow_hosts(["127.0.0.1"])]

LANE = {"LANE_KEY": "0x" + development_keys()[1].hex()}


@pytest.fixture(scope="module")
def anvil() -> Iterator[AnvilProcess]:
    with AnvilProcess() as process:
        process.set_automine(enabled=True)
        yield process


@pytest.fixture
def chain_desk(desk: Desk, anvil: AnvilProcess) -> Desk:
    signer = '\n[[signers]]\nchain_id = 31337\nkind = "env"\nkey_env = "LANE_KEY"\n'
    settings = SETTINGS.replace("http://127.0.0.1:9", anvil.address) + signer
    desk.write("settlement-node.toml", settings)
    return desk


def test_own_errors__changed_exported_and_added_to_a_new_book__the_same_fund(
    chain_desk: Desk,
) -> None:
    desk, file = chain_desk, chain_desk.folder / "own.toml"
    fund_id = desk.json("deploy", "--out", file, **LANE)["fund_id"]
    plain = file.read_text()
    desk.json("fund", "add", file, **LANE)
    desk.write("own.abi.json", '[{"type": "error", "name": "HolderLocked", "inputs": []}]')
    file.write_text(f'errors_abi = "own.abi.json"\nerrors = ["Closed(address)"]\n{plain}')
    assert ["Closed(address)", "HolderLocked()"] == desk.json("fund", "checks", file)["errors"]

    exported = desk.write("exported.toml", desk.run("fund", "export", fund_id).stdout)
    new_book = {"SETTLEMENT_NODE__DATABASE__URL": f"sqlite:///{desk.folder}/new.sqlite"}
    assert 0 == desk.run("db", "upgrade", **new_book).exit_code
    desk.json("fund", "add", exported, **LANE, **new_book)
    assert exported.read_text() == desk.run("fund", "export", fund_id, **new_book).stdout
    assert "HolderLocked()" in exported.read_text()


def test_own_errors__a_bad_entry__said_with_both_files_and_the_entry(desk: Desk) -> None:
    fund = (ROOT / "examples" / "fund.toml").read_text()
    desk.write("own.abi.json", '[{"type": "error", "name": "E", "inputs": [{"type": "Lock"}]}]')
    file = desk.write("fund.toml", f'errors_abi = "own.abi.json"\n{fund}')
    for command in ("add", "checks"):
        refused = desk.run("fund", command, file)
        assert refused.exit_code == 2
        for words in (f"{file} cannot be used", "own.abi.json: entry 0: 'E(Lock)'", "under errors"):
            assert words in " ".join(refused.stderr.split())


def test_change_of_settler__the_guides_commands__switched_listed_and_exported(
    chain_desk: Desk, anvil: AnvilProcess
) -> None:
    desk, file = chain_desk, chain_desk.folder / "fund.toml"
    old = desk.json("deploy", "--out", file, **LANE)
    desk.json("fund", "add", file, **LANE)
    new = desk.json(
        "deploy", "--out", desk.folder / "new.toml", "--predecessor", old["settler_address"],
        "--share-token", old["share_token_address"],
        "--payout-token", old["payout_token_address"],
        "--treasury", old["treasury_address"], "--floor-price", "90", **LANE,
    )  # fmt: skip
    fund, settler = old["fund_id"], new["settler_address"]

    refused = desk.run("fund", "settler", "switch", fund, settler, "--reason", "moving", **LANE)
    assert (refused.exit_code, "can still pay" in refused.stderr) == (2, True)
    assert desk.json("fund", "settler", "add", fund, settler, **LANE)["added"] == [settler]
    twice = desk.run("fund", "settler", "add", fund, settler, **LANE)
    assert (twice.exit_code, "already" in twice.stderr) == (2, True)
    none = desk.run("fund", "settler", "add", fund, address("nobody"), **LANE)
    assert (none.exit_code, "is not a settler" in none.stderr) == (2, True)

    anvil.rpc("anvil_impersonateAccount", old["treasury_address"])
    approve_nothing = "0x095ea7b3" + old["settler_address"][2:].rjust(64, "0") + "0" * 64
    anvil.rpc(
        "eth_sendTransaction",
        {
            "from": old["treasury_address"],
            "to": old["payout_token_address"],
            "data": approve_nothing,
        },
    )
    done = desk.json("fund", "settler", "switch", fund, settler, "--reason", "moving", **LANE)
    assert (done["settler_address"], done["former_settler_address"]) == (
        settler,
        old["settler_address"],
    )
    listed = desk.json("fund", "settler", "list", fund)["settlers"]
    assert {one["settler_address"]: one["is_present"] for one in listed} == {
        settler: True,
        old["settler_address"]: False,
    }
    assert "settles" in desk.run("fund", "settler", "list", fund).stdout

    exported = desk.run("fund", "export", fund)
    assert "[[former_settlers]]" in exported.stdout
    assert old["settler_address"] in exported.stdout
    named_twice = desk.write("twice.toml", exported.stdout.replace(old["settler_address"], settler))
    result = desk.run("fund", "add", named_twice, **LANE)
    assert (result.exit_code, "is named twice" in result.stderr) == (2, True)
    again = desk.write("again.toml", exported.stdout)
    assert write_fund_file(read_fund_file(again)) == exported.stdout
