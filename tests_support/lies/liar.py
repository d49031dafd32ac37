"""An endpoint's liar: which lies it tells now, what it has begun to tell, and how often it lied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from eth_utils.crypto import keccak

from settlement_node.chain.contracts.settler import BATCH_HASH_CALL, PREVIEW_SELECTOR
from settlement_node.chain.wire.transport import RpcOk, RpcResult
from settlement_node.domain.observations import SettleItem
from settlement_node.units import ZERO_HASH, Hex32
from tests_support.lies import answers
from tests_support.lies.stories import (
    Ask,
    Batch,
    Json,
    Story,
    Untellable,
    batch_of,
    hidden,
    invented,
    is_batch,
    items_of,
    made_up,
    number_of,
    reattributed,
    reverted,
    told_call,
    told_logs,
    told_nonce,
    told_receipts,
    value_of,
)


class Lie(StrEnum):
    """What an endpoint may say that is not so."""

    RECEIPT_REVERTED = "receipt_reverted"
    """A mined batch has failed and moved nothing."""
    BATCH_REATTRIBUTED = "batch_reattributed"
    """It has failed, the settler is paused, and then another batch has used its indexes."""
    RECEIPT_INVENTED = "receipt_invented"
    """A waiting transaction is mined and has paid everybody."""
    RECEIPT_WITHOUT_LOGS = "receipt_without_logs"
    LOGS_INVENTED = "logs_invented"
    """Somebody else's batch has paid the orders asked about last."""
    BATCH_HIDDEN = "batch_hidden"
    """The logs of one mined batch are left out."""
    STATE = "state"
    BALANCES = "balances"
    NONCE_AHEAD = "nonce_ahead"
    NONCE_BEHIND = "nonce_behind"
    PREVIEW_PAUSED = "preview_paused"
    PREVIEW_NOT_PERMITTED = "preview_not_permitted"
    TREASURY_EMPTY = "treasury_empty"
    TAGS = "tags"
    FEES = "fees"
    HEADER = "header"


STATELESS: Mapping[Lie, answers.Telling] = {
    Lie.RECEIPT_WITHOUT_LOGS: answers.without_logs,
    Lie.STATE: answers.false_state,
    Lie.BALANCES: answers.false_balances,
    Lie.NONCE_AHEAD: answers.nonce_ahead,
    Lie.NONCE_BEHIND: answers.nonce_behind,
    Lie.PREVIEW_PAUSED: answers.preview_paused,
    Lie.PREVIEW_NOT_PERMITTED: answers.preview_not_permitted,
    Lie.TREASURY_EMPTY: answers.treasury_empty,
    Lie.TAGS: answers.tags_ahead,
    Lie.FEES: answers.dear_fees,
    Lie.HEADER: answers.false_header,
}
STORIES = frozenset(set(Lie) - set(STATELESS))
"""Lies that are kept up: whatever is asked afterwards fits them."""
FRESH_BLOCKS = 2
"""How far below the head a batch may be that is said to have failed."""
_PREVIEW = "0x" + PREVIEW_SELECTOR.hex()
_OF_A_MINED_BATCH = frozenset({Lie.RECEIPT_REVERTED, Lie.BATCH_REATTRIBUTED, Lie.BATCH_HIDDEN})


