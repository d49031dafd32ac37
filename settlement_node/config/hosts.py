"""Which hosts are this machine, and which ways to an endpoint anybody may stand on."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""Names of this machine."""


def plain_http_fault(url: str) -> str | None:
    """What is wrong with an address that is plain HTTP to another machine, else `None`. What is no
    address at all is said where it is opened."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme != "http" or host in LOOPBACK_HOSTS:
        return None
    return (
        f"url is plain http:// to {host}, so anybody on the way can change its answers; use"
        " https://, or set allow_plain_http = true where the way is guarded otherwise"
    )
