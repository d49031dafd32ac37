"""The atomic settler: burn and payment of an item in one call, batches chained by a ratchet.

A batch's mark is the batch hash the settler stands at after it, whatever items it skips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.logs import incomplete_batch
from settlement_node.chain.contracts.reverts import revert_reason, skip_words
from settlement_node.chain.contracts.settler import (
    batch_hash_of,
    decode_settler_events,
    encode_settle,
)
from settlement_node.chain.contracts.tokens import encode_transfer_from
from settlement_node.chain.endpoints.endpoint import CallRequest, CallReverted
from settlement_node.chain.wire.words import selector
from settlement_node.domain import batching
from settlement_node.domain.batching import Outlook
from settlement_node.domain.lifecycle import Leg
from settlement_node.domain.observations import (
    BatchSettledEvent,
    ItemPreview,
    Receipt,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SettleItem,
    SkipReason,
)
from settlement_node.domain.planning import ChainView, EncodedBatch, GasRule, InFlight
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.waiting import Obstacle, WaitingFor
from settlement_node.errors import Refused, Transient
from settlement_node.methods.burn_trial import try_burn
from settlement_node.methods.port import Incomplete, ItemSkipped, ReceiptSays
from settlement_node.store.book.funds import NewFund
from settlement_node.store.chain_memory import chain_book
from settlement_node.store.database import ReadTx
from settlement_node.store.rows import FundRow, SettlementRow, TransactionRow
from settlement_node.units import ZERO_HASH, Hex32, Payout

HOLDERS_TRIED = 20
"""Holders of a batch of whose shares a burn of one base unit is tried."""
REFUSED_WHOLE = frozenset(selector(name) for name in ("SettlerPaused()", "NotOperator(address)"))
"""What the settler says to a batch as a whole and that no item of it can be blamed for."""


@dataclass(frozen=True, slots=True)
class Settler:
    """A fund that settles through its settler contract."""

    fund: FundRow

    def state(self, client: ChainClient) -> ChainView:
        """Settler, treasury and both tokens."""
        fund = self.fund
        settler = client.settler_view(fund.settler_address)
        money = client.token_view(
            fund.payout_token_address,
            holders=[fund.treasury_address],
            allowance=(fund.treasury_address, fund.settler_address),
        )
        shares = client.token_view(fund.share_token_address)
        obstacle: Obstacle | None = None
        if settler.paused or settler.operator_address != fund.lane_address:
            obstacle = Obstacle(WaitingFor.SETTLER, "the settler is paused or has another operator")
        elif money.paused or shares.paused:
            which = "payout" if money.paused else "share"
            token = (money if money.paused else shares).token_address
            obstacle = Obstacle(WaitingFor.TOKEN_PAUSED, f"the {which} token {token} is paused")
        return ChainView(
            mark=settler.batch_hash,
            spendable_base_units=Payout(
                min(
                    money.balances_base_units[fund.treasury_address],
                    money.allowance_base_units or 0,
                )
            ),
            limit_base_units=settler.daily_payout_limit_base_units,
            limit_available_base_units=settler.payout_available_base_units,
            price_band=PriceBand(settler.floor_price, settler.ceiling_price, fund.payout_decimals),
            item_gas_limit=settler.item_gas_limit,
            obstacle=obstacle,
        )

    def preview(
        self, client: ChainClient, items: Sequence[SettleItem]
    ) -> Sequence[Outlook] | Obstacle:
        """By the settler's own preview; one that passes shows that no cause is shared."""
        fund = self.fund
        try:
            previews = client.preview(fund.settler_address, items, from_address=fund.lane_address)
        except Refused as error:
            if error.details.get("reason") in ("settler_paused", "not_a_settler"):
                return Obstacle(WaitingFor.SETTLER, error.message)
            raise
        if not any(preview.skip_reason is SkipReason.NONE for preview in previews):
            shared = self._shared_cause(client, items, previews)
            if shared is not None:
                return shared
        return [
            Outlook(
                preview.redemption_id_hex,
                preview.skip_reason,
                preview.gas_used,
                ""
                if preview.skip_reason is SkipReason.NONE
                else skip_words(preview.skip_reason, preview.detail, fund.error_signatures),
            )
            for preview in previews
        ]

    def encode(
        self,
        following: Hex32,
        items: Sequence[SettleItem],
        outlooks: Sequence[Outlook],
        rule: GasRule,
    ) -> EncodedBatch:
        """A call of `settle`."""
        data = encode_settle(following, items)
        return EncodedBatch(
            leg=Leg.BURN_AND_PAYOUT,
            to_address=self.fund.settler_address,
            data=data,
            gas_limit=batching.batch_gas_limit(
                outlooks,
                data=data,
                item_gas_limit=rule.item_gas_limit,
                margin_bps=rule.margin_bps,
            ),
            following=following,
            mark=batch_hash_of(following, items),
        )

    def read_receipt(self, settlement: SettlementRow, receipt: Receipt) -> ReceiptSays | Incomplete:
        """By the settler's events; its last one says how many there must be."""
        events = decode_settler_events(receipt.logs, settler_address=settlement.settler_address)
        if incomplete_batch(events) or not any(isinstance(e, BatchSettledEvent) for e in events):
            return Incomplete()
        items: dict[Hex32, RedemptionSettledEvent | ItemSkipped] = {}
        for event in events:
            if isinstance(event, RedemptionSettledEvent):
                items[event.redemption_id_hex] = event
            elif isinstance(event, RedemptionSkippedEvent):
                words = skip_words(event.skip_reason, event.detail, self.fund.error_signatures)
                items[event.redemption_id_hex] = ItemSkipped(event.skip_reason, words)
        return ReceiptSays(items, events)

    def may_follow(self, in_flight: InFlight) -> bool:
        """Not while one of those in flight may fail as a whole (reverted, or a cancel is under
        way): the batches behind it would be refused by the ratchet. Not when the first one still
        unmined does not follow the settler's last hash: somebody else moved the ratchet, and ours
        are about to revert."""
        if any(batch.may_fail for batch in in_flight.undecided):
            return False
        if in_flight.undecided:
            return in_flight.undecided[0].following == in_flight.mined_mark
        return in_flight.last_mark is None or in_flight.last_mark == in_flight.mined_mark

    def fitted(self, tx: ReadTx, settlement: SettlementRow) -> bool:
        """By the events: its predecessor is on the chain and nobody moved on from there."""
        at = self.fund.chain_id, settlement.settler_address
        previous = settlement.previous_batch_hash
        is_there = previous == ZERO_HASH or chain_book.batch_event(tx, *at, previous) is not None
        return is_there and chain_book.batch_after(tx, *at, previous) is None

    def refused_whole(self, client: ChainClient, row: TransactionRow) -> bool:
        """While the settler was paused, or its operator another."""
        call = CallRequest(row.to_address, row.data, row.signer_address, row.gas_limit)
        try:
            (outcome,) = client.calls([call], block=row.block_number or 0)
        except Transient:
            return False
        return isinstance(outcome, CallReverted) and outcome.data[:4] in REFUSED_WHOLE

    def _shared_cause(
        self, client: ChainClient, items: Sequence[SettleItem], previews: Sequence[ItemPreview]
    ) -> Obstacle | None:
        """Why no item at all could go now, if that is not the items' own doing."""
        reasons = {preview.skip_reason for preview in previews}
        if SkipReason.PAYOUT_FAILED in reasons:
            why = treasury_refusal(client, self.fund)
            if why is not None:
                return Obstacle(WaitingFor.LIQUIDITY, why)
        if SkipReason.BURN_FAILED in reasons:
            said = {
                revert_reason(preview.detail)
                for preview in previews
                if preview.skip_reason is SkipReason.BURN_FAILED
            }
            why = burn_refusal(client, self.fund, items, said)
            if why is not None:
                return Obstacle(WaitingFor.BURN_RIGHT, why)
        return None


