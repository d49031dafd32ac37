"""The settings: what is read, what overrides it, and every fault in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from settlement_node.config.faults import ConfigurationInvalid
from settlement_node.config.loading import find_file, load_settings
from settlement_node.config.sections import EngineSettings, FeeSettings, Settings
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.errors import InvalidInput
from tests_support.book import address

ROOT = Path(__file__).parent.parent.parent
GOOD = """
[database]
url = "sqlite:///book.sqlite"

[[api.api_keys]]
name = "treasury"
key_env = "TREASURY_KEY"

[[chains]]
chain_id = 31337
name = "local"

[[chains.endpoints]]
name = "a"
url = "http://user:secret@127.0.0.1:8545/key"

[chains.finality]
mode = "confirmations"
confirmations_blocks = 3

[[signers]]
chain_id = 31337
kind = "keystore"
keystore_file = "keys/lane.json"
password_file = "/run/secrets/lane"
"""


def written(folder: Path, text: str = GOOD) -> Path:
    path = folder / "settlement-node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str = GOOD, **environment: str) -> Settings:
    return load_settings(written(folder, text), environment)


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as caught:
        load(folder, text, **environment)
    shown = [str(fault) for fault in caught.value.faults]
    assert all(line in caught.value.message for line in shown)
    return shown


def test_load__a_good_file__gives_the_domain_its_values(tmp_path: Path) -> None:
    settings = load(tmp_path)
    (chain,) = settings.chains
    assert chain.finality.policy() == FinalityPolicy(FinalityMode.CONFIRMATIONS, 3)
    assert chain.fees.policy() == FeePolicy()
    assert settings.engine.policy() == EnginePolicy()
    assert (settings.api.host, settings.api.on_loopback) == ("127.0.0.1", True)


def test_load__relative_paths__are_taken_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    settings = load(tmp_path)
    assert settings.database.url.get_secret_value() == f"sqlite:///{tmp_path}/book.sqlite"
    assert settings.signers[0].keystore_file == tmp_path / "keys/lane.json"
    assert settings.signers[0].password_file == Path("/run/secrets/lane")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:////a/b", "postgresql://u:p@h/d"]
)
def test_load__other_addresses__are_left_alone(tmp_path: Path, url: str) -> None:
    settings = load(tmp_path, GOOD.replace("sqlite:///book.sqlite", url))
    assert settings.database.url.get_secret_value() == url


def test_repr__of_the_whole_tree__shows_no_secret(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD.replace("sqlite:///book.sqlite", "postgresql://u:pw123@h/d"))
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "secret@" not in text
        assert "pw123" not in text


def test_settings__once_read__cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path)
    with pytest.raises(ValidationError):
        settings.api.port = 1


def test_environment__overrides_keys_and_entries_of_lists(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        SETTLEMENT_NODE__DATABASE__URL="postgresql://h/d",
        SETTLEMENT_NODE__API__PORT="9000",
        SETTLEMENT_NODE__API__READS_NEED_KEY="true",
        SETTLEMENT_NODE__CHAINS__0__ENDPOINTS__0__URL="https://other",
        SETTLEMENT_NODE__CHAINS__0__ENDPOINTS__1__NAME="b",
        SETTLEMENT_NODE__CHAINS__0__ENDPOINTS__1__URL="https://second",
        SETTLEMENT_NODE__LOGGING__LEVEL="debug",
        SETTLEMENT_NODE_CONFIG="/not/this",
        OTHER="x",
    )
    assert settings.database.url.get_secret_value() == "postgresql://h/d"
    assert (settings.api.port, settings.api.reads_need_key) == (9000, True)
    endpoints = settings.chains[0].endpoints
    assert [e.url.get_secret_value() for e in endpoints] == ["https://other", "https://second"]
    assert settings.logging.level == "debug"


def test_environment__with_json__replaces_a_whole_list(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        SETTLEMENT_NODE__API__API_KEYS='[{"name": "ops", "key_env": "OPS_KEY"}]',
        SETTLEMENT_NODE__SIGNERS="[]",
    )
    assert [key.name for key in settings.api.api_keys] == ["ops"]
    assert settings.signers == ()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SETTLEMENT_NODE__", "x"),
        ("SETTLEMENT_NODE__DATABASE____URL", "x"),
        ("SETTLEMENT_NODE__CHAINS__7__NAME", "x"),
        ("SETTLEMENT_NODE__CHAINS__FIRST__NAME", "x"),
        ("SETTLEMENT_NODE__DATABASE__URL__X", "x"),
        ("SETTLEMENT_NODE__CHAINS", "[{"),
        ("SETTLEMENT_NODE__A__B__C__D__E__F__G__H__I", "x"),
    ],
)
def test_environment__a_variable_that_fits_nothing__is_named(
    tmp_path: Path, variable: str, value: str
) -> None:
    (fault,) = faults(tmp_path, GOOD, **{variable: value})
    assert fault.startswith(variable)


def test_environment__a_bad_value__is_laid_to_its_variable(tmp_path: Path) -> None:
    variable = "SETTLEMENT_NODE__CHAINS__0__FINALITY__MODE"
    (fault,) = faults(tmp_path, GOOD, **{variable: "sometimes"})
    assert fault.startswith(f"chains[0].finality.mode (set by {variable}) is wrong")


def test_environment__a_misspelt_key__is_a_fault_and_not_ignored(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, GOOD, SETTLEMENT_NODE__DATABASE__POOLSIZE="4")
    assert "did you mean pool_size?" in fault


CASES: list[tuple[str, str, str, str]] = [
    ("misspelt key", "url = \"sqlite", "urll = \"sqlite", "database.urll is not a known key"),
    ("strange key", "[database]", "[database]\nzzz = 1", "known here: url, pool_size"),
    ("missing key", "name = \"local\"", "", "chains[0].name is missing"),
    ("no database", "[database]\nurl = \"sqlite:///book.sqlite\"", "", "database is missing"),
    ("wrong type", "chain_id = 31337\nname", "chain_id = \"x\"\nname", "chains[0].chain_id"),
    ("bad mode", "\"confirmations\"", "\"often\"", "'confirmations', 'safe' or 'finalized'"),
    ("out of bounds", "confirmations_blocks = 3", "confirmations_blocks = -1",
     "chains[0].finality.confirmations_blocks"),
    ("two sources of a key", "key_env = \"TREASURY_KEY\"",
     f"key_env = \"X\"\nkey_sha256 = \"{'0' * 64}\"", "give either key_env or key_sha256"),
    ("the key itself", "\"TREASURY_KEY\"", "\"a secret!\"", "never the secret itself"),
    ("no password", "password_file = \"/run/secrets/lane\"", "", "password_env or password_file"),
    ("a key in a keystore entry", "kind = \"keystore\"", "kind = \"keystore\"\nkey_env = \"X\"",
     "no key_env"),
    ("env without a variable", "kind = \"keystore\"", "kind = \"env\"", "kind env takes key_env"),
    ("a lane's chain", "[[signers]]\nchain_id = 31337", "[[signers]]\nchain_id = 5",
     "signers[0].chain_id is 5"),
    ("bad checksum", "[[signers]]", f"[[signers]]\naddress = \"{address('x').lower()}\"",
     "checksum"),
    ("no endpoint", "[[chains.endpoints]]\nname = \"a\"\n"
     "url = \"http://user:secret@127.0.0.1:8545/key\"", "", "[[chains.endpoints]]"),
    ("policy", "[database]", "[engine]\nbatch_items_max = 0\n[database]",
     "engine.batch_items_max must be between 1 and 500"),
    ("fees", "[chains.finality]", "[chains.fees]\ntip_floor_wei = 0\n[chains.finality]",
     "tip_floor_wei"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_load__a_fault__names_the_key_and_how_to_mend_it(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert GOOD.count(old) == 1
    shown = faults(tmp_path, GOOD.replace(old, new))
    assert any(words in fault for fault in shown), shown
    assert not any("secret@" in fault for fault in shown)


def test_load__several_faults__are_all_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("31337\nname", '"x"\nname').replace("mode =", "modus =")
    assert len(faults(tmp_path, text)) >= 2


PLAIN = 'url = "http://user:secret@127.0.0.1:8545/key"'


@pytest.mark.parametrize("host", ["10.0.0.5:8545", "node.example", "localhost.example"])
def test_load__plain_http_to_another_machine__refused_unless_it_is_allowed(
    tmp_path: Path, host: str
) -> None:
    other = f'url = "http://user:secret@{host}/key"'

    (fault,) = faults(tmp_path, GOOD.replace(PLAIN, other))

    assert "chains[0].endpoints[0] is wrong: url is plain http:// to" in fault
    assert "allow_plain_http = true" in fault
    assert "add at least one" not in fault
    assert "secret" not in fault
    allowed = tmp_path / "allowed.toml"
    allowed.write_text(GOOD.replace(PLAIN, f"{other}\nallow_plain_http = true"))
    assert load_settings(allowed, {}).chains[0].endpoints[0].allow_plain_http


@pytest.mark.parametrize("url", ["https://node.example", "http://[::1]:8545", "http://localhost"])
def test_load__https_or_this_machine__taken(tmp_path: Path, url: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(GOOD.replace(PLAIN, f'url = "{url}"'))

    assert load_settings(path, {}).chains[0].endpoints[0].url.get_secret_value() == url


def test_load__names_twice__are_refused(tmp_path: Path) -> None:
    twice = '\n[[chains.endpoints]]\nname = "a"\nurl = "https://x"\n[chains.finality]'
    (fault,) = faults(tmp_path, GOOD.replace("\n[chains.finality]", twice))
    assert "endpoints: the name a appears twice" in fault


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[database", "is not TOML"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"a = 1\na = 2", "is not TOML"),
    ],
)
def test_load__a_file_that_is_no_toml__says_so(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationInvalid, match=words):
        load_settings(path, {})


def test_load__no_file__says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"copy examples/settlement-node\.toml"):
        load_settings(tmp_path / "none.toml", {})


def test_load__a_folder__is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        load_settings(tmp_path, {})


def test_find_file__option_then_variable_then_default() -> None:
    variable = {"SETTLEMENT_NODE_CONFIG": "/etc/node.toml"}
    assert find_file(Path("given.toml"), variable) == Path("given.toml")
    assert find_file(None, variable) == Path("/etc/node.toml")
    assert find_file(None, {}) == Path("settlement-node.toml")


def test_sections__have_every_field_of_the_domain_with_its_default() -> None:
    """A field the domain gains must be configurable; this fails until it is."""
    pairs: list[tuple[Any, Any]] = [(EngineSettings, EnginePolicy()), (FeeSettings, FeePolicy())]
    for section, policy in pairs:
        for name in type(policy).__dataclass_fields__:
            assert section.model_fields[name].default == getattr(policy, name), name


def test_chain__that_is_not_there__says_what_to_add(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.chain(31337).name == "local"
    with pytest.raises(InvalidInput, match=r"\[\[chains\]\]"):
        settings.chain(5)


def test_example__is_valid_and_for_a_local_anvil() -> None:
    settings = load_settings(ROOT / "examples" / "settlement-node.toml", {})
    assert [chain.chain_id for chain in settings.chains] == [31337]
    assert settings.api.on_loopback


def test_load__reads_without_a_key_beyond_this_machine__is_refused(tmp_path: Path) -> None:
    open_to_all = GOOD.replace(
        "[[api.api_keys]]", '[api]\nhost = "0.0.0.0"\nreads_need_key = false\n[[api.api_keys]]'
    )
    (fault,) = faults(tmp_path, open_to_all)
    assert "reads_need_key may be false only while host is" in fault
