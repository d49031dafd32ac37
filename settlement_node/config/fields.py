"""What the sections of the settings are made of: their base, and the types some of them share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from settlement_node.errors import InvalidInput
from settlement_node.units import Address, parse_address

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""Names of this machine."""
_Made = TypeVar("_Made")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9.])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


def refuse_repeats(values: list[Any], what: str) -> None:
    """Raises ValueError naming the first value that is there twice."""
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{what} {repeated[0]} appears twice; each must be its own")


def as_value_error(make: Callable[[], _Made]) -> _Made:
    """What the domain makes of it, or what it refuses as the settings' own fault."""
    try:
        return make()
    except InvalidInput as error:
        raise ValueError(error.message) from None


def _checked_address(text: object) -> Address:
    if not isinstance(text, str):
        raise ValueError("an address is text in quotes")
    return as_value_error(lambda: parse_address(text, field="it"))


def _variable_name(text: object) -> str:
    if not isinstance(text, str) or not _VARIABLE.fullmatch(text):
        raise ValueError("it must be the name of an environment variable, never the secret itself")
    return text


def _host_name(text: object) -> str:
    if not isinstance(text, str) or not _HOST_NAME.fullmatch(text):
        raise ValueError("a name is letters, digits, dots and hyphens, without scheme or port")
    return text.lower().rstrip(".")


HostName = Annotated[str, BeforeValidator(_host_name)]
Variable = Annotated[str, BeforeValidator(_variable_name)]
CheckedAddress = Annotated[Address, BeforeValidator(_checked_address)]
"""An address whose EIP-55 checksum was verified."""
Seconds = Annotated[float, Field(gt=0, le=86_400)]


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


class Section(BaseModel):
    """Base of every part: frozen, unknown keys refused, values kept out of error texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
