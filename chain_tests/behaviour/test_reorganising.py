"""What a reorganisation and a replacement do to a settlement, the same on every chain."""

from __future__ import annotations

from settlement_node.chain.views import Accepted, Rejected, SendRejection
from settlement_node.domain.observations import RedemptionSettledEvent
from settlement_node.units import ZERO_HASH

from .conftest import DOLLAR, GWEI, SHARE, Rig


def test_reorganise__settled_batch__undone_whole_and_the_same_bytes_pay_again(rig: Rig) -> None:
    signed = rig.sign(rig.settle_data([rig.item(1)]))
    rig.client.send_raw(signed.raw)
    rig.mine()
    before = rig.client.receipts([signed.hash_hex])[signed.hash_hex]
    assert rig.paid() == 100 * DOLLAR

    rig.reorganise(1)
    gone = rig.client.receipts([signed.hash_hex])[signed.hash_hex]
    assert (rig.paid(), rig.shares(), rig.client.batch_hash(rig.settler)) == (
        0,
        100 * SHARE,
        ZERO_HASH,
    )

    assert rig.client.send_raw(signed.raw) == Accepted(signed.hash_hex)
    rig.mine()
    again = rig.client.receipts([signed.hash_hex])[signed.hash_hex]
    assert gone is None
    assert before is not None
    assert again is not None
    assert again.block_hash != before.block_hash
    assert (rig.paid(), rig.shares()) == (100 * DOLLAR, 99 * SHARE)


def test_reorganise__settled_batch__its_events_are_gone_from_the_logs(rig: Rig) -> None:
    rig.settle([rig.item(1)])
    head = rig.client.refresh().head.number
    before = rig.client.settler_events([rig.settler], from_block=0, to_block=head)
    rig.reorganise(1)
    head = rig.client.refresh().head.number
    after = rig.client.settler_events([rig.settler], from_block=0, to_block=head)
    assert [RedemptionSettledEvent] == [type(event) for event in before[:1]]
    assert [] == after


def test_replace__an_eighth_more__only_the_replacement_pays(rig: Rig) -> None:
    data, nonce = rig.settle_data([rig.item(1)]), rig.next_nonce()
    first = rig.sign(data, nonce=nonce)
    second = rig.sign(data, nonce=nonce, cap_wei=3 * GWEI * 9 // 8 + 1, tip_wei=GWEI * 9 // 8 + 1)
    rig.client.send_raw(first.raw)
    assert rig.client.send_raw(second.raw) == Accepted(second.hash_hex)
    rig.mine()
    receipts = rig.client.receipts([first.hash_hex, second.hash_hex])
    assert receipts[first.hash_hex] is None
    assert receipts[second.hash_hex] is not None
    assert rig.paid() == 100 * DOLLAR


def test_replace__by_a_no_op__nothing_is_settled_and_the_nonce_is_used(rig: Rig) -> None:
    nonce = rig.next_nonce()
    batch = rig.sign(rig.settle_data([rig.item(1)]), nonce=nonce)
    no_op = rig.sign(
        b"",
        nonce=nonce,
        gas_limit=21_000,
        cap_wei=4 * GWEI,
        tip_wei=2 * GWEI,
        to_address=rig.operator.address,
    )
    rig.client.send_raw(batch.raw)
    rig.client.send_raw(no_op.raw)
    rig.mine()
    assert (rig.paid(), rig.next_nonce()) == (0, nonce + 1)
    late = rig.client.send_raw(batch.raw)
    assert isinstance(late, Rejected)
    assert late.reason is SendRejection.NONCE_TOO_LOW


def test_replace__same_fees__refused_and_the_first_stays(rig: Rig) -> None:
    nonce = rig.next_nonce()
    first = rig.sign(rig.settle_data([rig.item(1)]), nonce=nonce)
    other = rig.sign(rig.settle_data([rig.item(2)]), nonce=nonce)
    rig.client.send_raw(first.raw)
    answer = rig.client.send_raw(other.raw)
    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.REPLACEMENT_UNDERPRICED
    assert rig.client.transaction_place(first.hash_hex) is not None
