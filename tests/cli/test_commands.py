"""The small commands: db, fund, status, reconcile, keys, config, openapi, and how they fail."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from eth_keyfile.keyfile import create_keyfile_json

from settlement_node import __version__
from settlement_node.chain.endpoints.endpoint import Endpoint
from settlement_node.chain.signers.local import KeySigner
from settlement_node.cli import app
from settlement_node.cli.output import EXIT_CODES, LeftUndone, exit_code_of
from settlement_node.errors import (
    Conflict,
    InvalidInput,
    InvariantBroken,
    NotFound,
    OutcomeUnknown,
    Refused,
    SettlementError,
    Transient,
)
from settlement_node.store.database import open_engine
from settlement_node.store.rows import FundRow
from settlement_node.store.telling.attention import open_break
from tests.cli.conftest import SETTINGS, Desk
from tests_support.book import address, approve, booked_not_paid

KEY = "0x" + "11" * 32
PASSWORD = "correct horse battery"
REFUSED_CONNECTION = pytest.mark.enable_socket
"""The settings' endpoint is a port of this machine at which nobody listens."""


def test_version__is_said(desk: Desk) -> None:
    assert desk.run("--version").stdout.strip() == __version__


def test_help__of_every_command__has_words_and_json(desk: Desk) -> None:
    commands = [
        ("run",), ("deploy",), ("import",), ("status",), ("reconcile",), ("demo",), ("openapi",),
        ("db", "upgrade"), ("db", "status"), ("fund", "add"), ("fund", "list"),
        ("keys", "new"), ("keys", "address"), ("config", "check"),
    ]  # fmt: skip
    for command in commands:
        result = desk.run(*command, "--help", COLUMNS="200", TERM="dumb")
        assert result.exit_code == 0, command
        assert "--json" in result.stdout, command
    top = desk.run("--help", COLUMNS="400", TERM="dumb")
    assert EXIT_CODES.split(" · ")[1] in top.stdout
    assert app.info.name == "settlement-node"


