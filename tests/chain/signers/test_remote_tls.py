"""The remote signer over TLS: a private authority, and a certificate of each side."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.signers.remote import RemoteSigner
from settlement_node.chain.signers.remote_http import RemoteHttp, RemoteTls
from settlement_node.errors import Refused
from tests_support.web3signer import KEY, Web3SignerStandIn

from .fields import FIELDS

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate and its key, in files."""

    certificate_path: Path
    key_path: Path


class Authority:
    """Makes certificates that are good for an hour."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(name, self.key, is_authority=True)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Certified:
        key = ec.generate_private_key(ec.SECP256R1())
        files = Certified(self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        files.certificate_path.write_bytes(
            self._signed(name, key, is_authority=False).public_bytes(serialization.Encoding.PEM)
        )
        files.key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def guarded(authority: Authority) -> Iterator[Web3SignerStandIn]:
    """A signer that shows a certificate and asks for one."""
    server = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate_path, server.key_path)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    with Web3SignerStandIn(tls=context) as running:
        yield running


def signer_at(signer: Web3SignerStandIn, tls: RemoteTls | None) -> RemoteSigner:
    http = RemoteHttp(signer.url, tls=tls, timeout_seconds=60.0)
    return RemoteSigner(http, address=KeySigner(KEY).address)


def test_sign__both_certificates_good__signed(
    guarded: Web3SignerStandIn, authority: Authority
) -> None:
    own = authority.issue("node")
    tls = RemoteTls(authority.path, own.certificate_path, own.key_path)

    assert signer_at(guarded, tls).sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


def test_sign__authority_of_the_signer_unknown__refused(guarded: Web3SignerStandIn) -> None:
    with pytest.raises(Refused, match="do not agree on TLS"):
        signer_at(guarded, None).sign(FIELDS)

    assert guarded.requests == []


def test_sign__no_certificate_of_the_node__refused(
    guarded: Web3SignerStandIn, authority: Authority
) -> None:
    with pytest.raises(Refused, match="client certificate"):
        signer_at(guarded, RemoteTls(authority.path)).sign(FIELDS)

    assert guarded.requests == []


def test_sign__certificate_of_a_stranger__refused(
    guarded: Web3SignerStandIn, authority: Authority, tmp_path: Path
) -> None:
    strange = Authority(tmp_path, "stranger").issue("strange-node")
    tls = RemoteTls(authority.path, strange.certificate_path, strange.key_path)

    with pytest.raises(Refused, match="do not agree on TLS"):
        signer_at(guarded, tls).sign(FIELDS)

    assert guarded.requests == []


def test_sign__certificate_file_that_is_none__refused(
    guarded: Web3SignerStandIn, authority: Authority, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing", encoding="ascii")
    tls = RemoteTls(authority.path, broken, broken)

    with pytest.raises(Refused, match="do not agree on TLS"):
        signer_at(guarded, tls).sign(FIELDS)
