"""What a block holds, proven against its hash. Pure: no I/O, and no endpoint is believed.

A block's hash is the hash of its header, and the header holds the roots of two tries: of the
transactions and of their receipts, each by position. Whoever has the agreed hash can therefore
check what any single endpoint says of the block's content. Forms: EIP-2718 and EIP-2930, 1559,
4844 and 7702 for typed transactions; the header's optional fields in the order in which forks
added them. What has another form raises NotProven: that is no proof of the contrary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import rlp  # type: ignore[import-untyped]  # ships no types
from coincurve import PublicKey
from eth_utils.crypto import keccak
from trie.constants import BLANK_NODE_HASH
from trie.hexary import HexaryTrie

from settlement_node.chain.wire.decode import (
    read_address_field,
    read_data,
    read_hash,
    read_number,
    read_quantity,
)
from settlement_node.chain.wire.words import MalformedData, address_of_public_key
from settlement_node.domain.observations import Log, Receipt
from settlement_node.units import Address, Hex32, Wei, to_hex32

BLOCK_TRANSACTIONS_MAX = 20_000
"""More than fit into a block of any chain this is used on."""
_HEADER = (
    ("parentHash", read_data),
    ("sha3Uncles", read_data),
    ("miner", read_data),
    ("stateRoot", read_data),
    ("transactionsRoot", read_data),
    ("receiptsRoot", read_data),
    ("logsBloom", read_data),
    ("difficulty", read_quantity),
    ("number", read_quantity),
    ("gasLimit", read_quantity),
    ("gasUsed", read_quantity),
    ("timestamp", read_quantity),
    ("extraData", read_data),
    ("mixHash", read_data),
    ("nonce", read_data),
)
_HEADER_LATER = (
    ("baseFeePerGas", read_quantity),
    ("withdrawalsRoot", read_data),
    ("blobGasUsed", read_quantity),
    ("excessBlobGas", read_quantity),
    ("parentBeaconBlockRoot", read_data),
    ("requestsHash", read_data),
)
_LEGACY, _ACCESS_LIST, _DYNAMIC_FEE, _BLOB, _SET_CODE = range(5)
_BLOOM_BYTES = 256


class NotProven(Exception):
    """This does not show what the block holds: it is of another block, incomplete, changed, or of a
    form that is not known here."""


@dataclass(frozen=True, slots=True)
class ProvenHeader:
    """Fields of a header that hashes to the hash it was asked for by."""

    number: int
    block_hash: Hex32
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    logs_bloom: bytes
    base_fee_per_gas_wei: int

    def may_have_logs_of(self, address: Address) -> bool:
        """`False` proves that no log of the block has this address."""
        return _in_bloom(self.logs_bloom, bytes.fromhex(address[2:]))


@dataclass(frozen=True, slots=True)
class Account:
    """An account's nonce and coins."""

    nonce: int
    balance_wei: int


def prove_header(block: Any, *, number: int, block_hash: Hex32) -> ProvenHeader:
    """From `eth_getBlockBy…`, whoever gave it."""
    try:
        # The hash covers values in their order and no names. A field stands only behind all those
        # of earlier forks: one left out would let the rest stand under others' names.
        later = takewhile(lambda item: block.get(item[0]) is not None, _HEADER_LATER)
        fields = [read(block[name]) for name, read in (*_HEADER, *later)]
        base_fee = block.get("baseFeePerGas")
        header = ProvenHeader(
            number=read_number(block["number"]),
            block_hash=block_hash,
            state_root=read_data(block["stateRoot"]),
            transactions_root=read_data(block["transactionsRoot"]),
            receipts_root=read_data(block["receiptsRoot"]),
            logs_bloom=read_data(block["logsBloom"]),
            base_fee_per_gas_wei=0 if base_fee is None else read_quantity(base_fee),
        )
    except (KeyError, TypeError, AttributeError, MalformedData) as error:
        raise NotProven(f"the header of block {number} is incomplete") from error
    if to_hex32(keccak(rlp.encode(fields))) != block_hash or header.number != number:
        raise NotProven(f"the header of block {number} does not hash to {block_hash}")
    return header


