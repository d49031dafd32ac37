"""Field types the schemas share: each reads hostile text and says in words what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

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
)

ID_MAX = INT64_MAX
"""The largest row number a database gives."""
YEAR_MIN, YEAR_MAX = 2000, 2200


class InputSchema(BaseModel):
    """Base of what comes in: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _in_words(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("must be a string")
        try:
            return parse(value)
        except InvalidInput as error:
            raise ValueError(error.message.removeprefix("it ")) from None

    return read


def _base_units(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(
            'must be a string of base units such as "2500000"; JSON numbers lose digits'
        )
    try:
        return parse_base_units(value, field="it")
    except InvalidInput as error:
        raise ValueError(error.message.removeprefix("it ")) from None


def _time(value: Any) -> datetime:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError('must be a time such as "2026-01-31T12:00:00Z"')
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError('must be a time such as "2026-01-31T12:00:00Z"') from None
    if at.tzinfo is None:
        raise ValueError("must name its zone, for example with a Z for UTC")
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise ValueError(f"must lie between the years {YEAR_MIN} and {YEAR_MAX}")
    return at.astimezone(UTC)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


AddressIn = Annotated[
    Address,
    BeforeValidator(_in_words(lambda text: parse_address(text, field="it"))),
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
    BeforeValidator(_in_words(lambda text: parse_hex32(text, field="it"))),
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
    BeforeValidator(_base_units),
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
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
ExternalIdIn = Annotated[
    str,
    BeforeValidator(_in_words(lambda text: check_external_id(text, field="it"))),
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