def test_db__upgrade_twice__does_it_once(desk: Desk, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fresh.sqlite'}"
    env = {"SETTLEMENT_NODE__DATABASE__URL": url}
    before = desk.json("db", "status", code=1, **env)
    assert (before["revision"], len(before["pending"])) == (None, 1)
    assert "db upgrade" in desk.run("db", "status", **env).stdout
    assert len(desk.json("db", "upgrade", **env)["ran"]) == 1
    assert desk.json("db", "upgrade", **env)["ran"] == []
    assert "already at" in desk.run("db", "upgrade", **env).stdout
    assert desk.json("db", "status", **env)["pending"] == []


def test_commands__on_a_database_without_the_schema__say_what_to_run(desk: Desk) -> None:
    env = {"SETTLEMENT_NODE__DATABASE__URL": "sqlite:///fresh.sqlite"}
    for command in (("status",), ("fund", "list"), ("import", "x.csv"), ("run",)):
        result = desk.run(*command, **env)
        assert result.exit_code == 2, command
        assert "settlement-node db upgrade" in result.stderr


def test_commands__a_database_that_is_away__can_be_tried_again(desk: Desk) -> None:
    env = {"SETTLEMENT_NODE__DATABASE__URL": "sqlite:////nowhere/at/all.sqlite"}
    assert desk.run("status", **env).exit_code == 3
    assert desk.json("status", code=3, **env)["error"]["code"] == "transient"


def test_run__an_endpoint_of_another_chain__names_both_keys(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endpoint, "chain_id", lambda _self: 5)
    error = desk.json("run", "--no-api", code=2)["error"]
    assert error["message"].startswith(
        "chains[0].endpoints[0] (away) is on chain 5, and chains[0].chain_id is 31337"
    )
    assert error["details"]["field"] == "chains[0].endpoints[0]"


def test_commands__a_configuration_that_is_wrong__say_where(desk: Desk) -> None:
    desk.write("settlement-node.toml", SETTINGS.replace("timeout_seconds", "timeout"))
    result = desk.run("status")
    assert result.exit_code == 2
    assert "chains[0].endpoints[0].timeout is not a known key" in result.stderr
    assert "did you mean timeout_seconds?" in result.stderr


def test_status__of_a_book__is_shown_and_given(desk: Desk, fund: FundRow) -> None:
    approve(desk.store, fund, ["a", "b"])
    assert desk.json("status")["redemptions_by_status"]["approved"] == 2
    shown = desk.run("status").stdout
    assert "approved 2" in shown
    assert fund.lane_address in shown
    assert "1.05" in shown


def test_fund_list__with_and_without__says_so(desk: Desk) -> None:
    assert "fund add FILE" in desk.run("fund", "list").stdout
    assert desk.json("fund", "list") == {"funds": []}


def test_fund_list__a_fund__is_shown(desk: Desk, fund: FundRow) -> None:
    (shown,) = desk.json("fund", "list")["funds"]
    assert (shown["fund_id"], shown["nav"], shown["redemptions_recorded"]) == ("alpha", "1.05", 0)
    assert "alpha" in desk.run("fund", "list").stdout


def test_fund_add__a_bad_file__names_every_key(desk: Desk) -> None:
    file = desk.write("fund.toml", 'fund_id = "a b"\nfee_bps = 10000\nburn_style = "melt"\n')
    result = desk.run("fund", "add", file)
    assert result.exit_code == 2
    for words in ("fund_id is wrong", "fee_bps is wrong", "burn_style", "name is missing"):
        assert words in result.stderr
    assert desk.run("fund", "add", desk.folder / "none.toml").exit_code == 2
    assert desk.run("fund", "add", desk.write("x.toml", "a = ")).exit_code == 2


@REFUSED_CONNECTION
def test_fund_add__a_chain_that_is_away__can_be_tried_again(desk: Desk) -> None:
    example = Path(__file__).parent.parent.parent / "examples" / "fund.toml"
    assert desk.json("fund", "add", example, code=3)["error"]["code"].startswith("trans")
    assert desk.json("fund", "list") == {"funds": []}


def test_fund_add__a_chain_that_is_not_configured__says_so(desk: Desk) -> None:
    example = Path(__file__).parent.parent.parent / "examples" / "fund.toml"
    other = desk.write("f.toml", example.read_text().replace("31337", "5"))
    result = desk.run("fund", "add", other)
    assert (result.exit_code, "[[chains]]" in result.stderr) == (2, True)


@REFUSED_CONNECTION
def test_reconcile__an_open_break__is_exit_status_1(desk: Desk, fund: FundRow) -> None:
    with desk.store.transaction(actor="node") as tx:
        open_break(tx, fund, booked_not_paid("x"))
    result = desk.run("reconcile")
    assert result.exit_code in (1, 3)
    if result.exit_code == 1:
        assert "booked_not_paid" in result.stdout


def test_reconcile__an_unknown_fund__is_refused(desk: Desk) -> None:
    assert desk.run("reconcile", "--fund", "nobody").exit_code == 2


def test_keys__new_and_address__agree(desk: Desk) -> None:
    file = desk.folder / "lane.json"
    made = desk.json("keys", "new", file, "--password-env", "PW", PW=PASSWORD)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made["address"][2:].lower() in file.read_text().lower()
    password = desk.write("lane.password", PASSWORD + "\n")
    told = desk.json("keys", "address", file, "--password-file", password)
    assert told["address"] == made["address"]
    again = desk.run("keys", "new", file, "--password-env", "PW", PW=PASSWORD)
    assert (again.exit_code, "there already" in again.stderr) == (2, True)


def test_keys__wrong_or_short_passwords__are_refused(desk: Desk) -> None:
    file = desk.folder / "lane.json"
    short = desk.run("keys", "new", file, "--password-env", "PW", PW="short")
    assert (short.exit_code, file.exists()) == (2, False)
    keystore = create_keyfile_json(bytes.fromhex(KEY[2:]), PASSWORD.encode(), iterations=2)
    file.write_text(json.dumps(keystore))
    wrong = desk.run("keys", "address", file, "--password-env", "PW", PW="another password")
    assert (wrong.exit_code, "does not open" in wrong.stderr) == (2, True)
    assert "another password" not in wrong.output


def test_keys__address_of_a_variable__is_told_without_the_key(desk: Desk) -> None:
    result = desk.run("keys", "address", "--key-env", "LANE", LANE=KEY)
    assert result.stdout.strip() == KeySigner.from_hex(KEY).address
    assert desk.run("keys", "address").exit_code == 2
    assert desk.run("keys", "address", "--key-env", "UNSET").exit_code == 2


def test_openapi__is_written_whole(desk: Desk) -> None:
    file = desk.folder / "openapi.json"
    assert desk.json("openapi", file)["paths"] >= 13
    assert json.loads(file.read_text())["info"]["title"] == "Settlement Node"
    assert "/v1/redemptions" in json.loads(desk.run("openapi").stdout)["paths"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 2),
        (NotFound("x"), 2),
        (Conflict("x"), 2),
        (Refused("x"), 2),
        (LeftUndone("x"), 1),
        (Transient("x"), 3),
        (OutcomeUnknown("x"), 3),
        (InvariantBroken("x"), 4),
    ],
)
def test_exit_code__of_every_family__is_as_documented(error: SettlementError, code: int) -> None:
    assert exit_code_of(error) == code


def findings(desk: Desk, code: int, **environment: str) -> list[tuple[str, str]]:
    told = desk.json("config", "check", code=code, **environment)
    return [(f["verdict"], f"{f['about']}: {f['words']}") for f in told["findings"]]


