"""Transactions of one signer sent without waiting for each: deployments and set-ups."""

from __future__ import annotations

import time

import pytest

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.tokens import address_topic
from settlement_node.chain.signers.local import KeySigner
from settlement_node.errors import Refused
from settlement_node.methods.deploy import (
    IN_FLIGHT_MAX,
    Deployer,
    Wanted,
    calling,
    giving_shares,
)
from settlement_node.units import Address
from tests_support.anvil import AnvilProcess
from tests_support.deploying import deploy_test_tokens

from .conftest import PAYEE, Program

HOLDERS = [Address(f"0x{n:040d}") for n in range(10_001, 10_041)]


def deployer_of(program: Program, number: int = 0) -> Deployer:
    signer = KeySigner(program.chain.funded_keys[number])
    return Deployer(program.client, signer, advance=program.chain.mine)


def test_send_all__more_than_may_be_in_flight__receipts_in_the_order_wanted(
    program: Program,
) -> None:
    deployer = deployer_of(program)
    token = deploy_test_tokens(deployer).share_token_address
    wanted = [one for n, holder in enumerate(HOLDERS) for one in giving_shares(token, holder, n)]
    before = program.client.refresh().head.number
    told: list[Wanted] = []

    receipts = deployer.send_all(wanted, mined=told.append)

    view = program.client.token_view(token, holders=HOLDERS)
    assert list(range(40)) == [view.balances_base_units[holder] for holder in HOLDERS]
    minted = [log.topics[2] for receipt in receipts for log in receipt.logs if len(log.topics) == 3]
    assert [address_topic(holder) for holder in HOLDERS[1:]] == minted[-39:]
    assert set(wanted) == set(told)
    blocks = program.client.refresh().head.number - before
    assert -(-len(wanted) // IN_FLIGHT_MAX) == blocks


def test_send_all__one_of_many_reverts__named_and_those_behind_it_are_mined(
    program: Program,
) -> None:
    deployer = deployer_of(program)
    token = deploy_test_tokens(deployer).share_token_address
    first, mint = giving_shares(token, PAYEE, 7)
    forbidden = calling(token, "FundToken", "mint", [HOLDERS[0], 1])
    told: list[Wanted] = []

    with pytest.raises(Refused, match=rf"FundToken.mint\({HOLDERS[0]}, 1\) reverted") as caught:
        deployer.send_all([first, forbidden, mint], mined=told.append)

    assert ("reverted", [first, mint]) == (caught.value.details["reason"], told)
    deployer.send_all([mint])


def test_send_all__another_transaction_has_the_nonce__named_with_the_mend(
    program: Program,
) -> None:
    program.client.refresh()
    program.client.send_raw(program.transfer(0, fee_wei=10**12, tip_wei=10**11).raw)
    what = Wanted("the coins for somebody", PAYEE, b"")

    with pytest.raises(Refused, match=r"rejected the coins for somebody.*wait until it is mined"):
        deployer_of(program).send_all([what])


def test_send_all__chain_of_one_second_blocks__a_block_for_as_many_as_may_be_in_flight() -> None:
    with AnvilProcess(block_seconds=1) as anvil:
        client = ChainClient(anvil.chain_id, [anvil.transport()], now=time.monotonic)
        signer = KeySigner(anvil.funded_keys[0])
        deployer = Deployer(client, signer, advance=lambda: time.sleep(0.1))
        transfers = [Wanted(f"coins for {holder}", holder, b"") for holder in HOLDERS]

        receipts = deployer.send_all(transfers)

    assert receipts[-1].block_number - receipts[0].block_number <= -(-40 // IN_FLIGHT_MAX)
