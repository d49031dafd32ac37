"""`GET /v1/events`: the outbox as Server-Sent Events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from settlement_node.api.context import Context
from settlement_node.api.documents import problems
from settlement_node.api.fields import ID_MAX
from settlement_node.api.hub import Gap, Opened, StreamEvent, StreamItem
from settlement_node.api.security import Reader
from settlement_node.domain.topics import TOPIC_KINDS, TOPICS
from settlement_node.errors import InvalidInput

router = APIRouter(tags=["events"])

RETRY_MILLISECONDS = 1_000
TOPICS_MAX = 20
GAP_EVENT = "gap"


def _position(
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=20, description="Resume behind this event."),
    ] = None,
    after: Annotated[
        int | None,
        Query(ge=0, le=ID_MAX, description="The same as a query parameter; 0 is the beginning."),
    ] = None,
) -> int | None:
    """Where to resume, checked before the stream begins; None is live only."""
    if not last_event_id:
        return after
    if not last_event_id.isascii() or not last_event_id.isdigit():
        raise InvalidInput("Last-Event-ID must be the id of an event", field="Last-Event-ID")
    return min(int(last_event_id), ID_MAX)


async def _items(
    context: Context, position: Annotated[int | None, Depends(_position)]
) -> AsyncIterator[AsyncIterator[StreamItem]]:
    """Closed when the request ends: the endpoint's own generator may be dropped at any item. Its
    place is taken before the answer begins, while it can still be refused."""
    with context.hub.place():
        async with aclosing(context.hub.stream(after=position)) as items:
            yield items


def _topics(
    topic: Annotated[
        list[str] | None,
        Query(
            description="Only these topics, whole (`redemption.settled`) or by their first word"
            " (`redemption`). May be given several times.",
            max_length=TOPICS_MAX,
            examples=[["redemption", "break.opened"]],
        ),
    ] = None,
) -> tuple[str, ...]:
    for word in topic or ():
        if word not in TOPICS and word not in TOPIC_KINDS:
            raise InvalidInput(
                f"topic {word[:60]!r} is not known; there are {', '.join(TOPIC_KINDS)}, and each"
                f" with its own words, such as {TOPICS[0]}",
                field="topic",
            )
    return tuple(topic or ())


@router.get(
    "/v1/events",
    response_class=EventSourceResponse,
    dependencies=[Reader],
    summary="Follow what happens",
    responses=problems(401, 422, 503),
)
async def stream_events(
    items: Annotated[AsyncIterator[StreamItem], Depends(_items)],
    topics: Annotated[tuple[str, ...], Depends(_topics)],
) -> AsyncIterator[ServerSentEvent]:
    """Events in commit order, each with its id; reconnecting with `Last-Event-ID` loses none.

    The event's name is its topic, its data a JSON object with `event_id`, `topic`, `subject_id`,
    `payload` and `created_at_utc`. A `gap` event comes first when the position asked for is older
    than what is kept, or newer than anything there ever was: read the book again then. Comments
    keep the connection open.
    """
    async for item in items:
        match item:
            case StreamEvent():
                if wanted(item.topic, topics):
                    number, told = str(item.event_id), item.model_dump_json()
                    yield ServerSentEvent(id=number, event=item.topic, raw_data=told)
            case Gap():
                yield ServerSentEvent(event=GAP_EVENT, data=asdict(item))
            case Opened():
                yield ServerSentEvent(
                    comment=f"open behind {item.position}", retry=RETRY_MILLISECONDS
                )


def wanted(topic: str, topics: tuple[str, ...]) -> bool:
    """Whether a topic passes the filter; no filter passes everything."""
    return not topics or any(topic == word or topic.startswith(word + ".") for word in topics)
