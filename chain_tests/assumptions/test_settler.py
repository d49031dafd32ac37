"""The settler and its tokens as the chain layer deploys, asks, calls and reads them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest

from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.contracts.settler import (
    batch_hash_of,
    decode_settler_events,
    encode_settle,
)
from settlement_node.chain.endpoints.endpoint import CallRequest, CallReverted
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.words import read_address
from settlement_node.domain.observations import (
    BatchSettledEvent,
    BurnStyle,
    RedemptionSettledEvent,
    RedemptionSkippedEvent,
    SettleItem,
    SkipReason,
)
from settlement_node.errors import Refused
from settlement_node.methods.deploy import (
    Deployer,
    SettlerSettings,
    permitting_payee,
)
from settlement_node.units import (
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    Payout,
    Shares,
    redemption_id_of,
)
from tests_support.abi import ask, is_settled
from tests_support.deploying import deploy_settler, deploy_test_tokens, grant_fund_role, send

from .conftest import PAYEE, Program

SHARES = Shares(10**18)
PAYOUT = Payout(1_500_000)
FLOOR_PRICE = 500


@dataclass(frozen=True, slots=True)
class Fund:
    """A fund ready to settle: shares with an investor, coins and an allowance at the treasury."""

    program: Program
    admin: Deployer
    operator: Deployer
    guardian: Deployer
    treasury_address: Address
    investor_address: Address
    share_token: Address
    payout_token: Address
    settler: Address

    @property
    def client(self) -> ChainClient:
        return self.program.client

    def item(self, index: int, *, payout: Payout = PAYOUT, shares: Shares = SHARES) -> SettleItem:
        return SettleItem(
            redemption_id_hex=redemption_id_of(
                chain_id=self.client.chain_id,
                share_token_address=self.share_token,
                external_id=f"order {index}",
            ),
            redemption_index=index,
            investor_address=self.investor_address,
            payee_address=PAYEE,
            shares_base_units=shares,
            payout_base_units=payout,
        )


@pytest.fixture
def fund(program: Program) -> Fund:
    return make_fund(program, restrict_payees=False)


@pytest.fixture
def restricted_fund(program: Program) -> Fund:
    return make_fund(program, restrict_payees=True)


def make_fund(program: Program, *, restrict_payees: bool) -> Fund:
    def deployer(index: int) -> Deployer:
        signer = KeySigner(program.chain.funded_keys[index])
        return Deployer(program.client, signer, advance=program.chain.mine)

    admin, operator, guardian, treasury, investor = (deployer(index) for index in range(5))
    tokens = deploy_test_tokens(admin)
    settler = deploy_settler(
        admin,
        SettlerSettings(
            share_token_address=tokens.share_token_address,
            payout_token_address=tokens.payout_token_address,
            treasury_address=treasury.address,
            burn_style=BurnStyle.BURN,
            daily_payout_limit_base_units=Payout(100 * 10**6),
            ceiling_price=2 * 10**6,
            floor_price=FLOOR_PRICE,
            restrict_payees=restrict_payees,
        ),
        owner_address=admin.address,
        operator_address=operator.address,
        guardian_address=guardian.address,
    )
    share, payout = tokens.share_token_address, tokens.payout_token_address
    grant_fund_role(admin, share, "BURNER_ROLE", settler)
    admin.transact(share, "FundToken", "setPermitted", [investor.address, True])
    admin.transact(share, "FundToken", "mint", [investor.address, 1_000 * SHARES])
    admin.transact(payout, "TestStablecoin", "mint", [treasury.address, 10**12])
    treasury.transact(payout, "TestStablecoin", "approve", [settler, 10**12])
    return Fund(
        program=program,
        admin=admin,
        operator=operator,
        guardian=guardian,
        treasury_address=treasury.address,
        investor_address=investor.address,
        share_token=share,
        payout_token=payout,
        settler=settler,
    )


def settle(fund: Fund, items: list[SettleItem]) -> list[object]:
    """Settle on top of the present batch hash; the settler's events of the receipt."""
    previous = fund.client.settler_view(fund.settler).batch_hash
    receipt = send(fund.operator, fund.settler, encode_settle(previous, items), gas_limit=5_000_000)
    return list(decode_settler_events([log for log in receipt.logs if log.address == fund.settler]))