def said(found: list[tuple[str, str]], verdict: str, words: str) -> bool:
    return any(v == verdict and words in text for v, text in found)


@REFUSED_CONNECTION
def test_config_check__endpoint_away_and_lane_without_signer__are_wrong(
    desk: Desk, fund: FundRow
) -> None:
    found = findings(desk, 1)
    assert said(found, "right", "every key in it is known")
    assert said(found, "wrong", "chains[0].endpoints[0] (away): endpoint away gave no answer")
    assert said(found, "right", "sqlite answers and has this version's schema")
    assert said(found, "wrong", f"no signer is configured for its lane {fund.lane_address}")
    assert said(found, "note", "no API key is configured")
    shown = desk.run("config", "check")
    assert "things looked at are wrong" in shown.stdout


@REFUSED_CONNECTION
@pytest.mark.parametrize(
    ("endpoints", "agreement", "words"),
    [
        (1, 2, "has one endpoint, which is believed"),
        (2, 1, "so any single endpoint is believed"),
        (2, 2, "it stands still when one is away"),
        (3, 2, None),
    ],
)
def test_config_check__how_many_must_agree__said_what_that_means(
    desk: Desk, endpoints: int, agreement: int, words: str | None
) -> None:
    chain = f'[[chains]]\nchain_id = 31337\nname = "local"\nagreement_endpoints = {agreement}\n'
    for number in range(endpoints):
        chain += f'[[chains.endpoints]]\nname = "{number}"\nurl = "http://127.0.0.1:9"\n'
    desk.write("settlement-node.toml", f'[database]\nurl = "sqlite:///node.sqlite"\n{chain}')

    notes = [text for _, text in findings(desk, 1) if text.startswith("chains[0]: ")]

    assert len(notes) == (words is not None)
    assert words is None or words in notes[0]


def test_config_check__a_bad_file__lists_its_faults(desk: Desk) -> None:
    desk.write("settlement-node.toml", "[databse]\n")
    found = findings(desk, 1)
    assert said(found, "wrong", "database is missing")
    assert said(found, "wrong", "did you mean database?")


@REFUSED_CONNECTION
def test_config_check__keys_and_signers__are_opened(desk: Desk) -> None:
    more = """
[api]
host = "0.0.0.0"
[[api.api_keys]]
name = "treasury"
key_env = "API_KEY"
[[signers]]
chain_id = 31337
kind = "env"
key_env = "LANE"
[[signers]]
chain_id = 31337
kind = "env"
key_env = "LANE"
[[signers]]
chain_id = 31337
kind = "env"
key_env = "UNSET"
[[signers]]
chain_id = 31337
kind = "env"
key_env = "LANE"
address = "SOMEBODY"
[[signers]]
chain_id = 31337
kind = "keystore"
keystore_file = "none.json"
password_env = "API_KEY"
""".replace("SOMEBODY", address("somebody else"))
    desk.write("settlement-node.toml", SETTINGS + more)
    found = findings(desk, 1, LANE=KEY, API_KEY="x" * 32)
    lane = KeySigner.from_hex(KEY).address
    assert said(found, "right", "these keys may write: treasury")
    assert said(found, "note", "put TLS in front of it")
    assert said(found, "right", f"signers[0]: opens as {lane}")
    assert said(found, "wrong", "signers[1]")
    assert said(found, "wrong", "signers[2]: environment variable UNSET is not set")
    assert said(found, "wrong", f"signers[3]: the key of this signer has the address {lane}")
    assert said(found, "wrong", "signers[4]: keystore")
    assert not any(KEY in text for _, text in found)
    missing = findings(desk, 1, LANE=KEY, API_KEY="short")
    assert said(missing, "wrong", "environment variable API_KEY must hold")


@REFUSED_CONNECTION
def test_config_check__a_database_that_is_away_or_old__is_wrong(desk: Desk) -> None:
    away = findings(desk, 1, SETTLEMENT_NODE__DATABASE__URL="sqlite:////nowhere/x.sqlite")
    assert said(away, "wrong", "database:")
    old = findings(desk, 1, SETTLEMENT_NODE__DATABASE__URL="sqlite:///old.sqlite")
    assert said(old, "wrong", "needs: settlement-node db upgrade")
    other = findings(desk, 1, SETTLEMENT_NODE__DATABASE__URL="mysql://h/d")
    assert said(other, "wrong", "knows sqlite and postgresql")


@REFUSED_CONNECTION
def test_config_check__a_newer_database__is_wrong(desk: Desk) -> None:
    engine = open_engine(f"sqlite:///{desk.folder / 'node.sqlite'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    assert said(findings(desk, 1), "wrong", "9999")
