"""A signer whose key is in AWS KMS and never leaves it.

The key is asymmetric, of spec ECC_SECG_P256K1 and usage SIGN_VERIFY. KMS answers with a DER
signature in which `s` may be high and the recovery id is absent. Both are put right here: of the
two possible ids the one is taken that recovers to the lane's own address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from coincurve import PublicKey
from coincurve.ecdsa import der_to_cdata, serialize_compact

from settlement_node.chain.signers.base import (
    DistantSigner,
    Signature,
    low_s,
    recover_address,
)
from settlement_node.chain.wire.words import address_of_public_key
from settlement_node.errors import InvalidInput, Refused, Transient
from settlement_node.units import Address

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 5.0
TRIES_MAX = 2
"""The SDK's own second try, for a connection that had gone stale; the rest is the engine's."""

_SIGNING_ALGORITHM = "ECDSA_SHA_256"
"""How KMS names ECDSA over a 32-byte digest; with MessageType DIGEST it hashes nothing itself."""
_PUBLIC_KEY_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
"""RFC 5480's SubjectPublicKeyInfo up to the point, for an uncompressed secp256k1 key."""
_PUBLIC_KEY_BYTES = len(_PUBLIC_KEY_PREFIX) + 65
_SIGNATURE_BYTES_MAX = 72

