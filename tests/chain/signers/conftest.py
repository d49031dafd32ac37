"""A signer on this machine, a KMS inside this process, and keys both are known by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto import mock_aws
from moto.kms.utils import ECDSAPrivateKey

from tests_support.web3signer import Web3SignerStandIn

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """Here a test may reach 127.0.0.1 if it is marked so; all else stays blocked."""


@pytest.fixture
def web3signer() -> Iterator[Web3SignerStandIn]:
    """A signer that listens; the test's own mark lets it be reached."""
    with Web3SignerStandIn() as running:
        yield running


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an AWS KMS that is played inside this process; nothing leaves it.

    moto leaves MessageType DIGEST out and would hash the digest once more, so that its signature
    is put right here; our request is looked at by a test of its own.
    """

    def sign_digest(key: ECDSAPrivateKey, message: bytes, _signing_algorithm: str) -> bytes:
        signature: bytes = key.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return signature

    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign_digest)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)
