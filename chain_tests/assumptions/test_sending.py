"""What a chain program answers to sends, and what is then found by hash."""

from __future__ import annotations

import pytest

from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.views import Accepted, Rejected, SendRejection, Unanswered

from .conftest import GWEI, Program


def bumped(fee_wei: int) -> int:
    """The replacement rule of the node: an eighth more, strictly rounded up."""
    return fee_wei * 9 // 8 + 1


def test_send__new__accepted_pending_and_not_mined(program: Program) -> None:
    first = program.transfer(0)

    answer = program.client.send_raw(first.raw)

    assert answer == Accepted(first.hash_hex)
    assert program.client.transaction_place(first.hash_hex) == (program.sender.address, 0)
    assert program.client.receipts([first.hash_hex]) == {first.hash_hex: None}
    assert program.client.nonce(program.sender.address) == 0


def test_send__same_bytes_while_pending__accepted_again(program: Program) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)

    assert program.client.send_raw(first.raw) == Accepted(first.hash_hex)


def test_send__same_bytes_after_mining__nonce_too_low_and_the_receipt_is_found(
    program: Program,
) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)
    program.mine()

    answer = program.client.send_raw(first.raw)
    receipt = program.client.receipts([first.hash_hex])[first.hash_hex]

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.NONCE_TOO_LOW
    assert receipt is not None
    assert receipt.succeeded


def test_send__replacement_an_eighth_higher__only_the_replacement_is_mined(
    program: Program,
) -> None:
    first = program.transfer(0)
    second = program.transfer(0, fee_wei=bumped(3 * GWEI), tip_wei=bumped(GWEI))
    program.client.send_raw(first.raw)

    answer = program.client.send_raw(second.raw)
    places = [program.client.transaction_place(item.hash_hex) for item in (first, second)]
    program.mine()
    receipts = program.client.receipts([first.hash_hex, second.hash_hex])

    assert answer == Accepted(second.hash_hex)
    assert places == [None, (program.sender.address, 0)]
    assert receipts[first.hash_hex] is None
    assert receipts[second.hash_hex] is not None
    assert program.client.nonce(program.sender.address) == 1


def test_send__first_attempt_after_its_replacement_is_mined__nonce_too_low_and_no_receipt(
    program: Program,
) -> None:
    first = program.transfer(0)
    second = program.transfer(0, fee_wei=bumped(3 * GWEI), tip_wei=bumped(GWEI))
    for attempt in (first, second):
        program.client.send_raw(attempt.raw)
    program.mine()

    answer = program.client.send_raw(first.raw)

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.NONCE_TOO_LOW
    assert program.client.receipts([first.hash_hex]) == {first.hash_hex: None}


@pytest.mark.parametrize("fee_wei", [3 * GWEI, 2 * GWEI])
def test_send__replacement_not_higher__replacement_underpriced_and_the_first_stays(
    program: Program, fee_wei: int
) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)

    answer = program.client.send_raw(program.transfer(0, fee_wei=fee_wei, value_wei=2).raw)

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.REPLACEMENT_UNDERPRICED
    assert program.client.transaction_place(first.hash_hex) is not None


def test_send__only_the_tip_is_raised__replacement_underpriced(program: Program) -> None:
    program.client.send_raw(program.transfer(0).raw)

    answer = program.client.send_raw(program.transfer(0, tip_wei=2 * GWEI).raw)

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.REPLACEMENT_UNDERPRICED


def test_send__nonce_gap__waits_until_the_gap_is_filled(program: Program) -> None:
    second, first = program.transfer(1), program.transfer(0)

    answer = program.client.send_raw(second.raw)
    program.mine()
    before = program.client.receipts([second.hash_hex])[second.hash_hex]
    program.client.send_raw(first.raw)
    program.mine()
    after = program.client.receipts([first.hash_hex, second.hash_hex])

    assert answer == Accepted(second.hash_hex)
    assert before is None
    assert None not in after.values()


