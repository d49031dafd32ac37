"""A transaction to sign, and how it must come out whoever signs it."""

from __future__ import annotations

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from settlement_node.chain.signers.base import SignedTransaction, TransactionFields
from settlement_node.units import Address, Wei

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELDS = TransactionFields(
    chain_id=1,
    nonce=7,
    to_address=Address("0x1111111111111111111111111111111111111111"),
    data=b"data",
    value_wei=Wei(0),
    gas_limit=100_000,
    max_fee_per_gas_wei=Wei(30 * 10**9),
    max_priority_fee_per_gas_wei=Wei(10**9),
)


def assert_signed(signed: SignedTransaction, *, by: Address) -> None:
    """Another library reads the same sender and fields out of the bytes; s is low."""
    assert Account.recover_transaction(signed.raw) == by
    read = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert read["nonce"] == FIELDS.nonce
    assert read["chainId"] == FIELDS.chain_id
    assert read["data"] == FIELDS.data
    assert read["s"] <= CURVE_ORDER // 2
