"""A signer behind Web3Signer's HTTP interface: the key is in another process or another network.

`POST {url}/api/v1/eth1/sign/{identifier}` takes bytes and hashes them itself with keccak256,
without the EIP-191 prefix that its JSON-RPC `eth_sign` adds. So it is sent the unsigned EIP-1559
bytes, not their hash, and a Web3Signer with rules of its own can read what it signs.
The answer is plain text: 0x, then r, s and v in 65 bytes. `GET {url}/api/v1/eth1/publicKeys`
lists the keys it has, each as the 64 bytes of the uncompressed point; that is also the identifier.
"""

from __future__ import annotations

import json
import re

from coincurve import PublicKey

from settlement_node.chain.signers.base import (
    DistantSigner,
    Signature,
)
from settlement_node.chain.signers.remote_http import RemoteHttp, RemoteReply
from settlement_node.chain.wire.words import address_of_public_key
from settlement_node.errors import InvalidInput, Refused, Transient
from settlement_node.units import Address

PUBLIC_KEYS_PATH = "/api/v1/eth1/publicKeys"
SIGN_PATH = "/api/v1/eth1/sign/"
KEYS_BYTES_MAX = 256 * 1024
"""About 1,900 keys."""
SIGNATURE_BYTES_MAX = 1024

_SIGNATURE = re.compile(r"0x([0-9a-fA-F]{130})")
_PUBLIC_KEY = re.compile(r"0x(?:04)?([0-9a-fA-F]{128})")
_IDENTIFIER = re.compile(r"[0-9A-Za-z._-]{1,200}")
_Y_PARITY_BY_V = {0: 0, 1: 1, 27: 0, 28: 1}
_MENDS = {
    400: "it did not understand the request; check that it is Web3Signer in eth1 mode",
    401: "check the token it is given",
    403: "check the token, the client certificate, and its list of allowed hosts",
    404: "check that url is its base address and that the lane's key is loaded in it",
}


class RemoteSigner(DistantSigner):
    """Signs by asking a Web3Signer. Its every answer is checked against the lane's address."""

    __slots__ = ("_http", "_identifier")

    def __init__(self, http: RemoteHttp, *, address: Address, identifier: str | None = None):
        """`identifier` is the signer's own name of the key; by default the public key found in
        its list. Nothing is asked yet. Raises InvalidInput for an identifier no signer has."""
        if identifier is not None and _IDENTIFIER.fullmatch(identifier) is None:
            raise InvalidInput(
                "the identifier must be letters, digits and . _ - only", field="identifier"
            )
        super().__init__(address)
        self._http = http
        self._identifier = identifier

    def _compare(self) -> None:
        """The lane's key must be in the signer's list."""
        keys = self._listed_keys()
        mine = next((key for key, address in keys.items() if address == self._address), None)
        given = None if self._identifier is None else _PUBLIC_KEY.fullmatch(self._identifier)
        if given is not None:
            found = _address_of(given.group(1))
            if found != self._address:
                raise InvalidInput(
                    f"the identifier's key has the address {found or 'of no key'}, configured is"
                    f" {self._address}",
                    field="identifier",
                )
        if mine is None:
            raise Refused(
                f"signer {self._http.name} has {len(keys)} keys and none of {self._address};"
                " load the lane's key into it",
                expected_address=self._address,
            )
        self._identifier = self._identifier or mine

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address} at {self._http.name})"

    def _signature(self, unsigned: bytes, digest: bytes) -> Signature:  # noqa: ARG002
        assert self._identifier is not None
        reply = self._http.post(
            SIGN_PATH + self._identifier,
            {"data": "0x" + unsigned.hex()},
            bytes_max=SIGNATURE_BYTES_MAX,
        )
        match = _SIGNATURE.fullmatch(self._text(reply).strip())
        if match is None:
            raise self._malformed("a signature is 0x and 130 hex digits")
        content = bytes.fromhex(match.group(1))
        y_parity = _Y_PARITY_BY_V.get(content[64])
        if y_parity is None:
            raise self._malformed("v is none of 0, 1, 27 and 28")
        return Signature(
            r=int.from_bytes(content[:32], "big"),
            s=int.from_bytes(content[32:64], "big"),
            y_parity=y_parity,
        )

    def _listed_keys(self) -> dict[str, Address]:
        text = self._text(self._http.get(PUBLIC_KEYS_PATH, bytes_max=KEYS_BYTES_MAX))
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError):
            listed = None
        if not isinstance(listed, list):
            raise self._malformed("the list of public keys is not a JSON list")
        keys: dict[str, Address] = {}
        for entry in listed:
            match = _PUBLIC_KEY.fullmatch(entry) if isinstance(entry, str) else None
            address = None if match is None else _address_of(match.group(1))
            if address is not None:
                keys[entry] = address
        return keys

    def _text(self, reply: RemoteReply) -> str:
        """The body of a 200 in ASCII; anything else in the words of its family of errors."""
        status = reply.status
        if status == 200:
            try:
                return reply.body.decode("ascii")
            except UnicodeDecodeError:
                raise self._malformed("it is not plain text") from None
        if status in (408, 425, 429) or status >= 500:
            raise Transient(
                f"signer {self._http.name} cannot sign now (HTTP {status})", http_status=status
            )
        mend = _MENDS.get(status, "check that url is Web3Signer's base address")
        if 300 <= status < 400:
            mend = "it redirects, which is not followed; set url to where it really is"
        raise Refused(
            f"signer {self._http.name} refused (HTTP {status}): {mend}", http_status=status
        )

    def _malformed(self, why: str) -> Refused:
        return Refused(
            f"signer {self._http.name} answered in a form that is not understood: {why}; check"
            " that url leads to Web3Signer in eth1 mode",
            reason="malformed",
        )


def _address_of(point_hex: str) -> Address | None:
    """The address of an uncompressed point without its prefix; None when it is not on the curve."""
    try:
        return address_of_public_key(PublicKey(b"\x04" + bytes.fromhex(point_hex)))
    except ValueError:
        return None
