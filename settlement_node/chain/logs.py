"""Reading event logs in pages that fit what each endpoint allows, from endpoints that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

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
)
from settlement_node.errors import InvalidInput, InvariantBroken, Transient
from settlement_node.units import Address, Hex32

Topics = Sequence[Sequence[Hex32] | None]
"""By position: any of these, or anything for `None`."""
Check = Callable[[Sequence[Log]], str | None]
"""What is wrong with a page of logs from one endpoint, or `None`."""


class LogReader:
    """Pages through `eth_getLogs`. Remembers each endpoint's page size between calls."""

    def __init__(self, endpoints: EndpointSet, heads: HeadTracker, *, page_blocks: int) -> None:
        """`page_blocks` is the largest page asked for."""
        if page_blocks < 1:
            raise InvalidInput("log_page_blocks must be at least 1", field="log_page_blocks")
        self._endpoints = endpoints
        self._heads = heads
        self._page_blocks_max = page_blocks
        self._page_blocks: dict[str, int] = {}
        self._largest_blocks: dict[str, int] = {}
        """Where a page was not answered: what its size may grow to again, for now."""

    def read(
        self,
        addresses: Sequence[Address],
        topics: Topics,
        *,
        from_block: int,
        to_block: int,
        check: Check | None = None,
    ) -> list[Log]:
        """Logs of the agreed chain between both blocks inclusive, in chain order.

        Where `check` says what is wrong with an endpoint's page, another endpoint is asked.
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
        logs: list[Log] = []
        start = from_block
        while addresses and start <= to_block:
            page, end = self._page(addresses, topics, start=start, to_block=to_block, check=check)
            logs += page
            start = end + 1
        for name, blocks in tuple(self._largest_blocks.items()):
            self._largest_blocks[name] = min(blocks * 2, self._page_blocks_max)
        logs.sort(key=lambda log: (log.block_number, log.log_index))
        return logs

    def _page(
        self,
        addresses: Sequence[Address],
        topics: Topics,
        *,
        start: int,
        to_block: int,
        check: Check | None,
    ) -> tuple[tuple[Log, ...], int]:
        """One page from the first endpoint that answers, and the block it ends with."""
        errors: list[str] = []
        for endpoint in self._endpoints.in_order():
            try:
                return self._page_of(
                    endpoint, addresses, topics, start=start, to_block=to_block, check=check
                )
            except Transient as error:
                errors.append(error.message)
        raise Transient("no endpoint gave logs: " + ("; ".join(errors) or "none is usable"))

    def _page_of(
        self,
        endpoint: Endpoint,
        addresses: Sequence[Address],
        topics: Topics,
        *,
        start: int,
        to_block: int,
        check: Check | None,
    ) -> tuple[tuple[Log, ...], int]:
        size = self._page_blocks.get(endpoint.name, self._page_blocks_max)
        while True:
            end = min(start + size - 1, to_block)
            try:
                logs = self._endpoints.ask(
                    endpoint,
                    partial(
                        self._checked,
                        addresses=addresses,
                        topics=topics,
                        start=start,
                        end=end,
                        check=check,
                    ),
                )
            except LogRangeTooLarge:
                if end == start:
                    raise
                size = max(1, (end - start + 1) // 2)
                self._page_blocks[endpoint.name] = size
                continue
            except TransportFailed:
                # It may have been too much to find or to send in time: the next time less is asked
                # for, and not more again before a whole read has passed.
                if end > start:
                    size = (end - start + 1) // 2
                    self._page_blocks[endpoint.name] = self._largest_blocks[endpoint.name] = size
                raise
            largest = self._largest_blocks.get(endpoint.name, self._page_blocks_max)
            self._page_blocks[endpoint.name] = min(size * 2, largest)
            return logs, end

    def _checked(
        self,
        endpoint: Endpoint,
        *,
        addresses: Sequence[Address],
        topics: Topics,
        start: int,
        end: int,
        check: Check | None,
    ) -> tuple[Log, ...]:
        """Logs from an endpoint that has the agreed head; others might leave some out silently."""
        head = self._heads.view.head
        logs, at_head = endpoint.logs(
            addresses=addresses,
            topics=topics,
            from_block=start,
            to_block=end,
            head_number=head.number,
        )
        if at_head is None or at_head.block_hash != head.block_hash:
            raise EndpointFailed(
                f"endpoint {endpoint.name} does not have the agreed head {head.number}",
                endpoint=endpoint.name,
            )
        wrong = _wrong(logs, addresses, topics, start=start, end=end)
        if wrong is None and check is not None:
            wrong = check(logs)
        if wrong is not None:
            raise EndpointFailed(f"endpoint {endpoint.name} {wrong}", endpoint=endpoint.name)
        return logs


def _wrong(
    logs: Sequence[Log], addresses: Sequence[Address], topics: Topics, *, start: int, end: int
) -> str | None:
    """What shows that these logs are no answer to the question."""
    if any(not start <= log.block_number <= end for log in logs):
        return "gave logs of blocks it was not asked about"
    if not all(log.address in addresses and _matches(log, topics) for log in logs):
        return "gave logs of addresses or topics it was not asked about"
    if len({(log.block_number, log.log_index) for log in logs}) < len(logs):
        return "gave a log twice"
    return None


def _matches(log: Log, topics: Topics) -> bool:
    return len(log.topics) >= len(topics) and all(
        wanted is None or topic in wanted for topic, wanted in zip(log.topics, topics, strict=False)
    )


def wrong_with_events(logs: Sequence[Log]) -> str | None:
    """What shows that these are not all settler events of their blocks, or not as they were."""
    try:
        incomplete = incomplete_batch(decode_settler_events(logs))
    except InvariantBroken as error:
        return f"gave what is no event of this settler: {error.message}"
    if incomplete is not None:
        return f"left out settler events of transaction {incomplete}"
    return None


def wrong_with_transfers(logs: Sequence[Log]) -> str | None:
    """What shows that these are not the token's transfers."""
    try:
        decode_transfers(logs)
    except MalformedData as error:
        return f"gave what is no transfer of this token: {error}"
    return None


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