def test_settler_view__deployed__what_it_was_given(fund: Fund) -> None:
    view = fund.client.settler_view(fund.settler)

    assert (view.share_token_address, view.payout_token_address, view.treasury_address) == (
        fund.share_token,
        fund.payout_token,
        fund.treasury_address,
    )
    assert view.operator_address == fund.operator.address
    assert [fund.admin.address, fund.guardian.address] == [
        read_address(ask(fund.client, fund.settler, role), 0) for role in ("owner", "guardian")
    ]
    assert (view.batch_hash, view.paused, view.burn_style) == (ZERO_HASH, False, BurnStyle.BURN)
    assert view.payout_available_base_units == view.daily_payout_limit_base_units == 10**8
    assert (view.ceiling_price, view.item_gas_limit) == (2 * 10**6, 400_000)
    assert view.floor_price == FLOOR_PRICE
    assert not any(ask(fund.client, fund.settler, "restrictPayees"))
    assert view.predecessor_address == ZERO_ADDRESS


def test_settle__two_items__burned_paid_recorded_and_the_hash_foreseen(fund: Fund) -> None:
    items = [fund.item(1), fund.item(2)]

    first, second, batch = settle(fund, items)
    view = fund.client.settler_view(fund.settler)
    shares = fund.client.token_view(fund.share_token, holders=[fund.investor_address])
    coins = fund.client.token_view(
        fund.payout_token, holders=[PAYEE], allowance=(fund.treasury_address, fund.settler)
    )

    assert isinstance(first, RedemptionSettledEvent)
    assert isinstance(second, RedemptionSettledEvent)
    assert (second.redemption_index, second.payee_address, second.payout_base_units) == (
        2,
        PAYEE,
        PAYOUT,
    )
    assert isinstance(batch, BatchSettledEvent)
    assert batch.batch_hash == batch_hash_of(ZERO_HASH, items) == view.batch_hash
    assert view.payout_available_base_units == 10**8 - 2 * PAYOUT
    assert shares.balances_base_units == {fund.investor_address: 998 * SHARES}
    assert shares.total_supply_base_units == 998 * SHARES
    assert coins.balances_base_units == {PAYEE: 2 * PAYOUT}
    assert coins.allowance_base_units == 10**12 - 2 * PAYOUT
    assert is_settled(fund.client, fund.settler, [1, 2, 3]) == {1: True, 2: True, 3: False}


def test_settler_events__two_batches__as_in_the_receipts_and_in_order(fund: Fund) -> None:
    expected = settle(fund, [fund.item(1)]) + settle(fund, [fund.item(1), fund.item(2)])

    head = fund.client.refresh().head
    events = fund.client.settler_events([fund.settler], from_block=0, to_block=head.number)

    assert events == expected
    assert isinstance(events[2], RedemptionSkippedEvent)
    assert events[2].skip_reason is SkipReason.ALREADY_SETTLED


def test_transfers__burns_and_payouts__found_by_their_ends(fund: Fund) -> None:
    settle(fund, [fund.item(1), fund.item(2)])
    head = fund.client.refresh().head.number

    burns = fund.client.transfers(
        fund.share_token, from_block=0, to_block=head, to_address=ZERO_ADDRESS
    )
    payouts = fund.client.transfers(
        fund.payout_token,
        from_block=0,
        to_block=head,
        from_address=fund.treasury_address,
        to_address=PAYEE,
    )

    assert [transfer.value_base_units for transfer in burns] == [SHARES, SHARES]
    assert [transfer.value_base_units for transfer in payouts] == [PAYOUT, PAYOUT]


