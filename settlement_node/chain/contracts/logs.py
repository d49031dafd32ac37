"""Reading event logs in pages that fit what endpoints allow, and that no single one decides."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar

from settlement_node.chain.contracts.settler import decode_settler_events
from settlement_node.chain.contracts.tokens import decode_transfers
from settlement_node.chain.endpoints.agreement import Answer
from settlement_node.chain.endpoints.endpoint import Endpoint, EndpointFailed, LogRangeTooLarge
from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.chain.endpoints.heads import HeadTracker
from settlement_node.chain.endpoints.proving import BlockProver
from settlement_node.chain.wire.transport import TransportFailed
from settlement_node.chain.wire.words import MalformedData
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
BLOCKS_PROVEN_MAX = 16
"""Most blocks proven for one page; where endpoints differ about more, less is asked for at once."""
PROVEN_KEPT_MAX = 4_096
"""Proven blocks whose logs to a question are remembered, so that a lie told again costs nothing."""


@dataclass(frozen=True, slots=True)
class _Question(Generic[_Event]):
    """Which logs, and how a page of them is read; MalformedData says what is wrong with it."""

    addresses: tuple[Address, ...]
    topics: tuple[tuple[Hex32, ...] | None, ...]
    read_page: Callable[[Sequence[Log]], list[_Event]]

    @property
    def about(self) -> str:
        """For people, the same for every page."""
        return f"the logs of {', '.join(self.addresses)}"

    def asks_for(self, log: Log) -> bool:
        """Whether a log is part of the answer."""
        return log.address in self.addresses and _matches(log, self.topics)

    def read(self, logs: tuple[Log, ...]) -> _Page[_Event]:
        """The page of these logs."""
        try:
            return _Page(logs, None, tuple(self.read_page(logs)))
        except MalformedData as error:
            return _Page(logs, str(error))


@dataclass(frozen=True, slots=True)
class _Page(Generic[_Event]):
    """Logs of a range in chain order, and what they were read as. `fault` says what is wrong with
    them by themselves: such a page decides nothing, but shows where endpoints differ."""

    logs: tuple[Log, ...]
    fault: str | None = None
    events: tuple[_Event, ...] = field(default=(), compare=False)

    def by_block(self) -> dict[int, tuple[Log, ...]]:
        """The logs of each block that has some."""
        return {
            number: tuple(logs)
            for number, logs in groupby(self.logs, key=lambda log: log.block_number)
        }


class LogReader:
    """Pages through `eth_getLogs`. Remembers the page size between calls."""

    def __init__(
        self, endpoints: EndpointSet, heads: HeadTracker, prover: BlockProver, *, page_blocks: int
    ) -> None:
        """`page_blocks` is the largest page asked for."""
        if page_blocks < 1:
            raise InvalidInput("log_page_blocks must be at least 1", field="log_page_blocks")
        self._endpoints = endpoints
        self._heads = heads
        self._prover = prover
        self._page_blocks_max = page_blocks
        self._blocks = self._largest_blocks = page_blocks
        self._proven: OrderedDict[object, tuple[Log, ...]] = OrderedDict()

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
        order. A page counts when enough endpoints that have the agreed head give it alike; where
        they differ, the blocks they differ about are proven by their receipts.

        Raises InvalidInput for a range that ends above the agreed head, since nothing there is
        agreed yet, and Transient when too few endpoints answer or nothing decides between them.
        """
        head = self._heads.view.head
        if from_block < 0:
            raise InvalidInput("from_block is negative", field="from_block")
        if to_block > head.number:
            raise InvalidInput(
                f"to_block {to_block} is above the agreed head {head.number}", field="to_block"
            )
        question = _Question(
            tuple(addresses),
            tuple(None if topic is None else tuple(topic) for topic in topics),
            read_page,
        )
        events: list[_Event] = []
        start = from_block
        while addresses and start <= to_block:
            page, end = self._page(question, start=start, to_block=to_block)
            events += page
            start = end + 1
        self._largest_blocks = min(self._largest_blocks * 2, self._page_blocks_max)
        return events

    def _page(
        self, question: _Question[_Event], *, start: int, to_block: int
    ) -> tuple[tuple[_Event, ...], int]:
        """The agreed page, and the block it ends with."""
        while True:
            end = min(start + self._blocks - 1, to_block)
            try:
                page = self._agreed(question, start=start, end=end)
            except LogRangeTooLarge:
                if end == start:
                    raise
                self._blocks = (end - start + 1) // 2
                continue
            except _NotSent as error:
                # It may have been too much to find or to send in time: the next time less is asked
                # for, and not more again before a whole read has passed.
                if end > start:
                    self._blocks = self._largest_blocks = (end - start + 1) // 2
                raise Transient(error.message) from error
            self._blocks = min(self._blocks * 2, self._largest_blocks)
            return page.events, end

    def _agreed(self, question: _Question[_Event], *, start: int, end: int) -> _Page[_Event]:
        """The page that enough endpoints give, or that is proven."""
        transport_failed = False
        read: dict[tuple[Log, ...], _Page[_Event]] = {}

        def ask(endpoint: Endpoint) -> _Page[_Event] | None:
            nonlocal transport_failed
            try:
                logs, fault = self._logs_of(endpoint, question, start=start, end=end)
            except LogRangeTooLarge:
                return None  # a limit, and no failure
            except TransportFailed:
                transport_failed = True
                raise
            if logs not in read:
                read[logs] = question.read(logs)
            return read[logs] if fault is None else _Page(logs, fault)

        votes: dict[_Page[_Event], list[Answer[_Page[_Event]]]] = {}
        voters: set[str] = set()
        errors: list[str] = []
        too_large = False
        try:
            for answer in self._endpoints.answers(ask, errors=errors):
                page = answer.content
                if page is None:
                    too_large = True
                    continue
                voters.add(answer.endpoint.name)
                same = votes.setdefault(page, [])
                same.append(Answer(answer.endpoint, page, answer.latency_seconds))
                if len(same) >= self._endpoints.agreement and page.fault is None:
                    self._judge(question, page, votes)
                    return page
        except Transient as error:
            raise (_NotSent(error.message) if transport_failed else error) from error
        if len({page.logs for page in votes}) > 1 and len(voters) >= self._endpoints.agreement:
            return self._proven_page(question, votes, start=start, end=end)
        if too_large:
            raise LogRangeTooLarge("endpoints want to be asked about fewer blocks of logs at once")
        faults = [
            f"endpoint {answer.endpoint.name} {page.fault}"
            for page, group in votes.items()
            for answer in group
            if page.fault is not None
        ]
        raise (_NotSent if transport_failed else Transient)(
            f"too few endpoints gave {question.about}, {self._endpoints.agreement} must agree: "
            + ("; ".join(dict.fromkeys([*faults, *errors])) or "no more are usable")
        )

    def _logs_of(
        self, endpoint: Endpoint, question: _Question[_Event], *, start: int, end: int
    ) -> tuple[tuple[Log, ...], str | None]:
        """Logs from an endpoint that has the agreed head, as others might leave some out silently;
        and what is wrong where it gave more than was asked for."""
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
        fitting = {
            (log.block_number, log.log_index): log
            for log in logs
            if start <= log.block_number <= end and question.asks_for(log)
        }
        ordered = tuple(fitting[place] for place in sorted(fitting))
        if len(fitting) < len(logs):
            return ordered, "gave a log twice, or of what it was not asked about"
        return ordered, None

    def _proven_page(
        self,
        question: _Question[_Event],
        votes: dict[_Page[_Event], list[Answer[_Page[_Event]]]],
        *,
        start: int,
        end: int,
    ) -> _Page[_Event]:
        """Where pages differ, the blocks they differ about decide. What all of them say alike of
        the other blocks is what enough endpoints say, or this raises."""
        answers = [answer for group in votes.values() for answer in group]
        blocks = [page.by_block() for page in votes]
        differing = sorted(
            number
            for number in {number for page in blocks for number in page}
            if len({page.get(number) for page in blocks}) > 1
        )
        if len(differing) > BLOCKS_PROVEN_MAX and end > start:
            raise LogRangeTooLarge("the endpoints differ about too many blocks at once")
        proven = self._prove(question, differing)
        if proven is None:
            raise self._endpoints.undecided(
                question.about,
                [
                    Answer(a.endpoint, _told(a.content, differing[0]), a.latency_seconds)
                    for a in answers
                ],
            )
        right = {number: logs for number, logs in blocks[0].items() if number not in proven}
        right |= proven
        page = question.read(tuple(log for number in sorted(right) for log in right[number]))
        if page.fault is not None:
            raise Transient(f"the block says so itself, and yet it {page.fault}")
        self._judge(question, page, votes)
        return page

    def _prove(
        self, question: _Question[_Event], numbers: Sequence[int]
    ) -> dict[int, tuple[Log, ...]] | None:
        """The logs of these blocks as their receipts or their blooms prove them."""
        headers = self._heads.canonical(numbers)
        proven: dict[int, tuple[Log, ...]] = {}
        for number in numbers:
            if number not in headers:
                return None  # the head fell back meanwhile
            block_hash = headers[number].block_hash
            key = (question.addresses, question.topics, block_hash)
            logs = self._proven.get(key)
            if logs is None:
                block = self._prover.prove(number=number, block_hash=block_hash)
                if block is None:
                    return None
                if block.receipts is not None:
                    every = [log for receipt in block.receipts.values() for log in receipt.logs]
                    logs = tuple(log for log in every if question.asks_for(log))
                elif not any(map(block.header.may_have_logs_of, question.addresses)):
                    logs = ()
                else:
                    return None
                self._proven[key] = logs
                while len(self._proven) > PROVEN_KEPT_MAX:
                    self._proven.popitem(last=False)
            proven[number] = logs
        return proven

    def _judge(
        self,
        question: _Question[_Event],
        right: _Page[_Event],
        votes: dict[_Page[_Event], list[Answer[_Page[_Event]]]],
    ) -> None:
        self._endpoints.is_decided(question.about)
        true_blocks = right.by_block()
        for page, answers in votes.items():
            said = page.by_block()
            wrong = next(
                (
                    number
                    for number in sorted(said.keys() | true_blocks.keys())
                    if said.get(number) != true_blocks.get(number)
                ),
                None,
            )
            for answer in answers:
                if wrong is not None:
                    self._endpoints.blame(
                        answer.endpoint,
                        f"{question.about}: it gives {_told(page, wrong)}, and there are"
                        f" {_told(right, wrong)}",
                    )
                elif page.fault is not None:
                    self._endpoints.record(answer.endpoint).failed(
                        f"endpoint {answer.endpoint.name} {page.fault}",
                        now_seconds=self._endpoints.now(),
                    )
                else:
                    self._endpoints.stands(answer)


class _NotSent(Transient):
    """At least one endpoint gave no answer at all."""


def _told(page: _Page[_Event], number: int) -> str:
    logs = page.by_block().get(number, ())
    transactions = list(dict.fromkeys(log.transaction_hash for log in logs))
    of = f" of {', '.join(transactions[:2])}" if transactions else ""
    return f"{len(logs)} logs in block {number}{of}"


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
    missing: Counter[tuple[Hex32, Address, str]] = Counter()
    for event in events:
        key = (event.place.transaction_hash, event.place.settler_address)
        if isinstance(event, RedemptionSettledEvent):
            missing[*key, "settled"] -= 1
        elif isinstance(event, RedemptionSkippedEvent):
            missing[*key, "skipped"] -= 1
        elif isinstance(event, BatchSettledEvent):
            missing[*key, "settled"] += event.settled_count
            missing[*key, "skipped"] += event.skipped_count
    return next((key[0] for key, count in missing.items() if count), None)
