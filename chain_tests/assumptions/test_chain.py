"""What a chain program shows of its blocks: heads, tags, reorganisations, and the edges of both."""

from __future__ import annotations

import time

import pytest

from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.chain.views import Undecided
from settlement_node.chain.wire.transport import RpcOk, RpcRequest, Transport
from settlement_node.errors import InvalidInput, Refused, Transient
from settlement_node.units import Wei
from tests_support.anvil import AnvilProcess
from tests_support.embedded import EmbeddedChain

from .conftest import Program


def test_refresh__fresh_chain__genesis(program: Program) -> None:
    assert program.client.refresh().head.number == 0


def test_refresh__mined__tags_stay_one_and_two_blocks_behind(program: Program) -> None:
    program.mine(5)

    view = program.client.refresh()

    assert (view.head.number, view.safe_number, view.finalized_number) == (5, 4, 3)


def test_mine__quickly__embedded_blocks_are_later_and_anvils_never_earlier(
    program: Program,
) -> None:
    """A real chain's blocks are strictly later than their parents; anvil's need not be."""
    program.mine(10)

    blocks = program.client.blocks(range(11))
    times = [blocks[number].timestamp_seconds for number in range(11)]

    assert times == sorted(times)
    if program.name == "pyevm":
        assert len(set(times)) == 11


def test_blocks__all__linked_by_parent_hash(program: Program) -> None:
    program.mine(10)

    blocks = program.client.blocks(range(11))

    assert all(
        blocks[number].parent_hash == blocks[number - 1].block_hash for number in range(1, 11)
    )


def test_reorganise__mined_transaction__its_receipt_is_gone_and_the_same_bytes_come_back(
    program: Program,
) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)
    program.mine()
    before = program.client.receipts([first.hash_hex])[first.hash_hex]

    program.reorganise(1)
    program.client.refresh()
    gone = program.client.receipts([first.hash_hex])[first.hash_hex]
    program.client.send_raw(first.raw)
    program.mine()
    again = program.client.receipts([first.hash_hex])[first.hash_hex]

    assert before is not None
    assert gone is None
    assert again is not None
    assert again.block_hash != before.block_hash


def test_reorganise__same_height__another_hash_at_once(program: Program) -> None:
    program.mine(5)
    before = program.client.refresh().head
    older = program.client.blocks([2, 4])

    program.reorganise(2)
    after = program.client.refresh().head

    assert after.number == before.number
    assert after.block_hash != before.block_hash
    newer = program.client.blocks([2, 4])
    assert newer[2] == older[2]
    assert newer[4] != older[4]


def test_reorganise__without_looking_again__state_of_the_old_head_is_refused(
    program: Program,
) -> None:
    """Reads name the agreed head's hash, so they fail instead of mixing two chains."""
    program.mine(2)
    program.reorganise(1)

    with pytest.raises(Transient):
        program.client.native_balance(program.sender.address)


def test_reorganise__without_looking_again__receipt_is_undecided_and_not_absent(
    program: Program,
) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)
    program.mine()
    program.reorganise(1)

    assert isinstance(program.client.receipts([first.hash_hex])[first.hash_hex], Undecided)


def test_rollback__lower_head__ignored_until_the_tolerance_has_passed(program: Program) -> None:
    seconds = [0.0]
    client = ChainClient(
        program.chain.chain_id,
        [program.transport()],
        now=lambda: seconds[0],
        policy=PoolPolicy(backward_tolerance_seconds=30.0),
    )
    program.mine(5)
    client.refresh()
    program.rollback(2)

    ignored = client.refresh().head.number
    seconds[0] = 31.0
    followed = client.refresh().head.number

    assert (ignored, followed) == (5, 3)


def test_receipts__transaction_that_reverts__found_and_not_succeeded(program: Program) -> None:
    """0xfe is the invalid opcode: creating a contract with it as code takes all gas and fails."""
    failing = program.sender.sign(_creation(program, b"\xfe"))
    program.client.send_raw(failing.raw)
    program.mine()

    receipt = program.client.receipts([failing.hash_hex])[failing.hash_hex]

    assert receipt is not None
    assert not receipt.succeeded
    assert receipt.gas_used == 100_000


def test_fee_history__mined__as_long_as_asked_and_one_more_base_fee(program: Program) -> None:
    program.client.send_raw(program.transfer(0).raw)
    program.mine(5)

    history = program.client.fee_history(block_count=4, percentile=50)

    assert len(history.tips_wei) == 4
    assert len(history.base_fees_wei) == 5
    head = program.client.refresh().head
    assert history.base_fees_wei[-2] == head.base_fee_per_gas_wei