def burn_refusal(
    client: ChainClient, fund: FundRow, items: Sequence[SettleItem], said: set[str]
) -> str | None:
    """Why the settler could burn nobody's shares now; None when that is not shown, and those whose
    burn failed are to be asked about themselves.

    One base unit of any of these holders that could be burned shows that the right is there, and so
    does a burn of nothing. Where that is refused too, a token that denies the role shows that it is
    away; one that has no such question does by giving a burn of nothing the same answer that it
    gave every item, with the same arguments.
    """
    holders = list(dict.fromkeys(item.investor_address for item in items))[:HOLDERS_TRIED]
    trial = try_burn(client.calls, fund, holders)
    if trial.passed_for is not None or trial.refusal is None:
        return None
    if trial.is_agent is not False and trial.has_role is not False and said != {trial.refusal}:
        return None
    return (
        f"the share token {fund.share_token_address} lets the settler {fund.settler_address} burn"
        f" nobody's shares now ({trial.refusal}): its right to burn is away, or the token stands"
        " still"
    )


def treasury_refusal(client: ChainClient, fund: FundRow | NewFund) -> str | None:
    """Why not even one base unit could leave the treasury now, to the settler itself; None when it
    could."""
    call = CallRequest(
        fund.payout_token_address,
        encode_transfer_from(
            owner=fund.treasury_address, recipient=fund.settler_address, value_base_units=1
        ),
        from_address=fund.settler_address,
    )
    (outcome,) = client.calls([call])
    # Nothing or true is a yes; a token that says no by returning false says it here too.
    if not isinstance(outcome, CallReverted) and (not outcome.data or any(outcome.data)):
        return None
    said = (
        revert_reason(outcome.data, fund.error_signatures)
        if isinstance(outcome, CallReverted)
        else "false"
    )
    return (
        f"the payout token {fund.payout_token_address} lets the treasury {fund.treasury_address}"
        f" pay nobody now ({said}): it is blocked, or the token stands still"
    )
