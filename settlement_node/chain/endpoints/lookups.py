"""Looking transactions up by hash, so that neither a silence is taken for an absence, nor one
endpoint's word for a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from settlement_node.chain.endpoints.agreement import Answer
from settlement_node.chain.endpoints.endpoint_answers import ReceiptsReport, TransactionPlace
from settlement_node.chain.endpoints.endpoint_set import READ_ATTEMPTS, EndpointSet
from settlement_node.chain.endpoints.heads import HeadTracker
from settlement_node.chain.endpoints.proving import BlockProver
from settlement_node.chain.views import Undecided
from settlement_node.domain.observations import Block, Receipt
from settlement_node.errors import Transient
from settlement_node.units import Address, Hex32

Found = Receipt | Undecided | None
"""A receipt, nobody can say, or an absence."""
BLOCKS_PROVEN_MAX = 8
"""Most blocks proven for one lookup; what is left over is undecided until the next."""
INDEXING_BLOCKS = 3
"""So far below the head an endpoint may still say that it has no receipt, without being wrong: most
clients index a block a moment after they have it."""


class ReceiptLookup:
    """Receipts of many hashes, as of the agreed head."""

    def __init__(self, endpoints: EndpointSet, heads: HeadTracker, prover: BlockProver) -> None:
        self._endpoints = endpoints
        self._heads = heads
        self._prover = prover

    def find(self, hashes: Sequence[Hex32]) -> dict[Hex32, Found]:
        """See `ChainClient.receipts` for what the outcomes mean."""
        wanted = list(dict.fromkeys(hashes))
        if not wanted:
            return {}
        head = self._heads.view.head
        ballots = {item: _Ballot(item) for item in wanted}
        asking = wanted
        for _attempt in range(READ_ATTEMPTS):
            self._ask(asking, head, ballots)
            # A lookup that failed is asked again at once; a difference would only be told again.
            asking = [
                item
                for item in asking
                if ballots[item].failure and not ballots[item].is_decided(self._endpoints.agreement)
            ]
            if not asking:
                break
        return self._decide(ballots, head)

    def _ask(self, hashes: Sequence[Hex32], head: Block, ballots: dict[Hex32, _Ballot]) -> None:
        asking = list(hashes)
        for answer in self._endpoints.answers(
            lambda item: item.receipts(asking, head_number=head.number)
        ):
            if answer.content.failures:
                why = f"receipt lookup failed: {next(iter(answer.content.failures.values()))}"
                self._endpoints.record(answer.endpoint).failed(
                    why, now_seconds=self._endpoints.now()
                )
            else:
                self._endpoints.stands(answer)
            self._take(answer, head, ballots)
            asking[:] = [
                item for item in asking if not ballots[item].is_decided(self._endpoints.agreement)
            ]
            if not asking:
                return

    def _take(
        self, answer: Answer[ReceiptsReport], head: Block, ballots: dict[Hex32, _Ballot]
    ) -> None:
        """Sort one endpoint's answers into what is there and what is not, on the agreed chain."""
        report = answer.content
        has_head = (
            report.block_at_head is not None and report.block_at_head.block_hash == head.block_hash
        )
        for transaction_hash, failure in report.failures.items():
            ballots[transaction_hash].failure = failure
        shown = {
            receipt.block_number
            for receipt in report.receipts.values()
            if receipt is not None and receipt.block_number <= head.number
        }
        agreed = self._agreed_hashes(shown)
        for transaction_hash, receipt in report.receipts.items():
            ballot = ballots[transaction_hash]
            if receipt is not None and receipt.block_number <= head.number:
                # In a block that is not the agreed one it says nothing: a fork, or a
                # reorganisation that this endpoint has not finished.
                if agreed.get(receipt.block_number) == receipt.block_hash:
                    ballot.add(receipt, answer)
            elif has_head:
                # Null, or mined above the agreed head: on the agreed chain it is not there yet.
                ballot.add(None, answer)

    def _agreed_hashes(self, numbers: set[int]) -> dict[int, Hex32]:
        """By height; a height that one receipt made up keeps none of the others back."""
        try:
            blocks = self._heads.canonical(numbers)
        except Transient:
            blocks = {}
            for number in numbers if len(numbers) > 1 else ():
                with suppress(Transient):
                    blocks |= self._heads.canonical([number])
        return {number: block.block_hash for number, block in blocks.items()}

    def _decide(self, ballots: dict[Hex32, _Ballot], head: Block) -> dict[Hex32, Found]:
        """A receipt that somebody shows and too few confirm is proven or refuted where that can be
        done; else what enough endpoints say counts, and less is undecided."""
        needed = self._endpoints.agreement
        disputed = [ballot for ballot in ballots.values() if ballot.is_disputed(needed)]
        blocks = {r.block_number: r.block_hash for b in disputed for r in b.receipts()}
        for number, block_hash in sorted(blocks.items())[-BLOCKS_PROVEN_MAX:]:
            block = self._prover.prove(number=number, block_hash=block_hash)
            if block is not None and block.receipts is not None:
                for ballot in disputed:
                    ballot.see_proof(number, block.receipts.get(ballot.transaction_hash))
        found: dict[Hex32, Found] = {}
        for item, ballot in ballots.items():
            about = f"the receipt of {item}"
            outcome = ballot.outcome(needed)
            if not isinstance(outcome, Undecided):
                self._endpoints.is_decided(about)
                self._judge(ballot, outcome, head)
            elif len(ballot.votes) > 1:
                outcome = Undecided(self._endpoints.undecided(about, ballot.told()).message)
            found[item] = outcome
        return found

    def _judge(self, ballot: _Ballot, outcome: Receipt | None, head: Block) -> None:
        """Blame whoever gave another receipt, or one that a proof refutes. Without a proof a null
        and a receipt do not contradict one another: an endpoint may be indexing still."""
        for content, answers in ballot.votes.items():
            if content == outcome or (not ballot.is_proven and None in (content, outcome)):
                continue
            is_fresh = outcome is not None and head.number - outcome.block_number < INDEXING_BLOCKS
            if content is None and is_fresh:
                continue
            why = f"it says {_told(content)}, and there is {_told(outcome)}"
            for answer in answers:
                self._endpoints.blame(
                    answer.endpoint, f"the receipt of {ballot.transaction_hash}: {why}"
                )