def test_fee_history__longer_than_the_chain__as_long_as_the_chain(program: Program) -> None:
    program.mine(2)

    assert len(program.client.fee_history(block_count=50, percentile=50).tips_wei) == 3


def test_effective_price__mined__base_fee_plus_tip(program: Program) -> None:
    first = program.transfer(0)
    program.client.send_raw(first.raw)
    program.mine()

    receipt = program.client.receipts([first.hash_hex])[first.hash_hex]
    block = program.client.blocks([1])[1]

    assert receipt is not None
    assert receipt.effective_gas_price_wei == block.base_fee_per_gas_wei + 10**9


def test_logs__above_the_head__refused_here_since_programs_answer_an_empty_list(
    program: Program,
) -> None:
    query = {"fromBlock": "0x0", "toBlock": "0x64"}
    (raw,) = program.transport().request([RpcRequest("eth_getLogs", (query,))])

    assert raw == RpcOk([])
    with pytest.raises(InvalidInput):
        program.client.settler_events([program.sender.address], from_block=0, to_block=100)


def test_request__two_hundred_and_fifty__answered_in_order(program: Program) -> None:
    program.mine(249)
    requests = [RpcRequest("eth_getBlockByNumber", (hex(number), False)) for number in range(250)]

    results = program.transport().request(requests)

    numbers = [int(result.value["number"], 16) for result in results if isinstance(result, RpcOk)]
    assert numbers == list(range(250))


def test_client__two_endpoints_on_chains_with_nothing_in_common__transient() -> None:
    one, other = EmbeddedChain(), EmbeddedChain(genesis_seconds=1)
    client = ChainClient(
        one.chain_id, [one.transport("one"), other.transport("other")], now=time.monotonic
    )

    with pytest.raises(Transient, match="disagree"):
        client.refresh()


def test_client__two_endpoints_of_one_chain__agree(program: Program) -> None:
    client = ChainClient(
        program.chain.chain_id,
        [program.transport("one"), program.transport("other")],
        now=time.monotonic,
    )
    first = program.transfer(0)

    client.send_raw(first.raw)
    program.chain.mine()
    client.refresh()

    assert client.receipts([first.hash_hex])[first.hash_hex] is not None
    assert [endpoint.last_error for endpoint in client.health()] == [None, None]


def test_check_chain_id__program_on_another_chain__invalid_input(program: Program) -> None:
    with pytest.raises(InvalidInput, match=f"on chain {program.chain.chain_id}, configured is 5"):
        ChainClient(5, [program.transport()], now=time.monotonic).check_chain_id()


def test_anvil__mining_by_interval__blocks_come_by_themselves() -> None:
    with AnvilProcess(block_seconds=1) as anvil:
        client = ChainClient(anvil.chain_id, [anvil.transport()], now=time.monotonic)
        deadline = time.monotonic() + 10
        while client.refresh().head.number == 0 and time.monotonic() < deadline:
            time.sleep(0.1)

        assert client.refresh().head.number > 0


def test_anvil__left_by_an_error__does_not_stay_behind() -> None:
    def fail_inside() -> None:
        with AnvilProcess() as anvil:
            transports.append(anvil.transport())
            raise RuntimeError

    transports: list[Transport] = []
    with pytest.raises(RuntimeError):
        fail_inside()

    with pytest.raises(Transient):
        transports[0].request([RpcRequest("eth_chainId")])


def test_anvil__bad_arguments__says_why() -> None:
    with (
        pytest.raises(Transient, match="did not start"),
        AnvilProcess(more_arguments=["--no-such-option"]),
    ):
        pass


def test_anvil__verbs_for_tests__do_what_they_say(anvil_program: Program) -> None:
    anvil, client = anvil_program.chain, anvil_program.client
    assert isinstance(anvil, AnvilProcess)
    snapshot = anvil.snapshot()
    anvil.set_balance(anvil_program.sender.address, 5)
    anvil.set_nonce(anvil_program.sender.address, 7)
    anvil.set_next_base_fee(123)
    anvil_program.mine()

    changed = (
        client.native_balance(anvil_program.sender.address),
        client.nonce(anvil_program.sender.address),
        client.refresh().head.base_fee_per_gas_wei,
    )
    anvil.revert(snapshot)
    anvil_program.mine()

    assert changed == (5, 7, 123)
    assert client.nonce(anvil_program.sender.address) == 0
    with pytest.raises(Refused):
        anvil.revert("0x99")


def _creation(program: Program, code: bytes) -> TransactionFields:
    return TransactionFields(
        chain_id=program.chain.chain_id,
        nonce=0,
        to_address=None,
        data=code,
        value_wei=Wei(0),
        gas_limit=100_000,
        max_fee_per_gas_wei=Wei(3 * 10**9),
        max_priority_fee_per_gas_wei=Wei(10**9),
    )
