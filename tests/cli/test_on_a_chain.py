"""Deploy, fund add, import, config check and reconcile against a real anvil."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from settlement_node.chain.client import ChainClient
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.words import read_bool
from settlement_node.devchain.development_keys import development_keys
from settlement_node.domain.observations import Receipt
from settlement_node.errors import Transient
from settlement_node.methods.deploy import Deployer, Wanted
from settlement_node.store.book.funds import get_fund
from tests.cli.conftest import SETTINGS, Desk
from tests.cli.test_commands import findings, said
from tests_support.abi import ask
from tests_support.anvil import AnvilProcess
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
    return read_bool(ask(client, fund["settler_address"], function, arguments), 0)


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
        (
            "nav_decimals = ",
            'errors_abi = "none.json"\nnav_decimals = ',
            "none.json: it cannot be read: No such file",
        ),
    ):
        wrong = desk.write("wrong.toml", file.read_text().replace(old, new))
        result = desk.run("fund", "add", wrong, **LANE)
        assert result.exit_code in (1, 2)
        assert words in result.stderr
    assert desk.json("fund", "list") == {"funds": []}

    desk.write("own.abi.json", '[{"type": "error", "name": "HolderLocked", "inputs": []}]')
    file.write_text(f'errors_abi = "own.abi.json"\n{file.read_text()}')
    added = desk.json("fund", "add", file, **LANE)
    with desk.store.read() as tx:
        assert get_fund(tx, added["fund_id"]).error_signatures == ("HolderLocked()",)
    assert (added["share_decimals"], added["payout_decimals"]) == (18, 6)
    assert desk.run("fund", "add", file, **LANE).exit_code == 2
    assert desk.json("import", orders)["imported_count"] == 12
    lines = orders.read_text().splitlines()
    names = lines[0].split(",")
    too_many = dict(zip(names, lines[1].split(","), strict=True))
    too_many |= {"external_id": "too many", "shares": "1000000000000"}
    more = desk.write("more.csv", "\n".join([lines[0], ",".join(too_many[n] for n in names)]))
    refused = desk.run("import", more)
    assert (refused.exit_code, "whole supply" in refused.stdout) == (1, True)
    assert "line 2" in refused.stdout
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
    added = desk.run("fund", "add", desk.folder / "b.toml", **LANE)
    assert added.exit_code == 0, added.output
    assert "wrong: its settler may not burn" in added.stderr
    assert "wrong: the settler can pay nothing" in added.stderr


def nonce(anvil: AnvilProcess) -> int:
    """How many transactions the deployer has sent."""
    return int(anvil.rpc("eth_getTransactionCount", KeySigner(KEYS[0]).address, "pending"), 16)


def assert_refused(desk: Desk, anvil: AnvilProcess, words: str, *arguments: str | Path) -> None:
    """Wrong input: said in words, and neither a transaction nor a file."""
    before, file = nonce(anvil), desk.folder / "f.toml"
    result = desk.run("deploy", "--out", file, *arguments, **LANE)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert nonce(anvil) == before
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--share-token", address("x")), "give --share-token"),
        (("--test-tokens", "--treasury", address("x")), "leave the others out"),
        (("--lane", address("x").lower()), "checksum"),
        (("--chain-id", "5"), "chain 5 is not in the configuration"),
        (("--burn-style", "melt"), "burn_style must be one of burn"),
        (("--daily-limit", "much"), "daily_limit"),
        (("--daily-limit", "-5"), "daily_limit"),
        (("--daily-limit", "0"), "daily_limit must be above zero"),
        (("--ceiling-price", "9" * 40), "ceiling_price must be above zero and at most"),
        (("--nav", "abc"), "nav must be a plain decimal number"),
        (("--nav", "0.0000001"), "nav has more than 6 decimals"),
        (("--nav", "300"), "nav 300 after the fee of 25/100 % is 299.25, above the settler's"),
        (("--floor-price", "104"), "is 103.989375, below the settler's floor price 104"),
        (("--floor-price", "201"), "floor_price must not be above ceiling_price"),
        (("--floor-price", "-1"), "floor_price"),
        (("--predecessor", "0x12"), "predecessor must be 0x"),
        (("--predecessor", address("x")), "predecessor: there is no settler at"),
        (("--fee-bps", "99999"), "fee_bps is wrong"),
        (("--fund-id", "bad id!"), "fund_id is wrong"),
        (("--name", ""), "name is wrong"),
        (("--owner", "0x12"), "owner must be 0x"),
        (("--guardian", "0x12"), "guardian must be 0x"),
        (("--shares-for", "nofile.csv"), "nofile.csv cannot be read"),
        (("--out", "/nonexistent/y.toml"), "/nonexistent is no folder"),
    ],
)
def test_deploy__wrong_options__are_named_before_anything_is_sent(
    chain_desk: Desk, anvil: AnvilProcess, arguments: tuple[str, ...], words: str
) -> None:
    assert_refused(chain_desk, anvil, words, *arguments)


def test_deploy__a_bad_line_or_a_last_line_of_no_text__sends_nothing(
    chain_desk: Desk, anvil: AnvilProcess
) -> None:
    good = (EXAMPLES / "redemptions.csv").read_bytes()
    file = chain_desk.folder / "orders.csv"
    file.write_bytes(good + b"only,two\n")
    assert_refused(chain_desk, anvil, "line 14: has 2 cells", "--shares-for", file)
    file.write_bytes(good + b"\xff\n")
    assert_refused(chain_desk, anvil, "not UTF-8", "--shares-for", file)


def test_deploy__wrong_options_with_tokens_of_ones_own__send_nothing(
    chain_desk: Desk, anvil: AnvilProcess
) -> None:
    desk = chain_desk
    made = desk.json("deploy", "--out", desk.folder / "own.toml", **LANE)
    share, payout = made["share_token_address"], made["payout_token_address"]
    treasury = ("--treasury", made["treasury_address"])
    given = ("--share-token", share, "--payout-token", payout, *treasury)
    assert_refused(desk, anvil, "fund_id is wrong", *given, "--fund-id", "bad!id")
    assert_refused(desk, anvil, "fee_bps is wrong", *given, "--fee-bps", "99999")
    assert_refused(desk, anvil, "needs test tokens", *given, "--shares-for", "orders.csv")
    same = ("--share-token", share, "--payout-token", share, *treasury)
    assert_refused(desk, anvil, "must not be the same token", *same)
    none = ("--share-token", share, "--payout-token", address("nobody"), *treasury)
    assert_refused(desk, anvil, "payout_token: ", *none)


def test_deploy__a_failure_behind_the_settler__names_it_and_what_is_left(
    chain_desk: Desk, anvil: AnvilProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all = Deployer.send_all

    def away(deployer: Deployer, wanted: Sequence[Wanted], **words: Any) -> list[Receipt]:
        if "nonce" in words:  # the contracts themselves
            return send_all(deployer, wanted, **words)
        raise Transient("the endpoints are away")

    monkeypatch.setattr("settlement_node.cli.deployment.Deployer.send_all", away)
    file = chain_desk.folder / "f.toml"
    told = chain_desk.json("deploy", "--out", file, code=1, **LANE)["error"]
    settler = told["details"]["settler_address"]
    assert f"the settler is on the chain at {settler}" in told["message"]
    assert answer(anvil, told["details"], "restrictPayees")
    assert told["details"]["left_to_do"][0] == "giving the settler the right to burn"
    assert settler in file.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("settlement_node.cli.deployment._write", full)
    result = chain_desk.run("deploy", "--out", chain_desk.folder / "g.toml", **LANE)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert 'settler_address = "0x' in result.stderr
    assert "- writing" in result.stderr


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


def test_checks__of_a_fund__refused_unanswered_taken_over_and_shown(chain_desk: Desk) -> None:
    desk, file = chain_desk, chain_desk.folder / "d.toml"
    made = desk.json("deploy", "--fund-id", "asked", "--out", file, **LANE)
    plain = file.read_text()
    wrong = desk.write("wrong.toml", f'{plain}\n[checks]\npayout_token = "usdc"\n')
    for command in ("add", "checks"):
        result = desk.run("fund", command, wrong, **LANE)
        assert result.exit_code in (1, 2)
        if command == "add":
            assert (
                f"the payout token {made['payout_token_address']} cannot be asked" in result.stderr
            )
            assert "isBlacklisted(address)" in result.stderr
    assert desk.json("fund", "list") == {"funds": []}
    unknown = desk.write("wrong.toml", f'{plain}\n[checks]\npayout_token = "usdk"\n')
    assert "must be one of usdc, usdt" in desk.run("fund", "add", unknown, **LANE).stderr

    added = desk.json("fund", "add", file, **LANE)
    assert added["checks"] == {"share_token": None, "payout_token": None, "more": []}
    own = {
        "token": "payout_token",
        "about": "payee",
        "function": "isBlocked(address)",
        "good": False,
    }
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in own.items())
    asked = desk.write("asked.toml", f"{plain}\n[[checks.more]]\n{lines}\n")
    assert desk.json("fund", "checks", asked, **LANE)["checks"]["more"] == [own]
    (shown,) = desk.json("fund", "list")["funds"]
    assert shown["checks"]["more"] == [own]
    assert "1 of its own" in desk.run("fund", "list").stdout
    found = findings(desk, 0, **LANE)
    assert said(found, "right", "the settler may burn by burn(address,uint256)")
    assert said(found, "right", "its tokens answer its checks (1 of its own)")


def test_deploy__burn_style_the_token_does_not_have__refused_before_anything_is_sent(
    chain_desk: Desk, anvil: AnvilProcess
) -> None:
    made = chain_desk.json("deploy", "--out", chain_desk.folder / "e.toml", **LANE)
    given = (
        "--share-token", made["share_token_address"],
        "--payout-token", made["payout_token_address"],
        "--treasury", made["treasury_address"],
    )  # fmt: skip
    words = "a settler of burn style burn fits it"
    assert_refused(chain_desk, anvil, words, *given, "--burn-style", "admin_burn")