def prove_receipts(header: ProvenHeader, block: Any, receipts: Any) -> dict[Hex32, Receipt]:
    """All receipts of a block by transaction hash, in the block's order.

    `block` has its transactions in full and `receipts` is what `eth_getBlockReceipts` gives. Which
    transaction a receipt is of follows from the position in both tries; every value is computed
    from what the two roots cover, none is taken over from what merely stands beside it.
    """
    try:
        transactions = block["transactions"]
        if len(transactions) != len(receipts) or len(transactions) > BLOCK_TRANSACTIONS_MAX:
            raise NotProven(f"block {header.number} has another number of receipts")
        raws = [encode_transaction(transaction) for transaction in transactions]
        ordered = sorted(receipts, key=lambda item: read_number(item["transactionIndex"]))
        encoded = [_encode_receipt(item) for item in ordered]
        if _root(raws) != header.transactions_root:
            raise NotProven(f"the transactions of block {header.number} are not those in its root")
        if _root(encoded) != header.receipts_root:
            raise NotProven(f"the receipts of block {header.number} are not those in its root")
        return _read_receipts(header, transactions, raws, ordered)
    except (KeyError, TypeError, AttributeError, MalformedData, rlp.exceptions.RLPException) as err:
        raise NotProven(f"the content of block {header.number} is incomplete") from err


def prove_place(transaction: Any, transaction_hash: Hex32) -> tuple[Address, int]:
    """Sender and nonce of a transaction: its hash covers the signed bytes, and the signature names
    the sender, so this needs no block."""
    try:
        raw = encode_transaction(transaction)
        if to_hex32(keccak(raw)) != transaction_hash:
            raise NotProven(f"the fields of {transaction_hash} do not hash to it")
        return _sender_of(raw), read_number(transaction["nonce"])
    except NotProven:
        raise
    except Exception as error:  # the library raises many kinds for a signature it cannot use
        raise NotProven(f"the fields of {transaction_hash} are incomplete") from error


