"""The KMS signer: on a played KMS for what it does, on a scripted client for what may go wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from coincurve import PrivateKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from settlement_node.chain.signers.kms import TRIES_MAX, KmsSigner, open_kms_client
from settlement_node.chain.signers.local import KeySigner
from settlement_node.errors import InvalidInput, Refused, SettlementError, Transient
from settlement_node.units import Address
from tests_support.web3signer import KEY, OTHER_KEY

from .conftest import REGION
from .fields import CURVE_ORDER, FIELDS, assert_signed

SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
ADDRESS = KeySigner(KEY).address


class ScriptedKms:
    """Signs like KMS with a key of the test, unless told otherwise."""

    def __init__(self, key: bytes = KEY) -> None:
        self.key = PrivateKey(key)
        self.signs_with = self.key
        self.high_s = False
        self.public_key: dict[str, Any] = {
            "KeySpec": "ECC_SECG_P256K1",
            "KeyUsage": "SIGN_VERIFY",
            "PublicKey": SPKI_PREFIX + self.key.public_key.format(compressed=False),
        }
        self.fails: Callable[[], Exception] | None = None
        self.signature: object = None
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def get_public_key(self, **asked: Any) -> Mapping[str, Any]:
        self.calls.append(("get_public_key", asked))
        if self.fails is not None:
            raise self.fails()
        return self.public_key

    def sign(self, **asked: Any) -> Mapping[str, Any]:
        self.calls.append(("sign", asked))
        if self.fails is not None:
            raise self.fails()
        if self.signature is not None:
            return {"Signature": self.signature}
        compact = self.signs_with.sign_recoverable(asked["Message"], hasher=None)
        s = int.from_bytes(compact[32:64], "big")
        if self.high_s:
            s = CURVE_ORDER - s
        der = cdata_to_der(deserialize_compact(compact[:32] + s.to_bytes(32, "big")))
        return {"Signature": der}


def signer_on(kms: ScriptedKms, address: Address = ADDRESS) -> KmsSigner:
    return KmsSigner(lambda: kms, key_id="alias/lane", address=address)


def aws_says(code: str, status: int = 400) -> Callable[[], Exception]:
    return lambda: ClientError(
        {
            "Error": {"Code": code, "Message": "arn:aws:sts::123456789012:assumed-role/secret"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "Sign",
    )


def new_key(aws: Any, spec: str = "ECC_SECG_P256K1", usage: str = "SIGN_VERIFY") -> str:
    return str(aws.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"])


def address_in(aws: Any, key_id: str) -> Address:
    """The address, derived the long way round."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from eth_keys.datatypes import PublicKey

    numbers = load_der_public_key(aws.get_public_key(KeyId=key_id)["PublicKey"]).public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    return Address(PublicKey(point).to_checksum_address())


def test_sign__key_in_kms__another_library_reads_the_sender(aws: Any) -> None:
    key_id = new_key(aws)
    signer = KmsSigner(
        partial(open_kms_client, region=REGION), key_id=key_id, address=address_in(aws, key_id)
    )

    # KMS's s is high in one of two answers, and the recovery id is either.
    for _ in range(16):
        assert_signed(signer.sign(FIELDS), by=signer.address)


def test_check__key_of_another_address__invalid_input_with_both(aws: Any) -> None:
    key_id = new_key(aws)

    with pytest.raises(InvalidInput, match=ADDRESS) as caught:
        KmsSigner(lambda: aws, key_id=key_id, address=ADDRESS).check()

    assert address_in(aws, key_id) in caught.value.message


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_check__key_on_another_curve__refused_with_what_it_must_be(aws: Any, spec: str) -> None:
    with pytest.raises(Refused, match="must be ECC_SECG_P256K1"):
        KmsSigner(lambda: aws, key_id=new_key(aws, spec), address=ADDRESS).check()


def test_check__no_such_key__refused_with_how_to_mend(aws: Any) -> None:
    missing = "00000000-0000-4000-8000-000000000000"

    with pytest.raises(Refused, match="check key_id and region"):
        KmsSigner(lambda: aws, key_id=missing, address=ADDRESS).check()


def test_sign__scripted_kms__digest_is_sent_and_the_bytes_are_the_keys() -> None:
    kms = ScriptedKms()

    signed = signer_on(kms).sign(FIELDS)

    assert signed == KeySigner(KEY).sign(FIELDS)
    name, asked = kms.calls[-1]
    assert name == "sign"
    assert asked["MessageType"] == "DIGEST"
    assert asked["SigningAlgorithm"] == "ECDSA_SHA_256"
    assert len(asked["Message"]) == 32


def test_sign__high_s__brought_to_low_s_with_its_recovery_id() -> None:
    kms = ScriptedKms()
    kms.high_s = True

    assert signer_on(kms).sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


def test_sign__many_times__public_key_is_asked_once() -> None:
    kms = ScriptedKms()
    signer = signer_on(kms)

    for _ in range(3):
        signer.sign(FIELDS)

    assert [name for name, _ in kms.calls] == ["get_public_key", "sign", "sign", "sign"]


def test_sign__signature_of_another_key__refused() -> None:
    kms = ScriptedKms()
    kms.signs_with = PrivateKey(OTHER_KEY)

    with pytest.raises(Refused, match=f"not of {ADDRESS}"):
        signer_on(kms).sign(FIELDS)


def test_sign__wrong_address_configured__refused_and_nothing_signed() -> None:
    kms = ScriptedKms(OTHER_KEY)

    with pytest.raises(Refused, match="configured is"):
        signer_on(kms).sign(FIELDS)

    assert [name for name, _ in kms.calls] == ["get_public_key"]


