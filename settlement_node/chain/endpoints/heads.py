"""Which chain is the chain: the head and the blocks that enough endpoints agree on.

The head is the highest block that `agreement` endpoints have under one hash. Where endpoints are
at different heights, those further ahead are asked for the block at the lower height; where they
differ at the tip, the search walks down until they agree. A head that falls back without any sign
of a reorganisation is an endpoint that lags, and is not followed for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from settlement_node.chain.endpoints.endpoint import Endpoint
from settlement_node.chain.endpoints.endpoint_answers import EndpointHead
from settlement_node.chain.endpoints.endpoint_set import (
    READ_AGAIN_SECONDS,
    READ_ATTEMPTS,
    EndpointSet,
)
from settlement_node.chain.views import HeadView
from settlement_node.domain.observations import Block
from settlement_node.errors import Transient

_REMEMBERED_BLOCKS_MAX = 1024
_FORK_SEARCH_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
"""How far below the tip agreement is looked for; beyond it, people have to look."""


class HeadTracker:
    """Holds the last agreed head; `refresh` moves it."""

    def __init__(
        self,
        endpoints: EndpointSet,
        *,
        chain_id: int,
        stale_blocks: int,
        backward_tolerance_seconds: float,
    ) -> None:
        """`backward_tolerance_seconds`: how long a falling head is taken for a lag."""
        self._endpoints = endpoints
        self._chain_id = chain_id
        self._stale_blocks = stale_blocks
        self._backward_tolerance_seconds = backward_tolerance_seconds
        self._view: HeadView | None = None
        self._backward_since: float | None = None
        self._remembered: OrderedDict[int, Block] = OrderedDict()
        self._canonical: dict[int, Block] = {}
        self._latencies: dict[Endpoint, float] = {}

    @property
    def view(self) -> HeadView:
        """The last agreed head; polls for it the first time."""
        return self._view or self.refresh()

    def refresh(self) -> HeadView:
        """Poll every endpoint that is due, in one round trip each where they are level.

        Raises Transient when too few answer or agree; the last view then stays what it was.
        """
        heads = self._poll()
        if len(heads) < self._endpoints.agreement:
            raise Transient(
                f"{len(heads)} endpoints gave a head of chain {self._chain_id},"
                f" {self._endpoints.agreement} must agree"
            )
        head, agreeing, walked_down = self._agree(heads)
        self._judge(heads, head, agreeing)
        if not walked_down and self._is_lag(head):
            assert self._view is not None
            return self._view
        self._follow(head)
        self._view = self._with_tags(head, list(agreeing.values()))
        return self._view

    def canonical(self, numbers: Iterable[int]) -> dict[int, Block]:
        """Agreed headers at these heights; heights above the agreed head are left out.

        Raises Transient when too few endpoints that have the agreed head agree on a height.
        """
        head = self.view.head
        wanted = sorted({number for number in numbers if 0 <= number <= head.number})
        missing = [number for number in wanted if number not in self._canonical]
        if missing:
            self._learn(missing, head)
        return {number: self._canonical[number] for number in wanted}

    def _learn(self, numbers: Sequence[int], head: Block) -> None:
        """Keep the agreed headers of these heights. Headers of neighbouring heights must name each
        other; one that does not fit came from another fork or was made up, and then none of them
        is believed."""
        self._canonical.update(self._agreed_blocks(numbers, head))
        blocks = self._canonical | {head.number: head}
        for number, block in blocks.items():
            child = blocks.get(number + 1)
            if child is not None and child.parent_hash != block.block_hash:
                self._canonical.clear()
                raise Transient(
                    f"the endpoints' blocks {number} and {number + 1} do not follow one another;"
                    " they are asked for again"
                )

    def _poll(self) -> dict[Endpoint, EndpointHead]:
        heads: dict[Endpoint, EndpointHead] = {}
        started = self._endpoints.now()
        asking = self._endpoints.due()
        for attempt in range(READ_ATTEMPTS):
            failed = [item for item in asking if not self._poll_one(item, heads, again=attempt > 0)]
            took_seconds = self._endpoints.now() - started
            if len(heads) >= self._endpoints.agreement or took_seconds >= READ_AGAIN_SECONDS:
                break
            asking = failed
        return heads

    def _poll_one(
        self, endpoint: Endpoint, heads: dict[Endpoint, EndpointHead], *, again: bool
    ) -> bool:
        """Put its head, if it has one of this chain, among the others; whether it answered."""
        record = self._endpoints.record(endpoint)
        try:
            answer = self._endpoints.poll(endpoint, Endpoint.head, again=again)
        except Transient:
            return False
        head, self._latencies[endpoint] = answer.content, answer.latency_seconds
        record.head_number = head.head.number
        record.on_wrong_chain = head.chain_id != self._chain_id
        if record.on_wrong_chain:
            record.failed(
                f"it is on chain {head.chain_id}, not {self._chain_id}",
                now_seconds=self._endpoints.now(),
            )
        else:
            heads[endpoint] = head
        return True

    def _agree(
        self, heads: dict[Endpoint, EndpointHead]
    ) -> tuple[Block, dict[Endpoint, EndpointHead], bool]:
        """The agreed head, who agrees with it, and whether a fork had to be walked down."""
        needed = self._endpoints.agreement
        top = sorted((item.head.number for item in heads.values()), reverse=True)[needed - 1]
        for step in (0, *_FORK_SEARCH_STEPS):
            number = top - step
            if number < 0:
                break
            # Whole headers are compared: a true hash beside a false time or parent is no vote.
            votes: dict[Block, dict[Endpoint, Block]] = {}
            for endpoint, block in self._blocks_at(heads, number).items():
                votes.setdefault(block, {})[endpoint] = block
            # Among headers with enough votes the one with most wins; a tie goes to the endpoint
            # configured first, which keeps the choice the same from run to run.
            winners = max(votes.values(), key=len, default={})
            if len(winners) >= needed:
                agreeing = {endpoint: heads[endpoint] for endpoint in winners}
                return next(iter(winners.values())), agreeing, step > 0
        raise Transient(
            f"endpoints of chain {self._chain_id} disagree about the block at height {top}"
            " and about those below it"
        )

    def _blocks_at(self, heads: dict[Endpoint, EndpointHead], number: int) -> dict[Endpoint, Block]:
        found: dict[Endpoint, Block] = {}
        for endpoint, head in heads.items():
            if head.head.number == number:
                found[endpoint] = head.head
            elif head.head.number > number:
                try:
                    answer = self._endpoints.insist(endpoint, lambda item: item.blocks([number]))
                except Transient:
                    continue
                at_number = answer.content[number]
                if at_number is not None:
                    found[endpoint] = at_number
        return found

    def _judge(
        self,
        heads: dict[Endpoint, EndpointHead],
        head: Block,
        agreeing: dict[Endpoint, EndpointHead],
    ) -> None:
        """Book each head to its endpoint's health: a good one, a stale one or one of a fork."""
        now_seconds = self._endpoints.now()
        for endpoint, item in heads.items():
            record = self._endpoints.record(endpoint)
            behind = head.number - item.head.number
            if endpoint in agreeing or 0 < behind <= self._stale_blocks:
                record.succeeded(now_seconds=now_seconds, latency_seconds=self._latencies[endpoint])
            elif behind > 0:
                record.failed(
                    f"its head is {behind} blocks behind the others", now_seconds=now_seconds
                )
            elif item.head.block_hash == head.block_hash:
                self._endpoints.blame(
                    endpoint, f"block {head.number}: its header is not what others say it is"
                )
            else:
                record.failed(
                    f"it has another block at height {head.number} than the others",
                    now_seconds=now_seconds,
                )

    def _is_lag(self, head: Block) -> bool:
        """Whether a lower head than before is to be ignored, for now."""
        if self._view is None or head.number >= self._view.head.number:
            self._backward_since = None
            return False
        known = self._remembered.get(head.number)
        if known is not None and known.block_hash != head.block_hash:
            return False  # another block where we remember one: a reorganisation
        now_seconds = self._endpoints.now()
        if self._backward_since is None:
            self._backward_since = now_seconds
        return now_seconds - self._backward_since < self._backward_tolerance_seconds

    def _follow(self, head: Block) -> None:
        before = self._view.head if self._view is not None else None
        extends = before is not None and before.block_hash in {head.block_hash, head.parent_hash}
        if not extends:
            self._canonical.clear()
        while len(self._canonical) > _REMEMBERED_BLOCKS_MAX:
            self._canonical.pop(next(iter(self._canonical)))
        self._canonical[head.number] = head
        for number in [number for number in self._remembered if number > head.number]:
            del self._remembered[number]
        self._remembered[head.number] = head
        while len(self._remembered) > _REMEMBERED_BLOCKS_MAX:
            self._remembered.popitem(last=False)
        self._backward_since = None

    def _with_tags(self, head: Block, agreeing: Sequence[EndpointHead]) -> HeadView:
        """The head with what the endpoints that have it call safe and finalized. A tag whose block
        cannot be compared with the agreed one now counts as not answered."""
        safe = [item.safe for item in agreeing if item.safe is not None]
        finalized = [item.finalized for item in agreeing if item.finalized is not None]
        below = {tag.number for tag in (*safe, *finalized) if tag.number < head.number}
        missing = below - self._canonical.keys()
        if missing:
            with suppress(Transient):
                self._learn(sorted(missing), head)

        return HeadView(head, self._tagged_number(safe, head), self._tagged_number(finalized, head))

    def _tagged_number(self, tags: Sequence[Block], head: Block) -> int | None:
        """The highest block that enough endpoints have reached under the tag; None when there is
        none.

        It must be named as a block of the agreed chain by one endpoint at least: by hash, since one
        wrong number is enough to call a payment final that a reorganisation can still undo. An
        endpoint that is ahead of the agreed head names a block nobody can check yet: it stands
        behind lower ones, and names none itself.
        """
        hashes = {number: block.block_hash for number, block in self._canonical.items()}
        hashes[head.number] = head.block_hash
        named = {tag.number for tag in tags if hashes.get(tag.number) == tag.block_hash}
        ahead = sum(tag.number > head.number for tag in tags)
        reached = [
            number
            for number in named
            if ahead + sum(number <= tag.number for tag in tags if tag.number in named)
            >= self._endpoints.agreement
        ]
        return max(reached, default=None)

    def _agreed_blocks(self, numbers: Sequence[int], head: Block) -> dict[int, Block]:
        """Headers that enough endpoints of the agreed head give alike. The head's hash stands for
        all below it, so who has that and another header below is wrong about one of them."""

        def ask(endpoint: Endpoint) -> tuple[Block, ...] | None:
            blocks = endpoint.blocks(list(dict.fromkeys([*numbers, head.number])))
            at_head = blocks[head.number]
            if at_head is None or at_head.block_hash != head.block_hash:
                return None  # this endpoint's chain is not the one that was agreed on
            found = tuple(block for number in numbers if (block := blocks[number]) is not None)
            return found if len(found) == len(numbers) else None

        agreed = self._endpoints.agreed(ask, about="the blocks below the head")
        return {block.number: block for block in agreed}
