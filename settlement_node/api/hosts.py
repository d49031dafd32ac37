"""The names under which the API is served.

A web page can point a name of its own at this machine (DNS rebinding), and its visitors' browsers
then read the API as if it were that page's. They send the page's name as `Host`, so a request for
any other name than ours is refused.
"""

from __future__ import annotations

import ipaddress

from settlement_node.config.sections import ApiSettings

SHOWN_MAX = 100
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ServedNames:
    """The names and addresses of a configuration: where it listens, and `api.host_names`."""

    __slots__ = ("_host", "_listens_at", "_names")

    def __init__(self, settings: ApiSettings) -> None:
        self._host = settings.host.lower()
        self._listens_at = _address(self._host)
        self._names = frozenset({*settings.host_names, self._host, "localhost"})

    def serve(self, host_header: bytes | None) -> bool:
        """Whether a request with this `Host` is for us. Its port is not compared: it is a proxy's
        where there is one."""
        name = _name(host_header)
        if name is None:
            return False
        if name in self._names:
            return True
        address = _address(name)
        if address is None:
            return False
        # No page can make a browser send an address but by being served from it.
        if self._listens_at is None or self._listens_at.is_loopback:
            return address.is_loopback
        return self._listens_at.is_unspecified or address == self._listens_at


def shown_host(host_header: bytes | None) -> str:
    """What was asked for, fit to be shown."""
    text = (host_header or b"").decode("ascii", "replace")[:SHOWN_MAX]
    return text if text.isprintable() and text else "nothing"


def _name(host_header: bytes | None) -> str | None:
    text = (host_header or b"").decode("latin-1").strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        return name if bracket and (not rest or _is_port(rest)) else None
    name, colon, port = text.partition(":")
    if colon and not _is_port(":" + port):
        return None
    return name.rstrip(".") or None


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6


def _address(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
