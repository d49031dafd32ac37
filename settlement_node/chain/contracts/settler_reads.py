"""Questions to a settler: its settings and state, and what a batch would do now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.contracts.settler import (
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
    MalformedData,
    read_address,
    read_bool,
    read_hex32,
    read_uint,
    selector,
)
from settlement_node.domain.observations import BurnStyle, ItemPreview, SettleItem
from settlement_node.errors import Refused
from settlement_node.units import Address, Payout

Calls = Callable[[Sequence[CallRequest]], list[CallOutcome]]
"""Calls at the agreed head, in one round trip."""

_VIEW_CALLS = (
    "shareToken()",
    "payoutToken()",
    "treasury()",
    "burnStyle()",
    "batchHash()",
    "paused()",
    "dailyPayoutLimit()",
    "payoutAvailable()",
    "floorPrice()",
    "ceilingPrice()",
    "itemGasLimit()",
    "changeDelay()",
    "restrictPayees()",
    "predecessor()",
    "owner()",
    "operator()",
    "guardian()",
)
_VIEW_SELECTORS = tuple(selector(signature) for signature in _VIEW_CALLS)
_BURN_STYLES = tuple(BurnStyle)


def read_settler(calls: Calls, settler: Address) -> SettlerView:
    """All of a settler in one round trip; Refused when there is no settler at the address."""
    outcomes = calls([CallRequest(settler, data) for data in _VIEW_SELECTORS])
    answers: dict[str, bytes] = {}
    for signature, outcome in zip(_VIEW_CALLS, outcomes, strict=True):
        if not isinstance(outcome, CallReturned) or not outcome.data:
            raise Refused(
                f"there is no settler at {settler}: {signature} did not answer",
                reason="not_a_settler",
                settler_address=settler,
            )
        answers[signature] = outcome.data
    try:
        return SettlerView(
            settler_address=settler,
            share_token_address=read_address(answers["shareToken()"], 0),
            payout_token_address=read_address(answers["payoutToken()"], 0),
            treasury_address=read_address(answers["treasury()"], 0),
            burn_style=_BURN_STYLES[read_uint(answers["burnStyle()"], 0)],
            batch_hash=read_hex32(answers["batchHash()"], 0),
            paused=read_bool(answers["paused()"], 0),
            daily_payout_limit_base_units=Payout(read_uint(answers["dailyPayoutLimit()"], 0)),
            payout_available_base_units=Payout(read_uint(answers["payoutAvailable()"], 0)),
            floor_price=read_uint(answers["floorPrice()"], 0),
            ceiling_price=read_uint(answers["ceilingPrice()"], 0),
            item_gas_limit=read_uint(answers["itemGasLimit()"], 0),
            change_delay_seconds=read_uint(answers["changeDelay()"], 0),
            restrict_payees=read_bool(answers["restrictPayees()"], 0),
            predecessor_address=read_address(answers["predecessor()"], 0),
            owner_address=read_address(answers["owner()"], 0),
            operator_address=read_address(answers["operator()"], 0),
            guardian_address=read_address(answers["guardian()"], 0),
        )
    except (MalformedData, IndexError) as error:
        raise Refused(
            f"the contract at {settler} answers like no settler this version knows: {error}",
            reason="not_a_settler",
            settler_address=settler,
        ) from error


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
        raise Refused(
            f"there is no settler at {settler}: preview did not revert",
            reason="not_a_settler",
            settler_address=settler,
        )
    head = outcome.data[:4]
    if head == PREVIEW_RESULT_SELECTOR:
        try:
            return decode_preview_result(outcome.data, items)
        except MalformedData as error:
            raise Refused(
                f"the preview of settler {settler} is not understood: {error}",
                reason="not_a_settler",
                settler_address=settler,
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
