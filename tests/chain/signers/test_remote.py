"""The remote signer against a real HTTP server on this machine, in every mood it may have."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from settlement_node.chain.signers.base import unsigned_bytes
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.signers.remote import RemoteSigner
from settlement_node.chain.signers.remote_http import RemoteHttp, RemoteTls, TokenSource
from settlement_node.errors import InvalidInput, Refused, SettlementError, Transient
from settlement_node.units import Address
from tests_support import web3signer as play
from tests_support.web3signer import KEY, OTHER_KEY, Handler, Web3SignerStandIn, public_key_hex

from .fields import FIELDS, assert_signed

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
ADDRESS = KeySigner(KEY).address
OTHER_ADDRESS = KeySigner(OTHER_KEY).address
TOKEN = "t0ken-of-the-lane"


def signer_at(
    url: str,
    *,
    address: Address = ADDRESS,
    identifier: str | None = None,
    timeout_seconds: float = 5.0,
    token: TokenSource | None = None,
) -> RemoteSigner:
    http = RemoteHttp(url, token=token, timeout_seconds=timeout_seconds)
    return RemoteSigner(http, address=address, identifier=identifier)


def test_sign__web3signer__the_bytes_a_local_key_makes(web3signer: Web3SignerStandIn) -> None:
    signed = signer_at(web3signer.url).sign(FIELDS)

    assert signed == KeySigner(KEY).sign(FIELDS)
    assert_signed(signed, by=ADDRESS)


def test_sign__request__the_unsigned_bytes_and_not_their_hash(
    web3signer: Web3SignerStandIn,
) -> None:
    signer_at(web3signer.url).sign(FIELDS)

    method, path, headers, body = web3signer.requests[-1]
    assert (method, path) == ("POST", f"/api/v1/eth1/sign/{public_key_hex(KEY)}")
    assert headers["Content-Type"] == "application/json"
    sent = json.loads(body)
    assert list(sent) == ["data"]
    data = bytes.fromhex(sent["data"].removeprefix("0x"))
    assert data == unsigned_bytes(FIELDS)
    assert data[0] == 2
    assert len(data) != len(keccak(data))


@pytest.mark.parametrize("v_from", [0, 27])
def test_sign__v_from_0_or_from_27__same_bytes(web3signer: Web3SignerStandIn, v_from: int) -> None:
    web3signer.v_from = v_from

    assert signer_at(web3signer.url).sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


def test_sign__many_times__keys_are_listed_once(web3signer: Web3SignerStandIn) -> None:
    signer = signer_at(web3signer.url + "/")

    for _ in range(3):
        signer.sign(FIELDS)

    assert web3signer.asked == ["GET", "POST", "POST", "POST"]


def test_sign__identifier_given__is_the_one_asked_for(web3signer: Web3SignerStandIn) -> None:
    signer_at(web3signer.url, identifier=public_key_hex(KEY)).sign(FIELDS)

    assert web3signer.requests[-1][1].endswith(public_key_hex(KEY))


def test_check__identifier_of_another_key__invalid_input(web3signer: Web3SignerStandIn) -> None:
    signer = signer_at(web3signer.url, identifier=public_key_hex(OTHER_KEY))

    with pytest.raises(InvalidInput, match=OTHER_ADDRESS):
        signer.check()
    with pytest.raises(Refused, match="configured is"):
        signer.sign(FIELDS)

    assert "POST" not in web3signer.asked


@pytest.mark.parametrize("identifier", ["", "../admin", "a/b", "a?b", "a b", "x" * 201])
def test_remote_signer__identifier_that_is_a_path__invalid_input(identifier: str) -> None:
    with pytest.raises(InvalidInput, match="letters, digits"):
        signer_at("http://127.0.0.1:1", identifier=identifier)


def test_check__key_not_loaded__refused_with_the_address(web3signer: Web3SignerStandIn) -> None:
    web3signer.keys = [OTHER_KEY]

    with pytest.raises(Refused, match=f"has 1 keys and none of {ADDRESS}"):
        signer_at(web3signer.url).check()


def test_sign__wrong_key__refused_with_both_addresses(web3signer: Web3SignerStandIn) -> None:
    web3signer.signs_with = OTHER_KEY

    with pytest.raises(Refused, match=ADDRESS) as caught:
        signer_at(web3signer.url).sign(FIELDS)

    assert caught.value.details["recovered_address"] == OTHER_ADDRESS


def test_sign__another_message_signed__refused(web3signer: Web3SignerStandIn) -> None:
    prefixed = play.signature_hex(KEY, b"\x19Ethereum Signed Message:\n4data")
    web3signer.sign_answer = play.status(200, prefixed)

    with pytest.raises(Refused, match="returned a signature of"):
        signer_at(web3signer.url).sign(FIELDS)


@pytest.mark.parametrize(
    ("answer", "family", "words"),
    [
        (play.status(500), Transient, "HTTP 500"),
        (play.status(503), Transient, "HTTP 503"),
        (play.status(429), Transient, "HTTP 429"),
        (play.status(408), Transient, "HTTP 408"),
        (play.status(400), Refused, "eth1 mode"),
        (play.status(401), Refused, "token"),
        (play.status(403), Refused, "client certificate"),
        (play.status(404), Refused, "loaded"),
        (play.status(418), Refused, "HTTP 418"),
        (play.status(204), Refused, "HTTP 204"),
        (play.status(200, ""), Refused, "not understood"),
        (play.status(200, "<html>Sign in</html>"), Refused, "not understood"),
        (play.status(200, "0x1234"), Refused, "not understood"),
        (play.status(200, "0x" + "zz" * 65), Refused, "not understood"),
        (play.status(200, "0x" + "00" * 64 + "1d"), Refused, "v is none of"),
        (play.status(200, "0x" + "00" * 64 + "1b"), Refused, "not a signature"),
        (play.status(200, "0x" + "ff" * 64 + "1b"), Refused, "not a signature"),
        (play.status(200, "Ω"), Refused, "not plain text"),
        (play.endless, Refused, "more than 1024 bytes"),
        (play.cut_off, Transient, "gave no answer"),
        (play.hang(0.0), Transient, "gave no answer"),
    ],
)
def test_sign__signer_answers_so__its_family_with_the_reason_and_recovers(
    web3signer: Web3SignerStandIn,
    answer: Callable[[Handler], None],
    family: type[SettlementError],
    words: str,
) -> None:
    signer = signer_at(web3signer.url)
    web3signer.sign_answer = answer

    with pytest.raises(family, match=words) as caught:
        signer.sign(FIELDS)

    assert type(caught.value) is family
    web3signer.sign_answer = None
    assert signer.sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


@pytest.mark.parametrize(
    ("answer", "family", "words"),
    [
        (play.status(500), Transient, "HTTP 500"),
        (play.status(404), Refused, "base address"),
        (play.status(200, "{}"), Refused, "not a JSON list"),
        (play.status(200, "["), Refused, "not a JSON list"),
        (play.status(200, "[" * 100_000), Refused, "not a JSON list"),
        (play.status(200, '[1, null, "0x00", "0x' + "00" * 64 + '"]'), Refused, "has 0 keys"),
        (play.endless, Refused, "more than"),
    ],
)
def test_check__list_of_keys_is_none__its_family_and_nothing_signed(
    web3signer: Web3SignerStandIn,
    answer: Callable[[Handler], None],
    family: type[SettlementError],
    words: str,
) -> None:
    signer = signer_at(web3signer.url)
    web3signer.keys_answer = answer

    with pytest.raises(family, match=words):
        signer.sign(FIELDS)

    assert "POST" not in web3signer.asked
    web3signer.keys_answer = None
    assert signer.sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


def test_sign__redirect__refused_and_not_followed(web3signer: Web3SignerStandIn) -> None:
    with Web3SignerStandIn() as elsewhere:
        path = f"/api/v1/eth1/sign/{public_key_hex(KEY)}"
        web3signer.sign_answer = play.redirect(elsewhere.url + path)

        with pytest.raises(Refused, match="redirects, which is not followed"):
            signer_at(web3signer.url).sign(FIELDS)

        assert elsewhere.requests == []


def test_sign__nobody_listens__transient(web3signer: Web3SignerStandIn) -> None:
    url = web3signer.url
    web3signer.stop()

    with pytest.raises(Transient, match="gave no answer"):
        signer_at(url).sign(FIELDS)


@pytest.mark.parametrize("answer", [play.hang(20.0), play.trickle(400, pause_seconds=0.05)])
def test_sign__slow__transient_within_twice_the_timeout(
    web3signer: Web3SignerStandIn, answer: Callable[[Handler], None]
) -> None:
    timeout_seconds = 2.0
    signer = signer_at(web3signer.url, timeout_seconds=timeout_seconds)
    signer.check()
    web3signer.sign_answer = answer
    started = time.monotonic()

    with pytest.raises(Transient):
        signer.sign(FIELDS)

    assert time.monotonic() - started < 2 * timeout_seconds


def test_sign__failed__asked_once_only(web3signer: Web3SignerStandIn) -> None:
    web3signer.sign_answer = play.status(503)

    with pytest.raises(Transient):
        signer_at(web3signer.url).sign(FIELDS)

    assert web3signer.asked == ["GET", "POST"]


def test_sign__token_in_a_variable__sent_as_bearer(web3signer: Web3SignerStandIn) -> None:
    token = TokenSource(variable="LANE_TOKEN", environment={"LANE_TOKEN": TOKEN})

    signer_at(web3signer.url, token=token).sign(FIELDS)

    sent = [headers.get("Authorization") for _, _, headers, _ in web3signer.requests]
    assert sent == [f"Bearer {TOKEN}"] * 2


def test_sign__token_file_rotated__new_token_is_sent(
    web3signer: Web3SignerStandIn, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("old\n", encoding="ascii")
    signer = signer_at(web3signer.url, token=TokenSource(path=path))
    signer.sign(FIELDS)
    path.write_text("new\n", encoding="ascii")

    signer.sign(FIELDS)

    assert web3signer.requests[-1][2]["Authorization"] == "Bearer new"
    path.unlink()
    with pytest.raises(Refused, match="cannot be read"):
        signer.sign(FIELDS)


def test_sign__proxy_and_netrc_of_the_environment__take_no_part(
    web3signer: Web3SignerStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    signer_at(web3signer.url).sign(FIELDS)

    assert all("Authorization" not in headers for _, _, headers, _ in web3signer.requests)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("T", "", "T is not set"),
        ("T", "two words", "does not hold a bearer token"),
        ("T", "line\r\nX-Evil: 1", "does not hold a bearer token"),
    ],
)
def test_remote_http__token_that_is_none__invalid_input_without_it(
    variable: str, text: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        RemoteHttp("https://signer", token=TokenSource(variable, environment={variable: text}))

    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "signer:9000",
        "ftp://signer",
        "https://",
        "https://user:pw@signer",
        "https://signer/?key=1",
        "https://signer#1",
        "https://signer:99999",
        "https://[::1",
    ],
)
def test_remote_http__address_not_to_be_used__invalid_input_without_it(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        RemoteHttp(url)

    assert "pw" not in str(caught.value)


def test_remote_http__token_over_plain_http__invalid_input_but_on_this_machine() -> None:
    token = TokenSource("T", environment={"T": TOKEN})

    with pytest.raises(InvalidInput, match="https"):
        RemoteHttp("http://signer:9000", token=token)
    RemoteHttp("http://[::1]:9000", token=token)
    RemoteHttp("http://localhost", token=token)


def test_remote_http__certificate_without_key_or_file__invalid_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="both"):
        RemoteHttp("https://signer", tls=RemoteTls(certificate_path=tmp_path / "c.pem"))
    with pytest.raises(InvalidInput, match="is not there"):
        RemoteHttp("https://signer", tls=RemoteTls(ca_path=tmp_path / "ca.pem"))
