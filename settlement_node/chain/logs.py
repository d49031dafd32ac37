"""Reading event logs in pages that fit what each endpoint allows, from endpoints that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from settlement_node.chain.contracts import decode_settler_events
from settlement_node.chain.endpoint import Endpoint, EndpointFailed, LogRangeTooLarge
from settlement_node.chain.endpoint_set import EndpointSet
from settlement_node.chain.heads import HeadTracker
from settlement_node.chain.tokens import decode_transfers
from settlement_node.chain.transport import TransportFailed
from settlement_node.chain.words import MalformedData
from settlement_node.domain.observations import (
    BatchSettledEvent,
    Log,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SettlerEvent,
    TransferEvent,
)
from settlement_node.errors import InvalidInput, InvariantBroken, Transient
from settlement_node.units import Address, Hex32

Topics = Sequence[Sequence[Hex32] | None]
"""By position: any of these, or anything for `None`."""
_Event = TypeVar("_Event")


@dataclass(frozen=True, slots=True)
class _Question(Generic[_Event]):
    """Which logs, and how an endpoint's page of them is read; MalformedData says what is wrong."""

    addresses: Sequence[Address]
    topics: Topics
    read_page: Callable[[Sequence[Log]], list[_Event]]


@dataclass(slots=True)
class _PageSize:
    """How many blocks an endpoint is asked about at once, and what that may grow to for now."""

    blocks: int
    largest_blocks: int


class LogReader:
    """Pages through `eth_getLogs`. Remembers each endpoint's page size between calls."""

    def __init__(self, endpoints: EndpointSet, heads: HeadTracker, *, page_blocks: int) -> None:
        """`page_blocks` is the largest page asked for."""
        if page_blocks < 1:
            raise InvalidInput("log_page_blocks must be at least 1", field="log_page_blocks")
        self._endpoints = endpoints
        self._heads = heads
        self._page_blocks_max = page_blocks
        self._sizes: dict[str, _PageSize] = {}

    def read(
        self,
        addresses: Sequence[Address],
        topics: Topics,
        read_page: Callable[[Sequence[Log]], list[_Event]],
        *,
        from_block: int,
        to_block: int,
    ) -> list[_Event]:
        """What `read_page` makes of the agreed chain's logs between both blocks inclusive, in chain
        order. Where it raises MalformedData for an endpoint's page, another endpoint is asked.

        Raises InvalidInput for a range that ends above the agreed head, since nothing there is
        agreed yet, and Transient when no endpoint that has the agreed head answers.
        """
        head = self._heads.view.head
        if from_block < 0:
            raise InvalidInput("from_block is negative", field="from_block")
        if to_block > head.number:
            raise InvalidInput(
                f"to_block {to_block} is above the agreed head {head.number}", field="to_block"
            )
        question = _Question(addresses, topics, read_page)
        events: list[_Event] = []
        start = from_block
        while addresses and start <= to_block:
            page, end = self._page(question, start=start, to_block=to_block)
            events += page
            start = end + 1
        for size in tuple(self._sizes.values()):
            size.largest_blocks = min(size.largest_blocks * 2, self._page_blocks_max)
        return events

    def _page(
        self, question: _Question[_Event], *, start: int, to_block: int
    ) -> tuple[list[_Event], int]:
        """One page from the first endpoint that answers, and the block it ends with."""
        errors: list[str] = []
        for endpoint in self._endpoints.in_order():
            try:
                return self._page_of(endpoint, question, start=start, to_block=to_block)
            except Transient as error:
                errors.append(error.message)
        raise Transient("no endpoint gave logs: " + ("; ".join(errors) or "none is usable"))

    def _page_of(
        self, endpoint: Endpoint, question: _Question[_Event], *, start: int, to_block: int
    ) -> tuple[list[_Event], int]:
        size = self._sizes.setdefault(
            endpoint.name, _PageSize(self._page_blocks_max, self._page_blocks_max)
        )
        while True:
            end = min(start + size.blocks - 1, to_block)
            try:
                events = self._endpoints.ask(
                    endpoint, partial(self._checked, question=question, start=start, end=end)
                )
            except LogRangeTooLarge:
                if end == start:
                    raise
                size.blocks = (end - start + 1) // 2
                continue
            except TransportFailed:
                # It may have been too much to find or to send in time: the next time less is asked
                # for, and not more again before a whole read has passed.
                if end > start:
                    size.blocks = size.largest_blocks = (end - start + 1) // 2
                raise
            size.blocks = min(size.blocks * 2, size.largest_blocks)
            return events, end

    def _checked(
        self, endpoint: Endpoint, *, question: _Question[_Event], start: int, end: int
    ) -> list[_Event]:
        """Logs from an endpoint that has the agreed head; others might leave some out silently."""
        head = self._heads.view.head
        logs, at_head = endpoint.logs(
            addresses=question.addresses,
            topics=question.topics,
            from_block=start,
            to_block=end,
            head_number=head.number,
        )
        if at_head is None or at_head.block_hash != head.block_hash:
            raise EndpointFailed(
                f"endpoint {endpoint.name} does not have the agreed head {head.number}",
                endpoint=endpoint.name,
            )
        try:
            _check_asked_for(logs, question, start=start, end=end)
            return question.read_page(
                sorted(logs, key=lambda log: (log.block_number, log.log_index))
            )
        except MalformedData as error:
            raise EndpointFailed(
                f"endpoint {endpoint.name} {error}", endpoint=endpoint.name
            ) from error


