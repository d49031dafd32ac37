"""Deploy, fund add, import, config check and reconcile against a real anvil."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from settlement_node.chain.anvil import AnvilProcess
from settlement_node.chain.artifacts import load_artifact
from settlement_node.chain.development_keys import development_keys
from settlement_node.chain.pool import ChainClient
from settlement_node.chain.signers import KeySigner
from settlement_node.chain.words import read_bool
from tests.cli.conftest import SETTINGS, Desk
from tests.cli.test_commands import findings, said
from tests_support.book import add_fund, address

pytestmark = [pytest.mark.anvil, pytest.mark.allow_hosts(["127.0.0.1"])]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
KEYS = development_keys()
LANE = {"LANE_KEY": "0x" + KEYS[1].hex()}
LANE_ADDRESS = KeySigner(KEYS[1]).address


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


def answer(anvil: AnvilProcess, fund: dict[str, Any], function: str, *arguments: Any) -> bool:
    """What a yes-or-no question to a fund's settler is answered."""
    client = ChainClient(31_337, [anvil.transport()], now=time.monotonic)
    client.refresh()
    data = load_artifact("RedemptionSettler").encode_call(function, arguments)
    return read_bool(client.call(fund["settler_address"], data), 0)


def test_whole_way__from_nothing_to_approved_orders(chain_desk: Desk, anvil: AnvilProcess) -> None:
    desk, file = chain_desk, chain_desk.folder / "fund.toml"
    orders = EXAMPLES / "redemptions.csv"
    made = desk.json("deploy", "--out", file, "--shares-for", orders, **LANE)
    assert made["lane_address"] == LANE_ADDRESS
    assert answer(anvil, made, "restrictPayees")
    with orders.open(encoding="utf-8", newline="") as lines:
        pairs = {(row["investor_address"], row["payee_address"]) for row in csv.DictReader(lines)}
    assert any(investor != payee for investor, payee in pairs)
    assert all(answer(anvil, made, "isPayeePermitted", *pair) for pair in pairs)
    assert not answer(anvil, made, "isPayeePermitted", min(pairs)[0], LANE_ADDRESS)
    again = desk.run("deploy", "--out", file, **LANE)
    assert (again.exit_code, "there already" in again.stderr) == (2, True)

    for key, other in (
        ("treasury_address", address("somebody")),
        ("lane_address", address("somebody")),
        ("payout_token_address", address("somebody")),
    ):
        wrong = desk.write("wrong.toml", file.read_text().replace(made[key], other))
        result = desk.run("fund", "add", wrong, **LANE)
        assert (result.exit_code, f"{key} is {other} in the file" in result.stderr) == (2, True)
    for old, new, words in (
        (made["settler_address"], address("nobody"), "there is no settler"),
        ('nav = "104.25"', 'nav = "10000"', "above the settler's ceiling price 200"),
        ('nav = "104.25"', 'nav = "0"', "nav must be greater than zero"),
        ('nav = "104.25"', 'nav = "0.0000001"', "more than 6 decimals"),
        ("settler_from_block = ", "settler_from_block = 9", "settler_from_block is 9"),
    ):
        wrong = desk.write("wrong.toml", file.read_text().replace(old, new))
        result = desk.run("fund", "add", wrong, **LANE)
        assert result.exit_code in (1, 2)
        assert words in result.stderr
    assert desk.json("fund", "list") == {"funds": []}

    added = desk.json("fund", "add", file, **LANE)
    assert (added["share_decimals"], added["payout_decimals"]) == (18, 6)
    assert desk.run("fund", "add", file, **LANE).exit_code == 2
    assert desk.json("import", orders)["imported_count"] == 12
    found = findings(desk, 0, **LANE)
    assert said(found, "right", "fits the book")
    assert said(found, "right", "can pay 10000000 from the treasury")
    assert said(found, "right", "coins for gas")
    reconciled = desk.json("reconcile")
    assert (reconciled["agrees"], reconciled["runs"][0]["settled_count"]) == (True, 0)
    assert "book and chain agree" in desk.run("reconcile").stdout


def test_deploy__with_tokens_of_ones_own__leaves_the_rest_to_their_owners(
    chain_desk: Desk, anvil: AnvilProcess
) -> None:
    desk = chain_desk
    first = desk.json("deploy", "--any-payee", "--out", desk.folder / "a.toml", **LANE)
    assert not answer(anvil, first, "restrictPayees")
    given = (
        "--share-token", first["share_token_address"],
        "--payout-token", first["payout_token_address"],
        "--treasury", first["treasury_address"],
        "--fund-id", "second", "--guardian", address("guardian"),
    )  # fmt: skip
    result = desk.run("deploy", "--out", desk.folder / "b.toml", *given, **LANE)
    assert result.exit_code == 0, result.output
    assert "Still to be done by others" in result.stdout
    assert "permitPayee" in result.stdout
    assert 'fund_id = "second"' in (desk.folder / "b.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--share-token", address("x")), "give --share-token"),
        (("--test-tokens", "--treasury", address("x")), "leave the others out"),
        (("--lane", address("x").lower()), "checksum"),
        (("--chain-id", "5"), "chain 5 is not in the configuration"),
        (("--burn-style", "melt"), "burn_style must be one of burn"),
        (("--daily-limit", "much"), "daily_limit"),
    ],
)
def test_deploy__wrong_options__are_named(
    chain_desk: Desk, arguments: tuple[str, ...], words: str
) -> None:
    result = chain_desk.run("deploy", "--out", chain_desk.folder / "f.toml", *arguments, **LANE)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (chain_desk.folder / "f.toml").exists()


def test_config__a_chain_id_the_endpoint_does_not_have__is_wrong_everywhere(
    chain_desk: Desk,
) -> None:
    file = chain_desk.folder / "settlement-node.toml"
    file.write_text(file.read_text().replace("31337", "1337"))
    found = findings(chain_desk, 1, **LANE)
    assert said(found, "wrong", "is on chain 31337, and chains[0].chain_id is 1337")
    for command in (("run",), ("deploy", "--out", str(chain_desk.folder / "f.toml"))):
        result = chain_desk.run(*command, **LANE)
        assert result.exit_code == 2
        assert "31337" in result.stderr
        assert "1337" in result.stderr


def test_config_check__an_unfit_fund__says_each_difference(
    chain_desk: Desk, anvil: AnvilProcess
) -> None:
    made = chain_desk.json("deploy", "--out", chain_desk.folder / "c.toml", **LANE)
    add_fund(chain_desk.store, fund_id="nothing")
    add_fund(
        chain_desk.store,
        fund_id="other",
        share_token_address=address("other shares"),
        settler_address=made["settler_address"],
        payout_token_address=made["payout_token_address"],
        nav_per_share=None,
    )
    found = findings(chain_desk, 1, **LANE)
    assert said(found, "wrong", "fund nothing: there is no contract at its settler")
    assert said(found, "wrong", f"fund other: the settler's operator is {LANE_ADDRESS}")
    assert said(found, "wrong", "fund other: the settler can pay nothing")
    assert said(found, "wrong", "has no coins for gas")
    assert said(found, "note", "fund other: has no NAV")
