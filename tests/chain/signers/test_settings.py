"""From the settings' signers section to a signer that signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from settlement_node.assembly import build_signer, build_signers
from settlement_node.chain.signers.backoff import BackoffSigner
from settlement_node.chain.signers.local import KeySigner
from settlement_node.config.faults import ConfigurationInvalid
from settlement_node.config.loading import load_settings
from settlement_node.config.sections import Settings, SignerSettings
from settlement_node.errors import InvalidInput, Refused, Transient
from tests_support import web3signer as play
from tests_support.web3signer import KEY, OTHER_KEY, Web3SignerStandIn, public_key_hex

from .fields import FIELDS, assert_signed
from .test_kms import address_in, new_key

ADDRESS = KeySigner(KEY).address
OTHER_ADDRESS = KeySigner(OTHER_KEY).address
KMS = {"kind": "kms", "key_id": "alias/lane", "address": ADDRESS}
REMOTE = {"kind": "remote", "url": "https://signer:9000", "address": ADDRESS}


def section(**keys: Any) -> SignerSettings:
    return SignerSettings.model_validate({"chain_id": 1, **keys})


def remote_at(signer: Web3SignerStandIn, **keys: Any) -> SignerSettings:
    return section(**{**REMOTE, "url": signer.url, **keys})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"kind": "kms", "key_id": "k"}, "takes address, which is missing"),
        ({"kind": "kms", "address": ADDRESS}, "takes key_id, which is missing"),
        ({"kind": "remote", "address": ADDRESS}, "takes url, which is missing"),
        ({"kind": "remote", "url": "https://s"}, "takes address, which is missing"),
        ({**KMS, "url": "https://s"}, "kind kms takes no url"),
        ({**KMS, "key_env": "K"}, "kind kms takes no key_env"),
        ({**REMOTE, "region": "eu-central-1"}, "kind remote takes no region"),
        ({"kind": "env"}, "takes key_env, which is missing"),
        ({"kind": "env", "key_env": "K", "url": "https://s"}, "kind env takes no url"),
        ({**REMOTE, "token_env": "T", "token_file": "t"}, "either token_env or token_file"),
        ({**REMOTE, "client_key_file": "k.pem"}, "go together"),
        ({**KMS, "region": "Frankfurt!"}, "region"),
        ({**REMOTE, "timeout_seconds": 31}, "timeout_seconds"),
        ({**KMS, "kind": "hsm"}, "kind"),
    ],
)
def test_settings__signer_that_does_not_fit__says_which_key(
    keys: dict[str, Any], words: str, tmp_path: Path
) -> None:
    lines = ['[database]\nurl = "sqlite:///x"\n[[signers]]\nchain_id = 1\n']
    lines += [f"{name} = {value!r}\n" for name, value in keys.items()]
    file = tmp_path / "node.toml"
    file.write_text("".join(lines), encoding="utf-8")

    with pytest.raises(ConfigurationInvalid, match=words):
        load_settings(file, {})


def test_load_settings__files_of_a_remote_signer__relative_to_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        '[database]\nurl = "sqlite:///x"\n'
        '[[chains]]\nchain_id = 1\nname = "a"\nendpoints = [{name = "a", url = "https://a"}]\n'
        f'[[signers]]\nchain_id = 1\nkind = "remote"\nurl = "https://s"\naddress = "{ADDRESS}"\n'
        'ca_file = "ca.pem"\ntoken_file = "/etc/token"\n',
        encoding="utf-8",
    )

    (signer,) = load_settings(file, {}).signers

    assert signer.ca_file == tmp_path / "ca.pem"
    assert signer.token_file == Path("/etc/token")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_build_signer__remote__signs_for_its_address(web3signer: Web3SignerStandIn) -> None:
    signer = build_signer(remote_at(web3signer, token_env="T"), {"T": "abc"}, must_answer=True)

    assert isinstance(signer, BackoffSigner)
    assert signer.sign(FIELDS) == KeySigner(KEY).sign(FIELDS)
    assert web3signer.requests[0][2]["Authorization"] == "Bearer abc"


def test_build_signer__kms__signs_for_its_address(aws: Any) -> None:
    key_id = new_key(aws)
    address = address_in(aws, key_id)

    signer = build_signer(section(kind="kms", key_id=key_id, address=address), {}, must_answer=True)

    assert_signed(signer.sign(FIELDS), by=address)


def test_build_signer__kms_key_of_another_address__invalid_input(aws: Any) -> None:
    with pytest.raises(InvalidInput, match="configured is"):
        build_signer(section(kind="kms", key_id=new_key(aws), address=ADDRESS), {})


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_build_signers__remote_with_another_key__invalid_input_with_its_place(
    web3signer: Web3SignerStandIn,
) -> None:
    entry = remote_at(web3signer, identifier=public_key_hex(OTHER_KEY))
    settings = Settings.model_construct(signers=(entry,))

    with pytest.raises(InvalidInput, match=rf"signers\[0\].*{OTHER_ADDRESS}"):
        build_signers(settings, {})


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_build_signer__remote_is_down__opens_and_signs_once_it_is_up(
    web3signer: Web3SignerStandIn,
) -> None:
    web3signer.keys_answer = play.status(503)

    signer = build_signer(remote_at(web3signer), {})
    web3signer.keys_answer = None

    assert signer.address == ADDRESS
    assert signer.sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_build_signer__remote_is_down_and_must_answer__raised(
    web3signer: Web3SignerStandIn,
) -> None:
    web3signer.keys_answer = play.status(503)
    with pytest.raises(Transient):
        build_signer(remote_at(web3signer), {}, must_answer=True)

    web3signer.keys_answer = play.status(401)
    with pytest.raises(Refused):
        build_signer(remote_at(web3signer), {}, must_answer=True)


def test_build_signer__token_not_set__names_the_variable() -> None:
    with pytest.raises(InvalidInput, match="variable T is not set"):
        build_signer(section(**REMOTE, token_env="T"), {})
