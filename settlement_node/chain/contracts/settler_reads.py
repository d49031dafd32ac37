"""Questions to a settler: its settings and state, and what a batch would do now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.contracts.settler import (
    BATCH_HASH_CALL,
    GAS_TOO_LOW_SELECTOR,
    PREVIEW_RESULT_SELECTOR,
    SETTLER_PAUSED_SELECTOR,
    decode_preview_result,
    encode_preview,
)
from settlement_node.chain.endpoints.agreement import EndpointsDisagree
from settlement_node.chain.endpoints.endpoint import CallOutcome, CallRequest, CallReturned
from settlement_node.chain.views import SettlerView
from settlement_node.chain.wire.words import (
    WORD_BYTES,
    MalformedData,
    read_address,
    read_bool,
    read_hex32,
    read_uint,
    selector,
)
from settlement_node.domain.observations import BurnStyle, ItemPreview, SettleItem
from settlement_node.errors import Refused
from settlement_node.units import Address, Hex32

Calls = Callable[[Sequence[CallRequest]], list[CallOutcome]]
"""Calls at the agreed head, in one round trip."""


def _burn_style(data: bytes, offset: int) -> BurnStyle:
    return tuple(BurnStyle)[read_uint(data, offset)]


_VIEWS: Mapping[str, tuple[str, Callable[[bytes, int], object]]] = {
    "share_token_address": ("shareToken()", read_address),
    "payout_token_address": ("payoutToken()", read_address),
    "treasury_address": ("treasury()", read_address),
    "burn_style": ("burnStyle()", _burn_style),
    "batch_hash": ("batchHash()", read_hex32),
    "paused": ("paused()", read_bool),
    "daily_payout_limit_base_units": ("dailyPayoutLimit()", read_uint),
    "payout_available_base_units": ("payoutAvailable()", read_uint),
    "floor_price": ("floorPrice()", read_uint),
    "ceiling_price": ("ceilingPrice()", read_uint),
    "item_gas_limit": ("itemGasLimit()", read_uint),
    "predecessor_address": ("predecessor()", read_address),
    "operator_address": ("operator()", read_address),
}
"""Each field of a SettlerView: which view answers it, and how the answer is read."""


def read_settler(calls: Calls, settler: Address) -> SettlerView:
    """All of a settler in one round trip; Refused when there is no settler at the address."""
    outcomes = calls([CallRequest(settler, selector(view)) for view, _ in _VIEWS.values()])
    fields: dict[str, Any] = {}
    for (field, (view, read)), outcome in zip(_VIEWS.items(), outcomes, strict=True):
        if not isinstance(outcome, CallReturned) or not outcome.data:
            raise _no_settler(settler, f"{view} did not answer")
        try:
            fields[field] = read(outcome.data, 0)
        except (MalformedData, IndexError) as error:
            raise _not_a_settler(
                settler,
                f"the contract at {settler} answers like no settler this version knows: {error}",
            ) from error
    return SettlerView(settler_address=settler, **fields)


def read_batch_hash(calls: Calls, settler: Address) -> Hex32:
    """Where the settler's ratchet stands; Refused when there is no settler at the address."""
    (outcome,) = calls([CallRequest(settler, BATCH_HASH_CALL)])
    if not isinstance(outcome, CallReturned) or len(outcome.data) < WORD_BYTES:
        raise _no_settler(settler, "batchHash() did not answer")
    return read_hex32(outcome.data, 0)


def preview_items(
    calls: Calls,
    settler: Address,
    items: Sequence[SettleItem],
    *,
    from_address: Address,
    gas_limit: int,
) -> list[ItemPreview]:
    """What each item would do now, in the items' order; see `ChainClient.preview`."""
    if not items:
        return []

    def in_halves() -> list[ItemPreview]:
        middle = len(items) // 2
        return [
            preview
            for part in (items[:middle], items[middle:])
            for preview in preview_items(
                calls, settler, part, from_address=from_address, gas_limit=gas_limit
            )
        ]

    try:
        (outcome,) = calls([CallRequest(settler, encode_preview(items), from_address, gas_limit)])
    except EndpointsDisagree:
        if len(items) == 1:
            raise
        return in_halves()  # one of them may give a call less gas than the others do
    if isinstance(outcome, CallReturned):
        raise _no_settler(settler, "preview did not revert")
    head = outcome.data[:4]
    if head == PREVIEW_RESULT_SELECTOR:
        try:
            return decode_preview_result(outcome.data, items)
        except MalformedData as error:
            raise _not_a_settler(
                settler, f"the preview of settler {settler} is not understood: {error}"
            ) from error
    if head == SETTLER_PAUSED_SELECTOR:
        raise Refused(
            f"settler {settler} is paused", reason="settler_paused", settler_address=settler
        )
    gas_bounded = head == GAS_TOO_LOW_SELECTOR or (outcome.out_of_gas and not outcome.data)
    if gas_bounded and len(items) > 1:
        return in_halves()
    why = revert_reason(outcome.data) if outcome.data else outcome.message
    raise Refused(
        f"settler {settler} refuses the preview: {why}",
        reason="preview_gas_too_low" if gas_bounded else "preview_refused",
        settler_address=settler,
    )


def _no_settler(settler: Address, why: str) -> Refused:
    return _not_a_settler(settler, f"there is no settler at {settler}: {why}")


def _not_a_settler(settler: Address, words: str) -> Refused:
    return Refused(words, reason="not_a_settler", settler_address=settler)