def test_preview__good_and_bad_items__what_settle_then_does(fund: Fund) -> None:
    items = [
        fund.item(1),
        fund.item(2, payout=Payout(3 * 10**6)),
        fund.item(3, shares=Shares(2_000 * SHARES)),
        fund.item(4),
        fund.item(5, payout=Payout(FLOOR_PRICE - 1)),
        fund.item(6, payout=Payout(FLOOR_PRICE)),
        fund.item(2**62),
        replace(fund.item(7), payee_address=fund.share_token),
        replace(fund.item(8), investor_address=fund.payout_token),
    ]

    previews = fund.client.preview(fund.settler, items, from_address=fund.operator.address)
    *events, _batch = settle(fund, items)

    assert [preview.skip_reason for preview in previews] == [
        SkipReason.NONE,
        SkipReason.PRICE_ABOVE_CEILING,
        SkipReason.BURN_FAILED,
        SkipReason.NONE,
        SkipReason.PRICE_BELOW_FLOOR,
        SkipReason.NONE,
        SkipReason.INVALID_ITEM,
        SkipReason.INVALID_ITEM,
        SkipReason.INVALID_ITEM,
    ]
    skipped = {
        event.redemption_id_hex: event.skip_reason
        for event in events
        if isinstance(event, RedemptionSkippedEvent)
    }
    assert skipped == {
        preview.redemption_id_hex: preview.skip_reason
        for preview in previews
        if preview.skip_reason is not SkipReason.NONE
    }
    assert "ERC20InsufficientBalance" in revert_reason(previews[2].detail)
    assert all(preview.gas_used > 0 for preview in previews)


def test_preview__payee_blocked_by_the_coin__that_item_and_its_words(fund: Fund) -> None:
    fund.admin.transact(fund.payout_token, "TestStablecoin", "setBlocked", [PAYEE, True])

    (preview,) = fund.client.preview(
        fund.settler, [fund.item(1)], from_address=fund.operator.address
    )

    assert preview.skip_reason is SkipReason.PAYOUT_FAILED
    assert "AccountBlocked" in revert_reason(preview.detail)


def test_restricted_payees__another_than_the_investor__skipped_until_permitted(
    restricted_fund: Fund,
) -> None:
    fund = restricted_fund
    items = [fund.item(1), replace(fund.item(2), payee_address=fund.investor_address)]
    assert any(ask(fund.client, fund.settler, "restrictPayees"))

    previews = fund.client.preview(fund.settler, items, from_address=fund.operator.address)
    refused, paid, _batch = settle(fund, items)
    fund.admin.send_all([permitting_payee(fund.settler, fund.investor_address, PAYEE)])
    paid_then, _batch = settle(fund, items[:1])

    assert [preview.skip_reason for preview in previews] == [
        SkipReason.PAYEE_NOT_PERMITTED,
        SkipReason.NONE,
    ]
    assert isinstance(refused, RedemptionSkippedEvent)
    assert refused.skip_reason is SkipReason.PAYEE_NOT_PERMITTED
    assert isinstance(paid, RedemptionSettledEvent)
    assert isinstance(paid_then, RedemptionSettledEvent)
    assert paid_then.payee_address == PAYEE


def test_preview__more_than_one_call_can_carry__in_parts_and_complete(fund: Fund) -> None:
    items = [fund.item(index) for index in range(1, 31)]
    client = ChainClient(
        fund.client.chain_id,
        [fund.program.transport()],
        now=time.monotonic,
        policy=PoolPolicy(preview_gas_limit=700_000),
    )

    previews = client.preview(fund.settler, items, from_address=fund.operator.address)

    assert [preview.redemption_id_hex for preview in previews] == [
        item.redemption_id_hex for item in items
    ]


def test_preview__one_item_more_than_a_call_may_use__refused_with_its_reason(fund: Fund) -> None:
    client = ChainClient(
        fund.client.chain_id,
        [fund.program.transport()],
        now=time.monotonic,
        policy=PoolPolicy(preview_gas_limit=100_000),
    )

    with pytest.raises(Refused) as caught:
        client.preview(fund.settler, [fund.item(1)], from_address=fund.operator.address)

    assert caught.value.details["reason"] == "preview_gas_too_low"


def test_preview__settler_paused__refused_with_its_reason(fund: Fund) -> None:
    fund.guardian.transact(fund.settler, "RedemptionSettler", "pause")

    with pytest.raises(Refused) as caught:
        fund.client.preview(fund.settler, [fund.item(1)], from_address=fund.operator.address)

    assert caught.value.details["reason"] == "settler_paused"
    assert fund.client.settler_view(fund.settler).paused


def test_settle__on_another_batch_hash__refused_by_the_ratchet(fund: Fund) -> None:
    settle(fund, [fund.item(1)])
    data = encode_settle(ZERO_HASH, [fund.item(2)])

    (outcome,) = fund.client.calls([CallRequest(fund.settler, data, fund.operator.address)])

    assert isinstance(outcome, CallReverted)
    assert revert_reason(outcome.data).startswith("BatchHashMismatch(")
    assert "BatchHashMismatch" in revert_reason(outcome.data)