def _check_asked_for(
    logs: Sequence[Log], question: _Question[_Event], *, start: int, end: int
) -> None:
    """Raises MalformedData where these logs are no answer to the question."""
    if any(not start <= log.block_number <= end for log in logs):
        raise MalformedData("gave logs of blocks it was not asked about")
    if not all(
        log.address in question.addresses and _matches(log, question.topics) for log in logs
    ):
        raise MalformedData("gave logs of addresses or topics it was not asked about")
    if len({(log.block_number, log.log_index) for log in logs}) < len(logs):
        raise MalformedData("gave a log twice")


def _matches(log: Log, topics: Topics) -> bool:
    return len(log.topics) >= len(topics) and all(
        wanted is None or topic in wanted for topic, wanted in zip(log.topics, topics, strict=False)
    )


def read_events(logs: Sequence[Log]) -> list[SettlerEvent]:
    """Settler events; MalformedData where some of a batch are missing or not as they were."""
    try:
        events = decode_settler_events(logs)
    except InvariantBroken as error:
        raise MalformedData(f"gave what is no event of this settler: {error.message}") from error
    incomplete = incomplete_batch(events)
    if incomplete is not None:
        raise MalformedData(f"left out settler events of transaction {incomplete}")
    return events


def read_transfers(logs: Sequence[Log]) -> list[TransferEvent]:
    """A token's transfers; MalformedData where one is none."""
    try:
        return decode_transfers(logs)
    except MalformedData as error:
        raise MalformedData(f"gave what is no transfer of this token: {error}") from error


def incomplete_batch(events: Sequence[SettlerEvent]) -> Hex32 | None:
    """A transaction some of whose settler events are missing, or `None`.

    Every batch says how many items it settled and skipped, so a log that an endpoint lost shows.
    """
    settled: Counter[tuple[Hex32, Address]] = Counter()
    skipped: Counter[tuple[Hex32, Address]] = Counter()
    for event in events:
        key = (event.place.transaction_hash, event.place.settler_address)
        if isinstance(event, RedemptionSettledEvent):
            settled[key] += 1
        elif isinstance(event, RedemptionSkippedEvent):
            skipped[key] += 1
        elif isinstance(event, BatchSettledEvent):
            settled[key] -= event.settled_count
            skipped[key] -= event.skipped_count
    for key, difference in (*settled.items(), *skipped.items()):
        if difference != 0:
            return key[0]
    return None
