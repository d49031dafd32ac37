"""Transactions that were not, or were not so, told as an endpoint would that has seen them.

A `Story` changes a block or two of a chain: some logs are gone, others are there, receipts say
otherwise. Everything else an endpoint could be asked (balances, supply, the settler's hash and
bitmap, the nonce) follows from those logs, so that what is told fits together. No I/O: a story is
made from honest answers and turns honest answers into told ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import rlp  # type: ignore[import-untyped]  # the package ships no types
from eth_account import Account
from eth_utils.crypto import keccak

from settlement_node.chain.contracts.settler import (
    BATCH_HASH_CALL,
    BATCH_SETTLED_TOPIC,
    REDEMPTION_SETTLED_TOPIC,
    SETTLE_SELECTOR,
    batch_hash_of,
)
from settlement_node.chain.contracts.tokens import TOTAL_SUPPLY_CALL, TRANSFER_TOPIC
from settlement_node.chain.wire.transport import RpcOk, RpcResult
from settlement_node.chain.wire.words import address_word, selector
from settlement_node.domain.observations import SettleItem
from settlement_node.units import ZERO_ADDRESS, Address, Hex32, Payout, Shares

Json = dict[str, Any]
Ask = Callable[[str, Sequence[Any]], RpcResult]
"""What the honest endpoint behind the liar answers to a method and its parameters."""
BALANCE_OF_SELECTOR = selector("balanceOf(address)")
IS_SETTLED_SELECTOR = selector("isSettled(uint256)")
_HEAD_BYTES = 4 + 3 * 32
_ITEM_BYTES = 6 * 32


class Untellable(Exception):
    """The chain has nothing this lie could be about."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A call of `settle`, as anybody reads it from a transaction's input."""

    transaction_hash: str
    sender: str
    nonce: int
    settler: str
    previous_batch_hash: Hex32
    items: tuple[SettleItem, ...]

    @property
    def batch_hash(self) -> Hex32:
        """Where the ratchet stands behind it."""
        return batch_hash_of(self.previous_batch_hash, self.items)


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of some blocks, and from them of every later one.

    `places` are those blocks, as number and hash. `receipts` holds what is told by transaction
    hash; `nonce_used` is a sender and a nonce that the chain has not used yet.
    """

    places: tuple[tuple[int, str], ...]
    removed: tuple[Json, ...] = ()
    added: tuple[Json, ...] = ()
    receipts: Mapping[str, Json] = field(default_factory=dict)
    nonce_used: tuple[str, int] | None = None

    @property
    def last_number(self) -> int:
        """The height of its last block."""
        return max(number for number, _ in self.places)


def value_of(ask: Ask, method: str, *params: Any) -> Any:
    """An honest answer's value; None for an error as for a null."""
    answer = ask(method, params)
    return answer.value if isinstance(answer, RpcOk) else None


def number_of(ask: Ask, block: Any) -> int | None:
    """The height of a block parameter: a tag, a quantity, or an object of EIP-1898."""
    if isinstance(block, dict):
        if "blockNumber" in block:
            return int(block["blockNumber"], 16)
        header = value_of(ask, "eth_getBlockByHash", block["blockHash"], False)
    elif block.startswith("0x"):
        return int(block, 16)
    else:
        tag = "latest" if block == "pending" else block
        header = value_of(ask, "eth_getBlockByNumber", tag, False)
    return None if header is None else int(header["number"], 16)


# Reading batches


def items_of(data: bytes) -> tuple[SettleItem, ...]:
    """The items of `settle` or `preview`: an array of six words each, at the end of the call."""
    is_settle = (len(data) - _HEAD_BYTES) % _ITEM_BYTES == 0
    body = data[_HEAD_BYTES if is_settle else _HEAD_BYTES - 32 :]
    if len(body) % _ITEM_BYTES:
        raise Untellable
    return tuple(_item(body[at : at + _ITEM_BYTES]) for at in range(0, len(body), _ITEM_BYTES))


def _item(words: bytes) -> SettleItem:
    number = [int.from_bytes(words[at : at + 32], "big") for at in range(0, _ITEM_BYTES, 32)]
    return SettleItem(
        redemption_id_hex=Hex32("0x" + words[:32].hex()),
        redemption_index=number[1],
        investor_address=Address("0x" + words[76:96].hex()),
        payee_address=Address("0x" + words[108:128].hex()),
        shares_base_units=Shares(number[4]),
        payout_base_units=Payout(number[5]),
    )


def batch_of(raw: bytes) -> Batch:
    """The batch of signed bytes of type 2 (EIP-1559: chain id, nonce, tip, cap, gas, to, value,
    data, …); Untellable when they are no call of `settle`."""
    _chain_id, nonce, _tip, _cap, _gas, to, _value, data, *_rest = rlp.decode(raw[1:])
    if data[:4] != SETTLE_SELECTOR:
        raise Untellable
    return Batch(
        transaction_hash="0x" + keccak(raw).hex(),
        sender=Account.recover_transaction(raw),
        nonce=int.from_bytes(nonce, "big"),
        settler="0x" + to.hex(),
        previous_batch_hash=Hex32("0x" + data[4:36].hex()),
        items=items_of(data),
    )