@pytest.mark.parametrize(
    "signature",
    [
        b"\x30",
        b"\x30\x06\x02\x01\x00\x02\x01\x00",
        b"\x30\x06\x02\x01\x01\x02\x01\x00",
        bytes(72),
        bytes(5000),
        "text",
        7,
    ],
)
def test_sign__not_a_signature__refused(signature: object) -> None:
    kms = ScriptedKms()
    kms.signature = signature

    with pytest.raises(Refused, match="not a signature"):
        signer_on(kms).sign(FIELDS)


@pytest.mark.parametrize(
    "change",
    [
        {"KeyUsage": "ENCRYPT_DECRYPT"},
        {"KeySpec": "ECC_NIST_P256"},
        {"PublicKey": b""},
        {"PublicKey": None},
        {"PublicKey": SPKI_PREFIX + b"\x04" + bytes(64)},
        {"PublicKey": SPKI_PREFIX + b"\x04" + bytes(65)},
    ],
)
def test_check__public_key_of_another_form__refused(change: dict[str, Any]) -> None:
    kms = ScriptedKms()
    kms.public_key |= change

    with pytest.raises(Refused):
        signer_on(kms).check()


@pytest.mark.parametrize(
    ("fails", "family"),
    [
        (aws_says("ThrottlingException"), Transient),
        (aws_says("LimitExceededException"), Transient),
        (aws_says("DependencyTimeoutException", 503), Transient),
        (aws_says("KeyUnavailableException", 500), Transient),
        (aws_says("KMSInternalException", 500), Transient),
        (aws_says("NeverSeen", 502), Transient),
        (aws_says("NeverSeen", 429), Transient),
        (lambda: ConnectTimeoutError(endpoint_url="https://kms"), Transient),
        (lambda: ReadTimeoutError(endpoint_url="https://kms"), Transient),
        (lambda: EndpointConnectionError(endpoint_url="https://kms"), Transient),
        (lambda: HTTPClientError(error="cut"), Transient),
        (lambda: CredentialRetrievalError(provider="role", error_msg="slow"), Transient),
        (aws_says("AccessDeniedException"), Refused),
        (aws_says("DisabledException"), Refused),
        (aws_says("NotFoundException"), Refused),
        (aws_says("KMSInvalidStateException"), Refused),
        (aws_says("InvalidKeyUsageException"), Refused),
        (aws_says("UnrecognizedClientException"), Refused),
        (aws_says("ExpiredTokenException"), Refused),
        (aws_says("ValidationException"), Refused),
        (aws_says("NeverSeen"), Refused),
        (NoCredentialsError, Refused),
        (lambda: SSLError(endpoint_url="https://kms", error="self-signed"), Refused),
        (lambda: ParamValidationError(report="KeyId"), Refused),
    ],
)
@pytest.mark.parametrize("call", ["get_public_key", "sign"])
def test_sign__kms_fails__its_family_with_the_reason_and_without_awss_words(
    fails: Callable[[], Exception], family: type[SettlementError], call: str
) -> None:
    kms = ScriptedKms()
    signer = signer_on(kms)
    if call == "sign":
        signer.check()
    kms.fails = fails

    with pytest.raises(family) as caught:
        signer.sign(FIELDS)

    assert type(caught.value) is family
    assert "alias/lane" in caught.value.message
    assert "assumed-role" not in f"{caught.value.message}{caught.value.details}"
    kms.fails = None
    assert signer.sign(FIELDS) == KeySigner(KEY).sign(FIELDS)


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("AccessDeniedException", "allow kms:GetPublicKey and kms:Sign"),
        ("DisabledException", "enable the key"),
        ("NotFoundException", "check key_id and region"),
        ("ExpiredTokenException", "renew"),
    ],
)
def test_sign__refused__says_how_to_mend(code: str, mend: str) -> None:
    kms = ScriptedKms()
    kms.fails = aws_says(code)

    with pytest.raises(Refused, match=mend):
        signer_on(kms).sign(FIELDS)


def test_sign__no_credentials_at_first__client_is_opened_again() -> None:
    opened: list[ScriptedKms] = []

    def open_client() -> ScriptedKms:
        opened.append(ScriptedKms())
        if len(opened) == 1:
            opened[0].fails = NoCredentialsError
        return opened[-1]

    signer = KmsSigner(open_client, key_id="alias/lane", address=ADDRESS)
    with pytest.raises(Refused, match="valid AWS credentials"):
        signer.sign(FIELDS)

    assert signer.sign(FIELDS) == KeySigner(KEY).sign(FIELDS)
    assert len(opened) == 2


def test_sign__boto3_missing__says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)

    with pytest.raises(InvalidInput, match=r"make aws"):
        signer_on(ScriptedKms()).check()


def test_open_kms_client__defaults__waits_and_tries_are_bounded(aws: Any) -> None:
    client: Any = open_kms_client(region=REGION)

    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (3.0, 5.0)
    assert config.retries["total_max_attempts"] == TRIES_MAX == 2


def test_open_kms_client__no_region__invalid_input(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    with pytest.raises(InvalidInput, match="region"):
        open_kms_client()


def test_open_kms_client__endpoint_that_is_none__invalid_input(aws: Any) -> None:
    with pytest.raises(InvalidInput, match="endpoint_url"):
        open_kms_client(region=REGION, endpoint_url="not an address")


def test_open_kms_client__boto3_missing__says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(InvalidInput, match=r"make aws"):
        open_kms_client(region=REGION)
