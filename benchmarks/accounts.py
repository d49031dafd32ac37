"""Anvil's ways to give many accounts a balance at once, and to send many transactions at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from settlement_node.chain.contracts.artifacts import load_artifact
from settlement_node.chain.contracts.tokens import encode_balance_of
from settlement_node.chain.signers.base import TransactionFields
from settlement_node.chain.signers.local import KeySigner
from settlement_node.chain.wire.transport import RpcError, RpcOk, RpcRequest, Transport
from settlement_node.demo.book import account
from settlement_node.units import Address, Wei
from tests_support.anvil import AnvilProcess

SLOTS_TRIED = 32
AT_ONCE = 500
TIP_WEI = Wei(10**9)
CAP_WEI = Wei(100 * 10**9)


def holders(count: int, prefix: str) -> list[Address]:
    """So many accounts nobody has the key of."""
    return [account(f"{prefix} {number}") for number in range(count)]


def give(chain: AnvilProcess, token: Address, balances: Mapping[Address, int]) -> None:
    """Write balances into the token's storage, as minting would have left them; the supply rises
    by their sum. Ten thousand mints would take minutes, and are not what is measured."""
    slot = _balance_slot(chain, token)
    supply_slot = _supply_slot(chain, token)
    held = int(chain.rpc("eth_getStorageAt", token, hex(supply_slot), "latest"), 16)
    written = [
        RpcRequest("anvil_setStorageAt", (token, _place(holder, slot), _word(units)))
        for holder, units in balances.items()
    ]
    written.append(
        RpcRequest(
            "anvil_setStorageAt", (token, _word(supply_slot), _word(held + sum(balances.values())))
        )
    )
    transport = chain.transport("setup", timeout_seconds=60)
    for part in _parts(written):
        _all_ok(transport.request(part))
    chain.mine()


def signed_calls(
    signer: KeySigner,
    chain_id: int,
    calls: Sequence[tuple[Address, bytes]],
    *,
    nonce: int,
    gas: int,
) -> Iterator[bytes]:
    """Signed transactions of one account, one for each call, one nonce after another."""
    for place, (to_address, data) in enumerate(calls):
        yield signer.sign(
            TransactionFields(
                chain_id=chain_id,
                nonce=nonce + place,
                to_address=to_address,
                data=data,
                value_wei=Wei(0),
                gas_limit=gas,
                max_fee_per_gas_wei=CAP_WEI,
                max_priority_fee_per_gas_wei=TIP_WEI,
            )
        ).raw


def transferring(recipient: Address, payout_base_units: int) -> bytes:
    """Call data of a plain payment of stablecoin."""
    return load_artifact("TestStablecoin").encode_call("transfer", [recipient, payout_base_units])


def send_and_mine(
    chain: AnvilProcess, signer: KeySigner, to_address: Address, data: bytes, *, gas: int
) -> int:
    """Send one transaction, mine it, and return the gas it used; it must succeed."""
    nonce = int(chain.rpc("eth_getTransactionCount", signer.address, "latest"), 16)
    (raw,) = signed_calls(signer, chain.chain_id, [(to_address, data)], nonce=nonce, gas=gas)
    sent = chain.rpc("eth_sendRawTransaction", "0x" + raw.hex())
    chain.mine()
    receipt = chain.rpc("eth_getTransactionReceipt", sent)
    assert receipt["status"] == "0x1", receipt
    return int(receipt["gasUsed"], 16)


def requests_at_once(transport: Transport, requests: Sequence[RpcRequest]) -> list[Any]:
    """Values of many questions, in batches; every one must be answered."""
    return [value for part in _parts(requests) for value in _all_ok(transport.request(part))]


def _balance_slot(chain: AnvilProcess, token: Address) -> int:
    """Where the token keeps its balances: the mapping that, written, changes what it answers."""
    holder = account("whose balance is looked for")
    probe = 123_456_789

    def shows(slot: int) -> bool:
        return _with(
            chain,
            token,
            _place(holder, slot),
            probe,
            lambda: _balance(chain, token, holder) == probe,
        )

    return next(slot for slot in range(SLOTS_TRIED) if shows(slot))


def _supply_slot(chain: AnvilProcess, token: Address) -> int:
    probe = 123_456_789

    def shows(slot: int) -> bool:
        return _with(chain, token, _word(slot), probe, lambda: _supply(chain, token) == probe)

    return next(slot for slot in range(SLOTS_TRIED) if shows(slot))


def _with(
    chain: AnvilProcess, token: Address, place: str, value: int, look: Callable[[], bool]
) -> bool:
    """What is seen while a slot holds another value."""
    before = chain.rpc("eth_getStorageAt", token, place, "latest")
    chain.rpc("anvil_setStorageAt", token, place, _word(value))
    try:
        return look()
    finally:
        chain.rpc("anvil_setStorageAt", token, place, before)


def _balance(chain: AnvilProcess, token: Address, holder: Address) -> int:
    return _call(chain, token, encode_balance_of(holder))


def _supply(chain: AnvilProcess, token: Address) -> int:
    return _call(chain, token, keccak(text="totalSupply()")[:4])


def _call(chain: AnvilProcess, to_address: Address, data: bytes) -> int:
    answer = chain.rpc("eth_call", {"to": to_address, "data": "0x" + data.hex()}, "latest")
    return int(answer, 16)


def _place(holder: Address, slot: int) -> str:
    return "0x" + keccak(encode(["address", "uint256"], [holder, slot])).hex()


def _word(value: int) -> str:
    return f"0x{value:064x}"


def _parts(requests: Sequence[RpcRequest]) -> Iterator[Sequence[RpcRequest]]:
    for start in range(0, len(requests), AT_ONCE):
        yield requests[start : start + AT_ONCE]


def _all_ok(results: Sequence[RpcOk | RpcError]) -> list[Any]:
    for result in results:
        assert isinstance(result, RpcOk), result
    return [result.value for result in results if isinstance(result, RpcOk)]
