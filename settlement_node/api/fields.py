"""Field types the schemas share: each reads hostile text and says in words what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from settlement_node.desk.actions import REASON_LENGTH_MAX, REASON_LENGTH_MIN
from settlement_node.domain.redemption import EXTERNAL_ID_LENGTH_MAX, check_external_id
from settlement_node.errors import InvalidInput
from settlement_node.reads.shapes import EXAMPLE_ADDRESS, EXAMPLE_HASH
from settlement_node.units import (
    INT64_MAX,
    Address,
    Hex32,
    parse_address,
    parse_base_units,
    parse_hex32,
    parse_time,
)

ID_MAX = INT64_MAX
"""The largest row number a database gives."""


class InputSchema(BaseModel):
    """Base of what comes in: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _in_words(parse: Callable[..., Any], other: str = "must be a string") -> Callable[[Any], Any]:
    """A parser of units or domain for a value of JSON; `other` says what is taken but text."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(other)
        try:
            return parse(value, field="it")
        except InvalidInput as error:
            raise ValueError(error.message.removeprefix("it ")) from None

    return read


BASE_UNITS = 'must be a string of base units such as "2500000"; JSON numbers lose digits'


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


AddressIn = Annotated[
    Address,
    BeforeValidator(_in_words(parse_address)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^0x[0-9a-fA-F]{40}$",
            "description": "EIP-55 checksummed address.",
            "examples": [EXAMPLE_ADDRESS],
        }
    ),
]
HashIn = Annotated[
    Hex32,
    BeforeValidator(_in_words(parse_hex32)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^0x[0-9a-fA-F]{64}$",
            "description": "32 bytes as a 0x string.",
            "examples": [EXAMPLE_HASH],
        }
    ),
]
BaseUnitsIn = Annotated[
    int,
    BeforeValidator(_in_words(parse_base_units, BASE_UNITS)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]{1,78}$",
            "description": "Base units in plain digits, 1 to 2^256 - 1.",
            "examples": ["2500000000000000000"],
        }
    ),
]
TimeIn = Annotated[
    datetime,
    BeforeValidator(_in_words(parse_time)),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
ExternalIdIn = Annotated[
    str,
    BeforeValidator(_in_words(check_external_id)),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": EXTERNAL_ID_LENGTH_MAX,
            "description": "Your own id of the order; names one redemption of the fund for ever.",
            "examples": ["ORDER-2026-000017"],
        }
    ),
]
FundIdIn = Annotated[
    str, Field(min_length=1, max_length=64, examples=["growth-fund"]), AfterValidator(_printable)
]
ReasonIn = Annotated[
    str,
    Field(
        min_length=REASON_LENGTH_MIN,
        max_length=REASON_LENGTH_MAX,
        examples=["withdrawn by the investor"],
    ),
    AfterValidator(_printable),
]
SearchIn = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]

PAGE_MAX = 200
PAGE_DEFAULT = 50
CURSOR_LENGTH_MAX = 512

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description=f"Entries in a page, 1 to {PAGE_MAX}.")]
CursorIn = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=CURSOR_LENGTH_MAX,
        description="`next_cursor` of the page before; leave it out for the first page.",
    ),
]