class Liar:
    """Stands before an honest endpoint. At most one story is told at a time, to its end."""

    def __init__(self, ask: Ask, *, later_blocks: int = 0) -> None:
        """`ask` is the honest endpoint; it is asked whatever a lie needs to fit. `later_blocks` is
        how long after a batch that failed the one is shown that used its indexes."""
        self._ask = ask
        self._later_blocks = later_blocks
        self._lies: frozenset[Lie] = frozenset()
        self._story: Story | None = None
        self._of: Lie | None = None
        self._wanted: tuple[str, tuple[SettleItem, ...]] | None = None
        self._sent: dict[str, bytes] = {}
        self.told: Counter[Lie] = Counter()
        self.last_told: tuple[Lie, ...] = ()

    @property
    def lies(self) -> frozenset[Lie]:
        """What it lies about now."""
        return self._lies

    def tell(self, *lies: Lie) -> None:
        """From now on these lies, and no others; a story that is no more among them is over."""
        self._lies = frozenset(lies)
        if self._of not in self._lies:
            self._story = self._of = None

    def answer(self, method: str, params: Sequence[Any], honest: RpcResult) -> RpcResult:
        """What is told instead of the honest answer: the same where no lie is about it."""
        self._listen(method, params)
        self.last_told = ()
        told = honest
        for lie in sorted(self._lies):
            before = told
            if lie in STATELESS:
                told = STATELESS[lie](self._ask, method, params, before)
            else:
                told = self._answer_in_story(lie, method, params, before)
            if told != before:
                self.last_told += (lie,)
        self.told.update(self.last_told)
        return told

    def _listen(self, method: str, params: Sequence[Any]) -> None:
        """What the node has sent, and by its previews whom it is about to pay."""
        if method == "eth_sendRawTransaction":
            raw = bytes.fromhex(params[0][2:])
            self._sent["0x" + keccak(raw).hex()] = raw
        elif method == "eth_call" and params[0]["data"].startswith(_PREVIEW):
            items = items_of(bytes.fromhex(params[0]["data"][2:]))
            self._wanted = (params[0]["to"], items) if items else self._wanted

    def _answer_in_story(
        self, lie: Lie, method: str, params: Sequence[Any], honest: RpcResult
    ) -> RpcResult:
        if self._story is None:
            try:
                self._story = self._begin(lie, method, params, honest)
                self._of = lie
            except Untellable:
                return honest
        if self._of is not lie or not self._holds(self._story):
            return honest
        return self._told(self._story, method, params, honest)

    def _holds(self, story: Story) -> bool:
        """A story is over when its block is gone, or what it invented has come true."""
        headers = [
            value_of(self._ask, "eth_getBlockByNumber", hex(number), False)
            for number, _ in story.places
        ]
        is_there = [h and h["hash"] for h in headers] == [name for _, name in story.places]
        if self._of is Lie.RECEIPT_INVENTED:
            is_there &= not any(
                value_of(self._ask, "eth_getTransactionReceipt", name) for name in story.receipts
            )
        if not is_there:
            self._story = self._of = None
        return is_there

    # How stories begin

    def _begin(self, lie: Lie, method: str, params: Sequence[Any], honest: RpcResult) -> Story:
        if lie in _OF_A_MINED_BATCH:
            receipt = self._mined_batch(method, honest)
            if lie is Lie.BATCH_HIDDEN:
                return hidden(receipt)
            head = number_of(self._ask, "latest") or 0
            if int(receipt["blockNumber"], 16) < head - FRESH_BLOCKS:
                raise Untellable  # everybody has heard of it by now
            return reverted(receipt)
        is_null = isinstance(honest, RpcOk) and honest.value is None
        if lie is Lie.RECEIPT_INVENTED and method == "eth_getTransactionReceipt" and is_null:
            raw = self._sent.get(params[0])
            if raw is not None:
                return invented(self._ask, batch_of(raw), at=self._head(), is_sent=True)
        if lie is Lie.LOGS_INVENTED and method == "eth_getLogs" and self._wanted is not None:
            return self._paid_by_somebody(params[0])
        raise Untellable

    def _mined_batch(self, method: str, honest: RpcResult) -> Json:
        """The receipt of the batch this answer would show."""
        value = honest.value if isinstance(honest, RpcOk) else None
        if method == "eth_getTransactionReceipt" and value:
            receipt = value
        elif method == "eth_getLogs" and (batches := [log for log in value or [] if is_batch(log)]):
            name = batches[-1]["transactionHash"]
            receipt = value_of(self._ask, "eth_getTransactionReceipt", name)
        else:
            raise Untellable
        if receipt is None or not any(is_batch(log) for log in receipt["logs"]):
            raise Untellable
        return dict(receipt)

    def _paid_by_somebody(self, query: Json) -> Story:
        """A batch of the orders previewed last, in the last block asked about, which follows the
        settler's own hash."""
        assert self._wanted is not None
        settler, items = self._wanted
        at = value_of(self._ask, "eth_getBlockByNumber", query["toBlock"], False)
        call = {"to": settler, "data": "0x" + BATCH_HASH_CALL.hex()}
        stands_at = value_of(self._ask, "eth_call", call, query["toBlock"])
        if at is None or stands_at is None:
            raise Untellable
        batch = Batch(
            transaction_hash=made_up(at["hash"]),
            sender=settler,
            nonce=0,
            settler=settler,
            previous_batch_hash=Hex32(stands_at if len(stands_at) == 66 else ZERO_HASH),
            items=items,
        )
        return invented(self._ask, batch, at=at, is_sent=False)

    def _head(self) -> Json:
        header = value_of(self._ask, "eth_getBlockByNumber", "latest", False)
        if header is None:
            raise Untellable
        return dict(header)

    # How they go on

    def _told(
        self, story: Story, method: str, params: Sequence[Any], honest: RpcResult
    ) -> RpcResult:
        if self._of is Lie.BATCH_REATTRIBUTED and not story.added:
            # Nobody is paid before the other batch has been shown.
            honest = answers.preview_paused(self._ask, method, params, honest)
        if not isinstance(honest, RpcOk):
            return honest
        if method == "eth_getTransactionReceipt":
            return RpcOk(story.receipts.get(params[0], honest.value))
        if method == "eth_getBlockReceipts":
            return RpcOk(told_receipts(story, honest.value))
        if method == "eth_getLogs":
            story = self._story = self._gone_on(story, params[0])
            return RpcOk(told_logs(story, params[0], honest.value))
        if self._of is Lie.BATCH_HIDDEN or method not in ("eth_call", "eth_getTransactionCount"):
            return honest
        number = number_of(self._ask, params[1] if len(params) > 1 else "latest")
        if number is None:
            return honest
        if method == "eth_call":
            return RpcOk(told_call(story, params[0], honest.value, at_number=number))
        return RpcOk(told_nonce(story, params[0], honest.value, at_number=number))

    def _gone_on(self, story: Story, query: Json) -> Story:
        """Some time after the batch that failed another shows, in the last block asked for."""
        until = int(query["toBlock"], 16)
        waits = self._of is Lie.BATCH_REATTRIBUTED and not story.added
        if not waits or until < story.last_number + self._later_blocks:
            return story
        at = value_of(self._ask, "eth_getBlockByNumber", query["toBlock"], False)
        return story if at is None else reattributed(story, self._ask, at=at)
