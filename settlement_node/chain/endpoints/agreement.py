"""What endpoints answered to one question, and how two answers are told apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from settlement_node.chain.endpoints.endpoint import Endpoint
from settlement_node.domain.observations import Block
from settlement_node.errors import Transient

_Content = TypeVar("_Content")
_SHOWN_CHARACTERS_MAX = 160


@dataclass(frozen=True, slots=True)
class Answer(Generic[_Content]):
    """One endpoint's answer, not yet judged."""

    endpoint: Endpoint
    content: _Content
    latency_seconds: float


class EndpointsDisagree(Transient):
    """Endpoints answer one question differently, and nothing decides between them: whatever hangs
    on it stays as it is until they agree, or another endpoint decides."""

    code: ClassVar[str] = "endpoints_disagree"


def who_says_what(answers: Sequence[Answer[object]]) -> str:
    """Each endpoint's answer by name, as far as it differs from the first one's."""
    first = answers[0].content
    other = next((item.content for item in answers if item.content != first), first)
    words = [f"{answers[0].endpoint.name} says {difference(first, other)[0]}"]
    words += [
        f"{item.endpoint.name} says {difference(item.content, first)[0]}" for item in answers[1:]
    ]
    return ", ".join(words)


def difference(left: object, right: object) -> tuple[str, str]:
    """Both in words: where they are lists of one length, only the first entry that differs."""
    while (
        isinstance(left, tuple | list)
        and isinstance(right, tuple | list)
        and len(left) == len(right)
        and left != right
    ):
        left, right = next(
            (one, other) for one, other in zip(left, right, strict=True) if one != other
        )
    return _shown(left), _shown(right)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        value = "0x" + value.hex()
    elif isinstance(value, tuple | list) and len(value) > 2:
        return f"{len(value)} entries"
    elif isinstance(value, Block):
        return f"block {value.number} {value.block_hash} with header {value}"
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"
