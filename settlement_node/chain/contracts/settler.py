"""The settler's calls and events as bytes, both ways. No I/O.

Source of every layout: `contracts/interfaces/IRedemptionSettler.sol`; a test compares the
selectors and topics here with the generated ABI, and the packing with a general encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eth_utils.crypto import keccak

from settlement_node.chain.wire.words import (
    WORD_BYTES,
    MalformedData,
    address_word,
    hex32_word,
    read_bytes,
    read_hex32,
    read_uint,
    selector,
    topic,
    topic_address,
    uint_word,
)
from settlement_node.domain.observations import (
    BatchSettledEvent,
    EventPlace,
    ItemPreview,
    Log,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SettleItem,
    SettlerEvent,
    SkipReason,
)
from settlement_node.errors import InvariantBroken
from settlement_node.units import Address, Hex32, Payout, Shares, to_hex32

_ITEM = "(bytes32,uint256,address,address,uint256,uint256)"
SETTLE_SELECTOR = selector(f"settle(bytes32,{_ITEM}[])")
PREVIEW_SELECTOR = selector(f"preview({_ITEM}[])")
BATCH_HASH_CALL = selector("batchHash()")
PREVIEW_RESULT_SELECTOR = selector("PreviewResult((bytes32,uint8,uint256,bytes)[])")
SETTLER_PAUSED_SELECTOR = selector("SettlerPaused()")
GAS_TOO_LOW_SELECTOR = selector("GasTooLow(uint256,uint256)")

REDEMPTION_SETTLED_TOPIC = topic(
    "RedemptionSettled(bytes32,address,address,uint256,uint256,uint256)"
)
REDEMPTION_SKIPPED_TOPIC = topic("RedemptionSkipped(bytes32,uint256,uint8,bytes)")
BATCH_SETTLED_TOPIC = topic("BatchSettled(bytes32,bytes32,uint256,uint256)")

_SKIP_REASONS = tuple(SkipReason)
_WORD_32 = (32).to_bytes(WORD_BYTES, "big")
_WORD_64 = (64).to_bytes(WORD_BYTES, "big")


def encode_settle(previous_batch_hash: Hex32, items: Sequence[SettleItem]) -> bytes:
    """Call data of `settle(previousBatchHash, items)`, the items in the order given."""
    return SETTLE_SELECTOR + hex32_word(previous_batch_hash) + _WORD_64 + _encode_item_words(items)


def encode_preview(items: Sequence[SettleItem]) -> bytes:
    """Call data of `preview(items)`, which always reverts; see `decode_preview_result`."""
    return PREVIEW_SELECTOR + _WORD_32 + _encode_item_words(items)


def batch_hash_of(previous_batch_hash: Hex32, items: Sequence[SettleItem]) -> Hex32:
    """The batch hash the settler will stand at after this batch, whatever items it skips.

    keccak256(abi.encode(previousBatchHash, keccak256(abi.encode(items)))), as in the contract.
    """
    items_hash = keccak(_WORD_32 + _encode_item_words(items))
    return to_hex32(keccak(hex32_word(previous_batch_hash) + items_hash))


def decode_preview_result(revert_data: bytes, items: Sequence[SettleItem]) -> list[ItemPreview]:
    """Read `PreviewResult` from the revert data, one per item in the items' order.

    Raises MalformedData when the data is something else, or speaks of other items.
    """
    if revert_data[:4] != PREVIEW_RESULT_SELECTOR:
        raise MalformedData("the revert data is not PreviewResult")
    data = revert_data[4:]
    array = read_uint(data, 0)
    count = read_uint(data, array)
    if count != len(items):
        raise MalformedData(f"{count} outcomes for {len(items)} items")
    base = array + WORD_BYTES
    previews = []
    for position, item in enumerate(items):
        outcome = base + read_uint(data, base + position * WORD_BYTES)
        redemption_id_hex = read_hex32(data, outcome)
        if redemption_id_hex != item.redemption_id_hex:
            raise MalformedData(f"outcome {position} is of redemption {redemption_id_hex}")
        previews.append(
            ItemPreview(
                redemption_id_hex=redemption_id_hex,
                skip_reason=_skip_reason(read_uint(data, outcome + WORD_BYTES)),
                gas_used=read_uint(data, outcome + 2 * WORD_BYTES),
                detail=read_bytes(data, outcome + read_uint(data, outcome + 3 * WORD_BYTES)),
            )
        )
    return previews


def decode_settler_events(
    logs: Sequence[Log], *, settler_address: Address | None = None
) -> list[SettlerEvent]:
    """The settler's events among `logs`, in the logs' order; other events are left out.

    With a receipt's logs give `settler_address`: any contract the transaction touched, a token
    above all, can emit logs that look like these, or nearly so. Without it the caller vouches for
    the addresses. Raises InvariantBroken when a log has the settler's topic and another layout.
    """
    events: list[SettlerEvent] = []
    for log in logs:
        if settler_address is not None and log.address != settler_address:
            continue
        decode = _DECODERS.get(log.topics[0]) if log.topics else None
        if decode is None:
            continue
        try:
            events.append(decode(log, _place_of(log)))
        except (MalformedData, IndexError) as error:
            raise InvariantBroken(
                f"the settler event at log {log.log_index} of transaction {log.transaction_hash}"
                f" does not have the layout this version knows: {error}",
                transaction_hash=log.transaction_hash,
                log_index=log.log_index,
            ) from error
    return events


def _encode_item_words(items: Sequence[SettleItem]) -> bytes:
    words = [len(items).to_bytes(WORD_BYTES, "big")]
    for item in items:
        words += (
            hex32_word(item.redemption_id_hex),
            uint_word(item.redemption_index, field="redemption_index"),
            address_word(item.investor_address),
            address_word(item.payee_address),
            uint_word(item.shares_base_units, field="shares_base_units"),
            uint_word(item.payout_base_units, field="payout_base_units"),
        )
    return b"".join(words)


def _skip_reason(value: int) -> SkipReason:
    if value >= len(_SKIP_REASONS):
        raise MalformedData(f"{value} is not a skip reason")
    return _SKIP_REASONS[value]


def _place_of(log: Log) -> EventPlace:
    return EventPlace(
        settler_address=log.address,
        block_number=log.block_number,
        block_hash=log.block_hash,
        transaction_hash=log.transaction_hash,
        log_index=log.log_index,
    )


def _decode_settled(log: Log, place: EventPlace) -> RedemptionSettledEvent:
    return RedemptionSettledEvent(
        place=place,
        redemption_id_hex=log.topics[1],
        redemption_index=read_uint(log.data, 0),
        investor_address=topic_address(log.topics[2]),
        payee_address=topic_address(log.topics[3]),
        shares_base_units=Shares(read_uint(log.data, WORD_BYTES)),
        payout_base_units=Payout(read_uint(log.data, 2 * WORD_BYTES)),
    )


def _decode_skipped(log: Log, place: EventPlace) -> RedemptionSkippedEvent:
    return RedemptionSkippedEvent(
        place=place,
        redemption_id_hex=log.topics[1],
        redemption_index=read_uint(log.data, 0),
        skip_reason=_skip_reason(read_uint(log.data, WORD_BYTES)),
        detail=read_bytes(log.data, read_uint(log.data, 2 * WORD_BYTES)),
    )


def _decode_batch(log: Log, place: EventPlace) -> BatchSettledEvent:
    return BatchSettledEvent(
        place=place,
        batch_hash=log.topics[1],
        previous_batch_hash=log.topics[2],
        settled_count=read_uint(log.data, 0),
        skipped_count=read_uint(log.data, WORD_BYTES),
    )


_DECODERS: dict[Hex32, Callable[[Log, EventPlace], SettlerEvent]] = {
    REDEMPTION_SETTLED_TOPIC: _decode_settled,
    REDEMPTION_SKIPPED_TOPIC: _decode_skipped,
    BATCH_SETTLED_TOPIC: _decode_batch,
}
