"""The wire to a remote signer: one request, a bounded wait, a bounded answer, no surprises.

Nothing of the surroundings takes part: no proxy from the environment, no .netrc, no redirect,
no retry, no compressed body. What carries a secret is never shown or put into an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from settlement_node.chain.signers.local import read_variable
from settlement_node.chain.wire.bounded_http import (
    AnswerTooLarge,
    AnswerTooSlow,
    InTimeAdapter,
    PlainSession,
    read_bounded,
)
from settlement_node.errors import InvalidInput, Refused, Transient

TIMEOUT_SECONDS = 5.0
TOKEN_BYTES_MAX = 8 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What a bearer token may hold (RFC 6750)."""


@dataclass(frozen=True, slots=True)
class RemoteReply:
    """An answer of any status, its body whole."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where a bearer token is read anew for each request, so that it may be rotated."""

    variable: str | None = None
    path: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def __call__(self) -> str:
        """The token; raises InvalidInput naming the variable or file, never the content."""
        if (self.variable is None) == (self.path is None):
            raise InvalidInput("give the token by a file or by a variable, one of them")
        if self.path is not None:
            where = f"token file {self.path}"
            try:
                with self.path.open(encoding="ascii") as file:
                    text = file.read(TOKEN_BYTES_MAX)
            except (OSError, ValueError):
                raise InvalidInput(f"{where} cannot be read") from None
        else:
            assert self.variable is not None
            where = f"environment variable {self.variable}"
            text = read_variable(self.variable, self.environment)
        if _TOKEN.fullmatch(text.strip()) is None:
            raise InvalidInput(f"{where} does not hold a bearer token on one line")
        return text.strip()


@dataclass(frozen=True, slots=True)
class RemoteTls:
    """Files of a private certificate authority and of this node's own certificate."""

    ca_path: Path | None = None
    certificate_path: Path | None = None
    key_path: Path | None = None


class RemoteHttp:
    """Requests to one signer. `name` is its host and port, for people."""

    __slots__ = ("_base", "_session", "_timeout_seconds", "_token", "name")

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        tls: RemoteTls | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Nothing is asked yet. Raises InvalidInput for an address that must not be used, and for
        files that are not there."""
        tls = tls or RemoteTls()
        self.name, is_private = _checked(url)
        if token is not None and not is_private:
            raise InvalidInput(
                "a token would cross the network readable; give the signer an https:// address",
                field="url",
            )
        if (tls.certificate_path is None) != (tls.key_path is None):
            raise InvalidInput(
                "a client certificate needs both its certificate file and its key file"
            )
        for path in (tls.ca_path, tls.certificate_path, tls.key_path):
            if path is not None and not path.is_file():
                raise InvalidInput(f"file {path} is not there")
        if token is not None:
            token()
        self._base = url.rstrip("/")
        self._token = token
        self._timeout_seconds = timeout_seconds
        session = PlainSession(InTimeAdapter())
        session.trust_env = False
        session.verify = True if tls.ca_path is None else str(tls.ca_path)
        if tls.certificate_path is not None:
            session.cert = (str(tls.certificate_path), str(tls.key_path))
        self._session = session

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signer's connection cannot be pickled: it may write a token down")

    def get(self, path: str, *, bytes_max: int) -> RemoteReply:
        """Ask; raises as `post` does."""
        return self._request("GET", path, None, bytes_max)

    def post(self, path: str, content: Mapping[str, str], *, bytes_max: int) -> RemoteReply:
        """Send JSON; raises Transient when no whole answer came in time, Refused when the
        connection itself is wrong or the answer is larger than `bytes_max`."""
        return self._request("POST", path, content, bytes_max)

    def _request(
        self, method: str, path: str, content: Mapping[str, str] | None, bytes_max: int
    ) -> RemoteReply:
        try:
            with self._session.request(
                method,
                self._base + path,
                json=content,
                headers=self._headers(),
                timeout=self._timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                return RemoteReply(response.status_code, self._body(response.raw, bytes_max))
        except requests.exceptions.SSLError:
            raise Refused(
                f"signer {self.name} and this node do not agree on TLS: check its certificate,"
                " ca_file, and the client certificate",
                reason="tls",
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Transient(
                f"signer {self.name} gave no answer ({type(error).__name__})",
                reason=type(error).__name__,
            ) from None

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        if self._token is not None:
            try:
                headers["Authorization"] = f"Bearer {self._token()}"
            except InvalidInput as error:
                raise Refused(f"signer {self.name}: {error.message}") from None
        return headers

    def _body(self, raw: Any, bytes_max: int) -> bytes:
        try:
            return read_bounded(raw, bytes_max=bytes_max, decode=False)
        except AnswerTooLarge:
            raise Refused(
                f"signer {self.name} answered with more than {bytes_max} bytes; check that"
                " url leads to Web3Signer",
                reason="too_large",
            ) from None
        except AnswerTooSlow:
            raise Transient(f"signer {self.name} was too slow", reason="slow") from None


def _checked(url: str) -> tuple[str, bool]:
    """The host and port for people, and whether nobody on the way can read along."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput("the signer's address is not an address", field="url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput("the signer's address must start with http(s)://", field="url")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvalidInput(
            "the signer's address takes no user, password, query or fragment; a token goes into"
            " token_env or token_file",
            field="url",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_private = parts.scheme == "https" or parts.hostname in _LOOPBACK
    return f"{host}:{port}" if port else host, is_private
