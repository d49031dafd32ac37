"""What answers are made of: their base, and amounts, addresses and hashes as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

EXAMPLE_ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
EXAMPLE_HASH = "0x" + "5e" * 32


def examples(*values: dict[str, Any]) -> ConfigDict:
    """Model configuration that shows these bodies in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": list(values)})


class Answer(BaseModel):
    """Base of what goes out. A field may hold a row or value with the attributes of its answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    @classmethod
    def of(cls, source: object, **more: Any) -> Self:
        """From a row or value that has these fields among others, and `more`, which are those it
        has not."""
        names = [name for name in cls.model_fields if name not in more]
        if isinstance(source, Mapping):
            return cls(**{name: source[name] for name in names}, **more)
        return cls(**{name: getattr(source, name) for name in names}, **more)


BaseUnitsOut = Annotated[
    int,
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^-?[0-9]+$",
            "description": "Base units in plain digits.",
            "examples": ["2500000"],
        },
        mode="serialization",
    ),
]
"""An integer here, a string of digits in JSON."""
AddressOut = Annotated[
    str, Field(description="EIP-55 checksummed address.", examples=[EXAMPLE_ADDRESS])
]
HashOut = Annotated[
    str, Field(description="32 bytes as a lower-case 0x string.", examples=[EXAMPLE_HASH])
]