class _Ballot:
    """What was said of one hash, and by whom."""

    def __init__(self, transaction_hash: Hex32) -> None:
        self.transaction_hash = transaction_hash
        self.votes: dict[Receipt | None, list[Answer[ReceiptsReport]]] = {}
        self.failure: str | None = None
        self._proven: Receipt | None = None
        self._refuted_numbers: set[int] = set()

    def add(self, content: Receipt | None, answer: Answer[ReceiptsReport]) -> None:
        """Count an answer; one endpoint has one vote."""
        voters = {vote.endpoint.name for votes in self.votes.values() for vote in votes}
        if answer.endpoint.name not in voters:
            self.votes.setdefault(content, []).append(answer)

    def receipts(self) -> list[Receipt]:
        """Those that somebody gave."""
        return [content for content in self.votes if content is not None]

    def told(self) -> list[Answer[str]]:
        """Who says what, for people."""
        return [
            Answer(vote.endpoint, _told(content), vote.latency_seconds)
            for content, votes in self.votes.items()
            for vote in votes
        ]

    def is_decided(self, needed: int) -> bool:
        """Whether nobody else need be asked."""
        return any(len(votes) >= needed for votes in self.votes.values())

    def is_disputed(self, needed: int) -> bool:
        """Whether somebody gave a receipt, and no one receipt has enough votes."""
        enough = [item for item in self.receipts() if len(self.votes[item]) >= needed]
        return bool(self.receipts()) and len(enough) != 1

    def see_proof(self, block_number: int, receipt: Receipt | None) -> None:
        """A block's content is proven: this receipt of the hash is in it, or none."""
        if receipt is not None:
            self._proven = receipt
        else:
            self._refuted_numbers.add(block_number)

    @property
    def is_proven(self) -> bool:
        """Whether the receipt is proven, or every one that was shown is refuted."""
        shown = {receipt.block_number for receipt in self.receipts()}
        return self._proven is not None or (bool(shown) and shown <= self._refuted_numbers)

    def outcome(self, needed: int) -> Found:
        """What counts. Once every receipt that was shown is refuted, one null is enough."""
        if self._proven is not None:
            return self._proven
        if self.is_proven:
            return None if None in self.votes else Undecided("every receipt shown is refuted")
        enough = [content for content, votes in self.votes.items() if len(votes) >= needed]
        receipts = [content for content in enough if content is not None]
        if len(receipts) == 1:
            return receipts[0]
        if enough and not receipts:
            return None
        return Undecided(self.failure or "too few endpoints that have the agreed head could say")


def _told(receipt: Receipt | None) -> str:
    if receipt is None:
        return "no receipt"
    status = "succeeded" if receipt.succeeded else "reverted"
    return (
        f"{status} in block {receipt.block_number} with {len(receipt.logs)} logs and"
        f" {receipt.gas_used} gas"
    )


def find_place(endpoints: EndpointSet, transaction_hash: Hex32) -> tuple[Address, int] | None:
    """Sender and nonce of a transaction: proven by its own hash, or as enough endpoints say.

    `None` when every endpoint that answered lacks it. Raises Transient when one shows a place that
    nothing proves and too few confirm.
    """
    about = f"the sender of transaction {transaction_hash}"
    votes: dict[TransactionPlace | None, list[Answer[TransactionPlace | None]]] = {}
    for answer in endpoints.answers(lambda item: item.transaction_place(transaction_hash)):
        place = answer.content
        same = votes.setdefault(place, [])
        same.append(answer)
        if place is not None and (place.is_proven or len(same) >= endpoints.agreement):
            others = [
                item
                for content, group in votes.items()
                if content is not None and content != place
                for item in group
            ]
            endpoints.settle(about, right=same, wrong=others)
            return place.sender, place.nonce
    if votes.keys() == {None}:
        if len(votes[None]) < endpoints.agreement:
            raise Transient(f"too few endpoints could say who sent {transaction_hash}")
        endpoints.settle(about, right=votes[None])
        return None
    raise endpoints.undecided(about, [item for group in votes.values() for item in group])