def is_batch(log: Json) -> bool:
    """Whether a log says that a batch was settled."""
    return bool(log["topics"]) and log["topics"][0] == BATCH_SETTLED_TOPIC


# Making stories


def reverted(receipt: Json) -> Story:
    """A mined batch that is said to have failed."""
    return Story(
        places=(_place_of(receipt),),
        removed=tuple(receipt["logs"]),
        receipts={receipt["transactionHash"]: {**receipt, "status": "0x0", "logs": []}},
    )


def hidden(receipt: Json) -> Story:
    """A mined batch whose logs nobody hears of."""
    return Story(places=(_place_of(receipt),), removed=tuple(receipt["logs"]))


def reattributed(story: Story, ask: Ask, *, at: Json) -> Story:
    """A batch that was said to have failed, and in the block of this header another one of the
    same hash, which used its indexes and its money for orders nobody knows: the ratchet and the
    flows of the tokens fit."""
    place = _next_place(ask, at, made_up(story.removed[0]["transactionHash"]))
    return replace(
        story,
        places=(*story.places, _place_of(place)),
        added=_placed([_of_nobody(log) for log in story.removed], ask, place),
    )


def _of_nobody(log: Json) -> Json:
    topics = list(log["topics"])
    if topics and topics[0] == REDEMPTION_SETTLED_TOPIC:
        topics[1] = made_up(topics[1])
    return {**log, "topics": topics}


def _place_of(value: Json) -> tuple[int, str]:
    return int(value["blockNumber"], 16), value["blockHash"]


def _next_place(ask: Ask, at: Json, transaction_hash: str) -> Json:
    """Where a transaction would stand as the last one of this header's block."""
    return {
        "blockNumber": at["number"],
        "blockHash": at["hash"],
        "transactionHash": transaction_hash,
        "transactionIndex": hex(len(at["transactions"])),
        "removed": False,
    }


def _placed(logs: Sequence[Json], ask: Ask, place: Json) -> tuple[Json, ...]:
    here = {"fromBlock": place["blockNumber"], "toBlock": place["blockNumber"]}
    first = len(value_of(ask, "eth_getLogs", here) or [])
    return tuple(
        {**log, **place, "logIndex": hex(first + position)} for position, log in enumerate(logs)
    )


def invented(ask: Ask, batch: Batch, *, at: Json, is_sent: bool) -> Story:
    """A batch that is said to be mined in the block of this header, as the last of its block, and
    to have paid every item. With `is_sent` it is a transaction that waits somewhere, and has a
    receipt and a nonce."""
    place = _next_place(ask, at, batch.transaction_hash)
    logs = _placed(_logs_of(ask, batch), ask, place)
    gas = 90_000 + 110_000 * len(batch.items)
    receipt = {
        "transactionHash": batch.transaction_hash,
        "transactionIndex": place["transactionIndex"],
        "blockNumber": at["number"],
        "blockHash": at["hash"],
        "from": batch.sender,
        "to": batch.settler,
        "contractAddress": None,
        "status": "0x1",
        "gasUsed": hex(gas),
        "cumulativeGasUsed": hex(int(at["gasUsed"], 16) + gas),
        "effectiveGasPrice": hex(int(at["baseFeePerGas"], 16) + 1),
        "logsBloom": bloom_of(logs),
        "type": "0x2",
        "logs": list(logs),
    }
    return Story(
        places=(_place_of(place),),
        added=logs,
        receipts={batch.transaction_hash: receipt} if is_sent else {},
        nonce_used=(batch.sender.lower(), batch.nonce) if is_sent else None,
    )


def _logs_of(ask: Ask, batch: Batch) -> list[Json]:
    """What the settler and both tokens would have logged."""
    tokens = [
        _address_answer(ask, batch.settler, name)
        for name in ("shareToken()", "payoutToken()", "treasury()")
    ]
    share, money, treasury = tokens
    logs: list[Json] = []
    for item in batch.items:
        logs += [
            _transfer(share, item.investor_address, ZERO_ADDRESS, item.shares_base_units),
            _transfer(money, treasury, item.payee_address, item.payout_base_units),
            {
                "address": batch.settler,
                "topics": [
                    REDEMPTION_SETTLED_TOPIC,
                    item.redemption_id_hex,
                    "0x" + address_word(item.investor_address).hex(),
                    "0x" + address_word(item.payee_address).hex(),
                ],
                "data": _words(
                    item.redemption_index, item.shares_base_units, item.payout_base_units
                ),
            },
        ]
    batch_log = {
        "address": batch.settler,
        "topics": [BATCH_SETTLED_TOPIC, batch.batch_hash, batch.previous_batch_hash],
        "data": _words(len(batch.items), 0),
    }
    return [*logs, batch_log]


def _transfer(token: str, source: str, target: str, value: int) -> Json:
    ends = ["0x" + address_word(Address(end)).hex() for end in (source, target)]
    return {"address": token, "topics": [TRANSFER_TOPIC, *ends], "data": _words(value)}