_TRANSIENT_CODES = frozenset(
    {
        "DependencyTimeoutException",
        "InternalFailure",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_ACCESS = "allow kms:GetPublicKey and kms:Sign on this key to the identity the node runs as"
_CREDENTIALS = "give the node valid AWS credentials: a role, or the AWS_* variables"
_MENDS: Mapping[str, str] = {
    "AccessDeniedException": _ACCESS,
    "DisabledException": "enable the key in KMS, or move the lane to another key",
    "ExpiredTokenException": "renew the node's AWS credentials",
    "IncompleteSignature": _CREDENTIALS,
    "InvalidArnException": "check key_id: a key's id, its ARN, or alias/<name>",
    "InvalidClientTokenId": _CREDENTIALS,
    "InvalidKeyUsageException": "the key must be ECC_SECG_P256K1 with usage SIGN_VERIFY",
    "InvalidSignatureException": _CREDENTIALS,
    "KMSInvalidStateException": "the key is disabled or about to be deleted; restore it in KMS",
    "MissingAuthenticationToken": _CREDENTIALS,
    "NotFoundException": "check key_id and region: this account has no such key there",
    "UnrecognizedClientException": _CREDENTIALS,
    "UnsupportedOperationException": "the key must be ECC_SECG_P256K1 with usage SIGN_VERIFY",
    "ValidationException": "check key_id: a key's id, its ARN, or alias/<name>",
}
"""What a person does about each refusal; codes as in the KMS API reference, Sign, Errors."""

_NEEDS_BOTO3 = "a signer of kind kms needs boto3; install it with: make aws"

T = TypeVar("T")


class KmsClient(Protocol):
    """The two calls of boto3's KMS client that are used."""

    def get_public_key(self, *, KeyId: str) -> Mapping[str, Any]:  # noqa: N803 - AWS's own name
        """The key's SubjectPublicKeyInfo, spec and usage."""

    def sign(
        self,
        *,
        KeyId: str,  # noqa: N803 - AWS's own name
        Message: bytes,  # noqa: N803 - AWS's own name
        MessageType: str,  # noqa: N803 - AWS's own name
        SigningAlgorithm: str,  # noqa: N803 - AWS's own name
    ) -> Mapping[str, Any]:
        """The DER signature."""


def open_kms_client(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
) -> KmsClient:
    """A client with bounded waits; credentials come from where AWS's SDK looks for them.

    That may ask a metadata service, so its BotoCoreError may come from here. `endpoint_url` is for
    a private endpoint. Raises InvalidInput when boto3 is not installed, or no region is known.
    """
    try:
        import boto3
        from botocore import exceptions as sdk
        from botocore.config import Config
    except ImportError:
        raise InvalidInput(_NEEDS_BOTO3, field="kind") from None
    try:
        client: KmsClient = boto3.session.Session().client(
            "kms",
            region_name=region,
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=connect_timeout_seconds,
                read_timeout=read_timeout_seconds,
                retries={"total_max_attempts": TRIES_MAX, "mode": "standard"},
            ),
        )
    except (
        sdk.NoRegionError,
        sdk.ProfileNotFound,
        sdk.ConfigNotFound,
        sdk.ConfigParseError,
        ValueError,
    ) as error:
        raise InvalidInput(
            f"no client of AWS KMS can be made ({type(error).__name__}): check region and"
            " endpoint_url, and AWS's own settings",
            field="region",
        ) from None
    return client


class KmsSigner(DistantSigner):
    """Signs with a key in AWS KMS. Not deterministic: each signing gives other bytes."""

    __slots__ = ("_client", "_key_id", "_open_client")

    def __init__(
        self, open_client: Callable[[], KmsClient], *, key_id: str, address: Address
    ) -> None:
        """`key_id` is a key's id, ARN or alias/<name>; nothing is asked yet. The client is opened
        with the first call, and again after one for which no credentials were found."""
        super().__init__(address)
        self._open_client = open_client
        self._client: KmsClient | None = None
        self._key_id = key_id

    def _compare(self) -> None:
        answer = self._ask(lambda client: client.get_public_key(KeyId=self._key_id))
        found = self._address_in(answer)
        if found != self._address:
            raise InvalidInput(
                f"{self._who()} has the address {found}, configured is {self._address}",
                field="address",
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address})"

    def _signature(self, unsigned: bytes, digest: bytes) -> Signature:  # noqa: ARG002
        answer = self._ask(
            lambda client: client.sign(
                KeyId=self._key_id,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm=_SIGNING_ALGORITHM,
            )
        )
        der = answer.get("Signature")
        if not isinstance(der, bytes) or len(der) > _SIGNATURE_BYTES_MAX:
            raise self._no_signature()
        try:
            compact = serialize_compact(der_to_cdata(der))
        except ValueError:
            raise self._no_signature() from None
        r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")
        for y_parity in (0, 1):
            signature = low_s(Signature(r, s, y_parity))
            if recover_address(digest, signature) == self._address:
                return signature
        raise Refused(
            f"{self._who()} returned a signature that is not of {self._address}; check that"
            " key_id names the lane's key",
            expected_address=self._address,
        )

    def _address_in(self, answer: Mapping[str, Any]) -> Address:
        spec = answer.get("KeySpec", answer.get("CustomerMasterKeySpec"))
        der = answer.get("PublicKey")
        usage = answer.get("KeyUsage")
        if (
            spec != "ECC_SECG_P256K1"
            or usage != "SIGN_VERIFY"
            or not isinstance(der, bytes)
            or len(der) != _PUBLIC_KEY_BYTES
            or not der.startswith(_PUBLIC_KEY_PREFIX)
        ):
            raise Refused(
                f"{self._who()} is {spec} for {usage}; the key must be ECC_SECG_P256K1 with"
                " usage SIGN_VERIFY"
            )
        try:
            return address_of_public_key(PublicKey(der[len(_PUBLIC_KEY_PREFIX) :]))
        except ValueError:
            raise Refused(f"{self._who()} has a public key that is not on the curve") from None

    def _ask(self, call: Callable[[KmsClient], T]) -> T:
        try:
            from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        except ImportError:
            raise InvalidInput(_NEEDS_BOTO3, field="kind") from None
        try:
            if self._client is None:
                self._client = self._open_client()
            return call(self._client)
        except ClientError as error:
            raise self._answered(error.response) from None
        except BotoCoreError as error:
            if isinstance(error, NoCredentialsError):
                # A client made while the metadata service was away would never find them.
                self._client = None
            raise self._unanswered(error) from None

    def _answered(self, response: Mapping[str, Any]) -> Refused | Transient:
        """KMS said no: what it means. Its own words stay out: they name accounts and identities."""
        code = str(response.get("Error", {}).get("Code", "unknown"))[:80]
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _TRANSIENT_CODES or status == 429 or status >= 500:
            return Transient(f"{self._who()} cannot sign now ({code})", reason=code)
        mend = _MENDS.get(code, "see this code in the KMS API reference")
        return Refused(f"{self._who()} refused ({code}): {mend}", reason=code)

    def _unanswered(self, error: Exception) -> Refused | Transient:
        from botocore import exceptions as sdk

        reason = type(error).__name__
        permanent: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
            ((sdk.NoCredentialsError, sdk.PartialCredentialsError), _CREDENTIALS),
            (sdk.SSLError, "check the certificate of the endpoint, and AWS_CA_BUNDLE"),
            (sdk.ParamValidationError, "check key_id: a key's id, its ARN, or alias/<name>"),
        )
        for kinds, mend in permanent:
            if isinstance(error, kinds):
                return Refused(f"{self._who()} cannot be asked ({reason}): {mend}", reason=reason)
        return Transient(f"{self._who()} gave no answer ({reason})", reason=reason)

    def _no_signature(self) -> Refused:
        return Refused(f"{self._who()} returned something that is not a signature")

    def _who(self) -> str:
        return f"KMS key {self._key_id}"
