"""API keys: compared as digests in constant time, never kept or logged in the clear."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from settlement_node.config.sections import ApiKey
from settlement_node.errors import InvalidInput

KEY_LENGTH_MIN = 16
KEY_LENGTH_MAX = 512


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls. `name` is the key's name in the configuration."""

    name: str

    @property
    def actor(self) -> str:
        """The name in the audit trail."""
        return f"api:{self.name}"


class KeyRing:
    """The configured keys as SHA-256 digests."""

    __slots__ = ("_digests",)

    def __init__(self, keys: Sequence[ApiKey], environment: Mapping[str, str]) -> None:
        """Raises InvalidInput naming the variable of a key that is not set or too short."""
        self._digests = tuple((key.name, _digest(key, environment)) for key in keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(name for name, _ in self._digests)})"

    def client_of(self, presented: str) -> Client | None:
        """Whose key this is. Every digest is compared, so the time tells nothing."""
        if len(presented) > KEY_LENGTH_MAX:
            return None
        digest = hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()
        found: Client | None = None
        for name, known in self._digests:
            if hmac.compare_digest(digest, known):
                found = Client(name)
        return found


def _digest(key: ApiKey, environment: Mapping[str, str]) -> bytes:
    if key.key_sha256 is not None:
        return bytes.fromhex(key.key_sha256)
    assert key.key_env is not None
    value = environment.get(key.key_env, "")
    if not KEY_LENGTH_MIN <= len(value) <= KEY_LENGTH_MAX:
        raise InvalidInput(
            f"environment variable {key.key_env} must hold the API key {key.name!r}, at least"
            f" {KEY_LENGTH_MIN} characters; make one with: openssl rand -hex 32",
            field=f"api.api_keys[{key.name}].key_env",
        )
    return hashlib.sha256(value.encode()).digest()