def _address_answer(ask: Ask, contract: str, signature: str) -> str:
    call = {"to": contract, "data": "0x" + selector(signature).hex()}
    answer = value_of(ask, "eth_call", call, "latest")
    if not isinstance(answer, str) or len(answer) != 66:
        raise Untellable
    return "0x" + answer[-40:]


def made_up(text: str) -> Hex32:
    """32 bytes that nobody has seen, and the same each time."""
    return Hex32("0x" + keccak(text=f"made up from {text}").hex())


def bloom_of(logs: Sequence[Json]) -> str:
    """A receipt's `logsBloom` (yellow paper, 4.3.1): three bits for each address and topic."""
    bits = 0
    for log in logs:
        for part in (log["address"], *log["topics"]):
            digest = keccak(hexstr=part)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") % 2048)
    return "0x" + bits.to_bytes(256, "big").hex()


def _words(*values: int) -> str:
    return "0x" + "".join(value.to_bytes(32, "big").hex() for value in values)


# Telling stories


def told_logs(story: Story, query: Json, honest: Sequence[Json]) -> list[Json]:
    """The answer to `eth_getLogs` by height."""
    gone = {log["transactionHash"] for log in story.removed}
    kept = [log for log in honest if log["transactionHash"] not in gone]
    first, last = (int(query[name], 16) for name in ("fromBlock", "toBlock"))
    asked = query.get("address") or []
    addresses = {address.lower() for address in ([asked] if isinstance(asked, str) else asked)}
    told = [
        log
        for log in story.added
        if first <= int(log["blockNumber"], 16) <= last
        and (not addresses or log["address"].lower() in addresses)
        and _fits(log["topics"], query.get("topics") or [])
    ]
    return sorted(
        [*kept, *told], key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16))
    )


def _fits(topics: Sequence[str], wanted: Sequence[Any]) -> bool:
    if len(wanted) > len(topics):
        return False
    return all(
        choices is None or topic in ([choices] if isinstance(choices, str) else choices)
        for topic, choices in zip(topics, wanted, strict=False)
    )


def told_receipts(story: Story, honest: Sequence[Json]) -> list[Json]:
    """The answer to `eth_getBlockReceipts`."""
    told = [story.receipts.get(receipt["transactionHash"], receipt) for receipt in honest]
    known = {receipt["transactionHash"] for receipt in honest}
    blocks = {receipt["blockHash"] for receipt in honest} or {place[1] for place in story.places}
    told += [
        receipt
        for name, receipt in story.receipts.items()
        if name not in known and receipt["blockHash"] in blocks
    ]
    return told


def told_call(story: Story, message: Json, honest: str, *, at_number: int) -> str:
    """The answer to an `eth_call` at a block of this height."""
    data = bytes.fromhex(message["data"][2:])
    to = message["to"].lower()
    mine, gone = (
        [
            log
            for log in logs
            if log["address"].lower() == to and int(log["blockNumber"], 16) <= at_number
        ]
        for logs in (story.added, story.removed)
    )
    if data == BATCH_HASH_CALL:
        return _told_hash(mine, gone, honest)
    if data[:4] == IS_SETTLED_SELECTOR:
        index = data[4:36].hex()
        for logs, answer in ((mine, 1), (gone, 0)):
            if any(
                log["topics"][0] == REDEMPTION_SETTLED_TOPIC and log["data"][2:66] == index
                for log in logs
            ):
                return _words(answer)
        return honest
    if data == TOTAL_SUPPLY_CALL:
        change = _flow(mine, ZERO_ADDRESS) - _flow(gone, ZERO_ADDRESS)
        return _words(int(honest, 16) - change)
    if data[:4] == BALANCE_OF_SELECTOR:
        holder = "0x" + data[16:36].hex()
        change = _flow(mine, holder) - _flow(gone, holder)
        return _words(max(int(honest, 16) + change, 0))
    return honest


def _told_hash(mine: Sequence[Json], gone: Sequence[Json], honest: str) -> str:
    """Only where the ratchet stands at the story's own batch does its hash change."""
    for log in mine:
        if is_batch(log) and honest == log["topics"][2]:
            return str(log["topics"][1])
    for log in gone:
        replaced = any(is_batch(other) for other in mine)
        if is_batch(log) and honest == log["topics"][1] and not replaced:
            return str(log["topics"][2])
    return honest


def _flow(logs: Sequence[Json], holder: str) -> int:
    """What these transfers bring the holder."""
    word = "0x" + address_word(Address(holder)).hex()
    total = 0
    for log in logs:
        if log["topics"][0] == TRANSFER_TOPIC:
            value = int(log["data"], 16)
            total += value * ((log["topics"][2] == word) - (log["topics"][1] == word))
    return total


def told_nonce(story: Story, address: str, honest: str, *, at_number: int) -> str:
    """The answer to `eth_getTransactionCount` at a block of this height."""
    used = story.nonce_used
    if used is not None and used[0] == address.lower() and at_number >= story.last_number:
        return hex(max(int(honest, 16), used[1] + 1))
    return honest