def test_send__sixteen_in_flight__mined_in_nonce_order_in_one_block(program: Program) -> None:
    sent = [program.transfer(nonce) for nonce in range(16)]
    for one in sent:
        program.client.send_raw(one.raw)
    program.mine()

    receipts = program.client.receipts([one.hash_hex for one in sent])

    assert {receipt.block_number for receipt in receipts.values() if receipt is not None} == {1}
    assert program.client.nonce(program.sender.address) == 16


def test_send__signed_for_another_chain__wrong_chain(program: Program) -> None:
    answer = program.client.send_raw(program.transfer(0, chain_id=1).raw)

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.WRONG_CHAIN


def test_send__sender_without_coins__insufficient_funds(program: Program) -> None:
    poor = KeySigner((999).to_bytes(32, "big"))

    answer = program.client.send_raw(program.transfer(0, signer=poor).raw)

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.INSUFFICIENT_FUNDS


def test_send__gas_limit_above_the_blocks__gas_limit_too_high(program: Program) -> None:
    answer = program.client.send_raw(program.transfer(0, gas_limit=30_000_001).raw)

    assert isinstance(answer, Rejected)
    assert answer.reason is SendRejection.GAS_LIMIT_TOO_HIGH


def test_send__no_transaction_at_all__malformed(program: Program) -> None:
    for raw in (b"\x02\xc0", program.transfer(0).raw[:-1]):
        answer = program.client.send_raw(raw)

        assert isinstance(answer, Rejected)
        assert answer.reason is SendRejection.MALFORMED


def test_send__fee_cap_below_the_base_fee__not_mined_whatever_the_answer(
    program: Program,
) -> None:
    cheap = program.transfer(0, fee_wei=10, tip_wei=1)

    answer = program.client.send_raw(cheap.raw)
    program.mine()

    if isinstance(answer, Rejected):
        assert answer.reason is SendRejection.UNDERPRICED
    assert program.client.receipts([cheap.hash_hex]) == {cheap.hash_hex: None}
    assert program.client.nonce(program.sender.address) == 0


def test_drop__pending__gone_and_the_same_bytes_bring_it_back(program: Program) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)
    program.chain.drop(first.hash_hex)

    place = program.client.transaction_place(first.hash_hex)
    answer = program.client.send_raw(first.raw)
    program.mine()

    assert place is None
    assert answer == Accepted(first.hash_hex)
    assert program.client.receipts([first.hash_hex])[first.hash_hex] is not None


def test_send__program_stopped__unanswered(anvil_program: Program) -> None:
    anvil_program.client.refresh()
    anvil_program.chain.stop()  # type: ignore[union-attr]

    assert isinstance(anvil_program.client.send_raw(anvil_program.transfer(0).raw), Unanswered)


def test_send__anvil_and_a_small_bump__takes_less_than_other_clients(
    anvil_program: Program,
) -> None:
    """anvil takes any higher fee; geth wants a tenth more. So anvil cannot test that rule."""
    anvil_program.client.send_raw(anvil_program.transfer(0).raw)
    slightly = anvil_program.transfer(0, fee_wei=3 * GWEI + 1, tip_wei=GWEI + 1)

    assert anvil_program.client.send_raw(slightly.raw) == Accepted(slightly.hash_hex)


def test_send__anvil_and_too_little_gas_for_the_data__accepted_and_forgotten(
    anvil_program: Program,
) -> None:
    """Acceptance is no promise: anvil takes it and drops it when it mines."""
    starved = anvil_program.transfer(0, data=b"\x01" * 50)

    answer = anvil_program.client.send_raw(starved.raw)
    anvil_program.mine()

    assert answer == Accepted(starved.hash_hex)
    assert anvil_program.client.transaction_place(starved.hash_hex) is None
    assert anvil_program.client.nonce(anvil_program.sender.address) == 0