def test_calls__reverts__the_reason_by_name(fund: Fund) -> None:
    data = encode_settle(ZERO_HASH, [fund.item(1)])

    (outcome,) = fund.client.calls([CallRequest(fund.settler, data, fund.admin.address)])

    assert isinstance(outcome, CallReverted)
    assert revert_reason(outcome.data).startswith("NotOperator(")


def test_settler_view__a_token_instead__refused(fund: Fund) -> None:
    with pytest.raises(Refused, match="no settler"):
        fund.client.settler_view(fund.share_token)


def test_token_view__no_contract__refused(fund: Fund) -> None:
    with pytest.raises(Refused, match="no ERC-20"):
        fund.client.token_view(PAYEE)


def test_token_view__at_an_earlier_block__the_figures_of_then(fund: Fund) -> None:
    before = fund.client.refresh().head.number
    settle(fund, [fund.item(1)])

    view = fund.client.token_view(fund.share_token, holders=[], block=before)

    assert view.total_supply_base_units == 1_000 * SHARES


def test_transaction_place__mined__sender_and_nonce(fund: Fund) -> None:
    first = fund.program.transfer(fund.client.nonce(fund.admin.address))
    fund.client.send_raw(first.raw)
    fund.program.mine()

    place = fund.client.transaction_place(first.hash_hex)

    assert place == (fund.admin.address, fund.client.nonce(fund.admin.address) - 1)


def test_bound__narrowed__at_once_and_never_across(fund: Fund) -> None:
    limit, ceiling, floor = range(3)

    fund.admin.transact(fund.settler, "RedemptionSettler", "narrowBound", [floor, PAYOUT])
    fund.admin.transact(fund.settler, "RedemptionSettler", "narrowBound", [limit, 5 * PAYOUT])
    for bound, value in ((ceiling, PAYOUT - 1), (floor, PAYOUT), (limit, 6 * PAYOUT)):
        with pytest.raises(Refused, match="reverted"):
            fund.admin.transact(fund.settler, "RedemptionSettler", "narrowBound", [bound, value])
    view = fund.client.settler_view(fund.settler)

    assert (view.floor_price, view.ceiling_price) == (PAYOUT, 2 * 10**6)
    assert view.daily_payout_limit_base_units == 5 * PAYOUT


def successor_of(fund: Fund, predecessor: Address, *, share_token: Address) -> Address:
    """Another settler of the fund, with a predecessor of its own."""
    return deploy_settler(
        fund.admin,
        SettlerSettings(
            share_token_address=share_token,
            payout_token_address=fund.payout_token,
            treasury_address=fund.treasury_address,
            burn_style=BurnStyle.BURN,
            daily_payout_limit_base_units=Payout(1),
            ceiling_price=1,
            predecessor_address=predecessor,
        ),
        owner_address=fund.admin.address,
        operator_address=fund.operator.address,
        guardian_address=fund.guardian.address,
    )


def test_predecessor__a_settler_of_the_same_tokens__is_named(fund: Fund) -> None:
    successor = successor_of(fund, fund.settler, share_token=fund.share_token)

    assert fund.client.settler_view(successor).predecessor_address == fund.settler


def test_predecessor__no_settler_of_these_tokens__refused(fund: Fund) -> None:
    other_share = deploy_test_tokens(fund.admin).share_token_address
    for named, share in (
        (PAYEE, fund.share_token),
        (fund.share_token, fund.share_token),
        (fund.settler, other_share),
    ):
        with pytest.raises(Refused, match="reverted"):
            successor_of(fund, named, share_token=share)


def test_deploy__constructor_reverts__refused(fund: Fund) -> None:
    with pytest.raises(Refused, match="reverted"):
        deploy_settler(
            fund.admin,
            SettlerSettings(
                share_token_address=PAYEE,
                payout_token_address=fund.payout_token,
                treasury_address=fund.treasury_address,
                burn_style=BurnStyle.BURN,
                daily_payout_limit_base_units=Payout(1),
                ceiling_price=1,
            ),
            owner_address=fund.admin.address,
            operator_address=fund.operator.address,
            guardian_address=fund.guardian.address,
        )