def _sender_of(raw: bytes) -> Address:
    """Who signed these bytes (EIP-155, EIP-2718): all but the signature is what was signed."""
    if raw[0] < 0x80:
        *signed, parity, r, s = rlp.decode(raw[1:])
        digest = keccak(raw[:1] + rlp.encode(signed))
        recovery = int.from_bytes(parity, "big")
    else:
        *signed, v, r, s = rlp.decode(raw)
        above = int.from_bytes(v, "big") - 35
        digest = keccak(rlp.encode(signed if above < 0 else [*signed, above // 2, b"", b""]))
        recovery = above + 8 if above < 0 else above % 2
    compact = r.rjust(32, b"\0") + s.rjust(32, b"\0") + bytes([recovery])
    return address_of_public_key(PublicKey.from_signature_and_message(compact, digest, hasher=None))


def prove_account(header: ProvenHeader, account: Any, address: Address) -> Account:
    """Nonce and coins of an account after a block, from the nodes that `eth_getProof` gives: they
    lead from the header's state root to the account, or to where it is not."""
    if header.state_root == BLANK_NODE_HASH:
        raise NotProven("a development chain's first block has no root of its state")
    try:
        nodes = [rlp.decode(read_data(node)) for node in account["accountProof"]]
        value = HexaryTrie.get_from_proof(  # type: ignore[no-untyped-call]  # ships few types
            header.state_root, keccak(bytes.fromhex(address[2:])), nodes
        )
        if not value:
            return Account(nonce=0, balance_wei=0)
        nonce, balance, _storage_root, _code_hash = rlp.decode(value)
        return Account(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"))
    except Exception as error:  # the libraries raise many kinds for nodes that do not fit
        raise NotProven(f"the account {address} does not follow from the state root") from error


def encode_transaction(transaction: Mapping[str, Any]) -> bytes:
    """The signed bytes of a transaction from its JSON form; NotProven for a type that is not
    known here, as chains other than Ethereum have."""
    kind = read_quantity(transaction.get("type", "0x0"))
    quantity = _reader(transaction, read_quantity)
    to = b"" if transaction["to"] is None else read_data(transaction["to"])
    rest = [quantity("gas"), to, quantity("value"), read_data(transaction["input"])]
    signature = [quantity("r"), quantity("s")]
    nonce = quantity("nonce")
    if kind == _LEGACY:
        return bytes(rlp.encode([nonce, quantity("gasPrice"), *rest, quantity("v"), *signature]))
    if kind not in (_ACCESS_LIST, _DYNAMIC_FEE, _BLOB, _SET_CODE):
        raise NotProven(f"transactions of type {kind} are not known")
    fees = (
        [quantity("gasPrice")]
        if kind == _ACCESS_LIST
        else [quantity("maxPriorityFeePerGas"), quantity("maxFeePerGas")]
    )
    fields = [quantity("chainId"), nonce, *fees, *rest]
    fields.append(
        [
            [read_data(entry["address"]), [read_data(key) for key in entry["storageKeys"]]]
            for entry in transaction["accessList"]
        ]
    )
    if kind == _BLOB:
        hashes = [read_data(item) for item in transaction["blobVersionedHashes"]]
        fields += [quantity("maxFeePerBlobGas"), hashes]
    if kind == _SET_CODE:
        fields.append([_authorization(entry) for entry in transaction["authorizationList"]])
    parity = transaction.get("yParity", transaction.get("v"))
    return bytes([kind]) + bytes(rlp.encode([*fields, read_quantity(parity), *signature]))


def _authorization(entry: Mapping[str, Any]) -> list[Any]:
    quantity = _reader(entry, read_quantity)
    parity = entry.get("yParity", entry.get("v"))
    return [
        quantity("chainId"),
        read_data(entry["address"]),
        quantity("nonce"),
        read_quantity(parity),
        quantity("r"),
        quantity("s"),
    ]


def _reader(fields: Mapping[str, Any], read: Any) -> Any:
    return lambda name: read(fields[name])


def _encode_receipt(receipt: Mapping[str, Any]) -> bytes:
    kind = read_quantity(receipt.get("type", "0x0"))
    if kind > _SET_CODE:
        raise NotProven(f"receipts of type {kind} are not known")
    logs = [
        [read_data(log["address"]), [read_data(topic) for topic in log["topics"]], data]
        for log in receipt["logs"]
        for data in [read_data(log["data"])]
    ]
    body = rlp.encode(
        [
            read_quantity(receipt["status"]),
            read_quantity(receipt["cumulativeGasUsed"]),
            _bloom(logs),
            logs,
        ]
    )
    return bytes(body) if kind == _LEGACY else bytes([kind]) + bytes(body)


def _read_receipts(
    header: ProvenHeader,
    transactions: Sequence[Mapping[str, Any]],
    raws: Sequence[bytes],
    receipts: Sequence[Mapping[str, Any]],
) -> dict[Hex32, Receipt]:
    proven: dict[Hex32, Receipt] = {}
    gas_before = log_index = 0
    for transaction, raw, receipt in zip(transactions, raws, receipts, strict=True):
        transaction_hash = to_hex32(keccak(raw))
        logs = []
        for log in receipt["logs"]:
            logs.append(
                Log(
                    address=read_address_field(log["address"]),
                    topics=tuple(read_hash(topic) for topic in log["topics"]),
                    data=read_data(log["data"]),
                    block_number=header.number,
                    block_hash=header.block_hash,
                    transaction_hash=transaction_hash,
                    log_index=log_index,
                )
            )
            log_index += 1
        gas_after = read_number(receipt["cumulativeGasUsed"])
        proven[transaction_hash] = Receipt(
            transaction_hash=transaction_hash,
            block_number=header.number,
            block_hash=header.block_hash,
            succeeded=read_quantity(receipt["status"]) == 1,
            gas_used=gas_after - gas_before,
            effective_gas_price_wei=Wei(_price(transaction, header.base_fee_per_gas_wei)),
            logs=tuple(logs),
        )
        gas_before = gas_after
    return proven


def _price(transaction: Mapping[str, Any], base_fee: int) -> int:
    """What was paid for a unit of gas, from the signed fields and the block's base fee."""
    if read_quantity(transaction.get("type", "0x0")) <= _ACCESS_LIST:
        return read_quantity(transaction["gasPrice"])
    tip = read_quantity(transaction["maxPriorityFeePerGas"])
    return min(read_quantity(transaction["maxFeePerGas"]), base_fee + tip)


def _root(items: Sequence[bytes]) -> bytes:
    trie = HexaryTrie({})
    for position, item in enumerate(items):
        trie[rlp.encode(position)] = item
    return bytes(trie.root_hash)


def _bloom(logs: Sequence[Sequence[Any]]) -> bytes:
    bits = 0
    for address, topics, _data in logs:
        for entry in (address, *topics):
            for bit in _bloom_bits(entry):
                bits |= 1 << bit
    return bits.to_bytes(_BLOOM_BYTES, "big")


def _bloom_bits(entry: bytes) -> list[int]:
    """Yellow Paper, 4.4.3: the low 11 bits of the first three pairs of bytes of the hash."""
    digest = keccak(entry)
    return [int.from_bytes(digest[place : place + 2], "big") & 2047 for place in (0, 2, 4)]


def _in_bloom(bloom: bytes, entry: bytes) -> bool:
    bits = int.from_bytes(bloom, "big")
    return all(bits >> bit & 1 for bit in _bloom_bits(entry))
