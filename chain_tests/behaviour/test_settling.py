"""What a settler does with a batch, the same on every chain."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.contracts.settler import batch_hash_of
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.domain.observations import (
    BatchSettledEvent,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SkipReason,
)
from settlement_node.units import ZERO_HASH, Payout, Wei
from tests_support.abi import is_settled

from .conftest import DAILY_LIMIT, DOLLAR, GWEI, OTHER_PAYEE, PAYEE, SHARE, Rig


def skips(events: Sequence[object]) -> list[tuple[int, SkipReason]]:
    """Index and reason of each skipped item."""
    return [
        (event.redemption_index, event.skip_reason)
        for event in events
        if isinstance(event, RedemptionSkippedEvent)
    ]


def test_settle__two_items__burned_and_paid_and_the_ratchet_as_foreseen(rig: Rig) -> None:
    items = [rig.item(1), rig.item(2, payee=OTHER_PAYEE)]
    receipt = rig.settle(items)
    first, second, batch = rig.events(receipt)
    assert receipt.succeeded
    assert isinstance(first, RedemptionSettledEvent)
    assert isinstance(second, RedemptionSettledEvent)
    assert isinstance(batch, BatchSettledEvent)
    assert (batch.previous_batch_hash, batch.settled_count, batch.skipped_count) == (
        ZERO_HASH,
        2,
        0,
    )
    assert batch.batch_hash == batch_hash_of(ZERO_HASH, items) == rig.client.batch_hash(rig.settler)
    assert (rig.paid(), rig.paid(OTHER_PAYEE), rig.shares()) == (
        100 * DOLLAR,
        100 * DOLLAR,
        98 * SHARE,
    )


def test_settle__one_item__event_burn_payout_and_batch_event_in_this_order(
    rig: Rig,
) -> None:
    receipt = rig.settle([rig.item(1)])
    addresses = [log.address for log in receipt.logs]
    fund = rig.stage.fund
    assert addresses == [
        rig.settler,
        fund.share_token_address,
        fund.payout_token_address,
        rig.settler,
    ]


def test_settle__index_settled_before__skipped_and_nothing_moves(rig: Rig) -> None:
    rig.settle([rig.item(1)])
    receipt = rig.settle([rig.item(1), rig.item(2)])
    assert [(1, SkipReason.ALREADY_SETTLED)] == skips(rig.events(receipt))
    assert rig.paid() == 200 * DOLLAR
    assert is_settled(rig.client, rig.settler, [1, 2, 3]) == {1: True, 2: True, 3: False}


def test_settle__same_index_twice_in_one_batch__the_second_is_skipped(rig: Rig) -> None:
    receipt = rig.settle([rig.item(1), rig.item(1)])
    assert [(1, SkipReason.ALREADY_SETTLED)] == skips(rig.events(receipt))
    assert rig.paid() == 100 * DOLLAR


def test_settle__bad_items_among_good__each_with_its_reason_and_the_rest_paid(rig: Rig) -> None:
    rig.stage.set_blocked(OTHER_PAYEE, blocked=True)
    items = [
        rig.item(1),
        rig.item(2, payout=201 * DOLLAR),
        rig.item(3, shares=1_000 * SHARE),
        rig.item(4, payee=OTHER_PAYEE),
        rig.item(5, payout=0),
        rig.item(6, payee=rig.stage.treasury.address),
        rig.item(7),
    ]
    rig.client.refresh()
    previews = rig.client.preview(rig.settler, items, from_address=rig.operator.address)
    receipt = rig.settle(items)
    expected = [
        (2, SkipReason.PRICE_ABOVE_CEILING),
        (3, SkipReason.BURN_FAILED),
        (4, SkipReason.PAYOUT_FAILED),
        (5, SkipReason.INVALID_ITEM),
        (6, SkipReason.INVALID_ITEM),
    ]
    assert expected == skips(rig.events(receipt))
    assert [SkipReason.NONE, *(reason for _, reason in expected), SkipReason.NONE] == [
        preview.skip_reason for preview in previews
    ]
    assert ["ERC20InsufficientBalance", "AccountBlocked"] == [
        revert_reason(previews[n].detail).split("(")[0] for n in (2, 3)
    ]
    assert (rig.paid(), rig.shares()) == (200 * DOLLAR, 98 * SHARE)


def test_settle__not_on_the_present_hash__reverts_whole(rig: Rig) -> None:
    rig.settle([rig.item(1)])
    stale = rig.sign(rig.settle_data([rig.item(2)], ZERO_HASH))
    rig.client.send_raw(stale.raw)
    rig.mine()
    receipt = rig.client.receipts([stale.hash_hex])[stale.hash_hex]
    assert receipt is not None
    assert (receipt.succeeded, receipt.logs) == (False, ())
    assert rig.paid() == 100 * DOLLAR


def test_settle__two_in_flight__the_second_follows_the_firsts_hash(rig: Rig) -> None:
    first, second = [rig.item(1)], [rig.item(2)]
    nonce = rig.next_nonce()
    sent = [
        rig.sign(rig.settle_data(first), nonce=nonce),
        rig.sign(
            rig.settle_data(second, batch_hash_of(rig.client.batch_hash(rig.settler), first)),
            nonce=nonce + 1,
        ),
    ]
    for one in reversed(sent):
        rig.client.send_raw(one.raw)
    rig.mine()
    receipts = rig.client.receipts([one.hash_hex for one in sent])
    assert [True, True] == [r.succeeded for r in receipts.values() if r is not None]
    assert rig.paid() == 200 * DOLLAR


def test_settle__too_little_gas_for_all_items__reverts_whole_and_pays_nobody(rig: Rig) -> None:
    receipt = rig.settle([rig.item(n) for n in range(1, 9)], gas_limit=700_000)
    assert not receipt.succeeded
    assert (rig.paid(), rig.client.batch_hash(rig.settler)) == (0, ZERO_HASH)


def test_settle__as_much_gas_as_the_preview_asks__pays_all(rig: Rig) -> None:
    items = [rig.item(n) for n in range(1, 9)]
    previews = rig.client.preview(rig.settler, items, from_address=rig.operator.address)
    needed = 250_000 + sum(p.gas_used + 12_000 for p in previews) + 410_000
    assert rig.settle(items, gas_limit=needed).succeeded
    assert rig.paid() == 800 * DOLLAR


def test_settle__beyond_the_daily_limit__skipped_until_a_day_has_passed(rig: Rig) -> None:
    rig.settle([rig.item(n) for n in range(1, 10)])
    assert rig.client.settler_view(rig.settler).payout_available_base_units == 100 * DOLLAR
    receipt = rig.settle([rig.item(10), rig.item(11)])
    assert [(11, SkipReason.DAILY_LIMIT_EXCEEDED)] == skips(rig.events(receipt))
    rig.skip_hours(23)
    assert rig.client.settler_view(rig.settler).payout_available_base_units == 0
    rig.skip_hours(2)
    assert rig.client.settler_view(rig.settler).payout_available_base_units == DAILY_LIMIT
    assert rig.settle([rig.item(11)]).succeeded
    assert rig.paid() == 1_100 * DOLLAR


def test_settle__settler_paused__reverts_until_it_is_lifted(rig: Rig) -> None:
    rig.deployer.transact(rig.settler, "RedemptionSettler", "pause")
    rig.client.refresh()
    assert rig.client.settler_view(rig.settler).paused
    assert not rig.settle([rig.item(1)]).succeeded
    rig.deployer.transact(rig.settler, "RedemptionSettler", "unpause")
    rig.client.refresh()
    assert rig.settle([rig.item(1)]).succeeded


def test_settle__stablecoin_paused__nothing_burned_unpaid(rig: Rig) -> None:
    rig.deployer.transact(rig.stage.fund.payout_token_address, "TestStablecoin", "pause")
    rig.client.refresh()
    receipt = rig.settle([rig.item(1)])
    assert [(1, SkipReason.PAYOUT_FAILED)] == skips(rig.events(receipt))
    assert (rig.shares(), rig.paid()) == (100 * SHARE, 0)


def test_settle__allowance_used_up__the_item_beyond_it_is_skipped(rig: Rig) -> None:
    rig.stage.approve(Payout(150 * DOLLAR))
    rig.client.refresh()
    receipt = rig.settle([rig.item(1), rig.item(2)])
    assert [(2, SkipReason.PAYOUT_FAILED)] == skips(rig.events(receipt))
    assert rig.paid(PAYEE) == 100 * DOLLAR


def test_settle__holder_no_longer_permitted__burn_refused_with_the_tokens_words(rig: Rig) -> None:
    share = rig.stage.fund.share_token_address
    rig.deployer.transact(share, "FundToken", "setPermitted", [rig.holder.address, False])
    rig.client.refresh()
    (preview,) = rig.client.preview(rig.settler, [rig.item(1)], from_address=rig.operator.address)
    assert preview.skip_reason is SkipReason.BURN_FAILED
    assert revert_reason(preview.detail).startswith("HolderNotPermitted(0x")


def test_settle__by_another_account__refused(rig: Rig) -> None:
    data = rig.settle_data([rig.item(1)])
    nonce = rig.client.nonce(rig.holder.address)
    signed = rig.holder.sign(_fields(rig, data, nonce))
    rig.client.send_raw(signed.raw)
    rig.mine()
    receipt = rig.client.receipts([signed.hash_hex])[signed.hash_hex]
    assert receipt is not None
    assert not receipt.succeeded
    assert rig.paid() == 0


def _fields(rig: Rig, data: bytes, nonce: int) -> TransactionFields:
    return TransactionFields(
        chain_id=rig.chain.chain_id,
        nonce=nonce,
        to_address=rig.settler,
        data=data,
        value_wei=Wei(0),
        gas_limit=1_000_000,
        max_fee_per_gas_wei=Wei(3 * GWEI),
        max_priority_fee_per_gas_wei=Wei(GWEI),
    )
