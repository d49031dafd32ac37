"""One endpoint, typed: asks its transport, decodes, and says in types what was and was not seen.

No other endpoint and no memory, and nothing is sent twice. An answer that is an error or cannot be
read raises EndpointFailed; a null that was really answered is `None`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, TypeVar

from eth_utils.crypto import keccak

from settlement_node.chain.endpoints.endpoint_answers import (
    EndpointHead,
    ReceiptsReport,
    TransactionPlace,
)
from settlement_node.chain.views import Accepted, Rejected, SendAnswer, SendRejection, Unanswered
from settlement_node.chain.wire.decode import (
    read_block,
    read_data,
    read_fee_history,
    read_hash,
    read_logs,
    read_number,
    read_object,
    read_quantity,
    read_receipt,
    read_sender_and_nonce,
)
from settlement_node.chain.wire.node_errors import (
    CallFailure,
    classify_call,
    classify_send,
    is_log_range_error,
    revert_data,
)
from settlement_node.chain.wire.proofs import BLOCK_TRANSACTIONS_MAX, NotProven, prove_place
from settlement_node.chain.wire.transport import (
    RpcError,
    RpcOk,
    RpcRequest,
    RpcResult,
    Transport,
    quantity,
)
from settlement_node.chain.wire.words import MalformedData
from settlement_node.domain.observations import Block, FeeHistory, Log, Receipt
from settlement_node.errors import Transient
from settlement_node.units import Address, Hex32, to_hex32

_Value = TypeVar("_Value")
_ALONE_AGAIN_MAX = 3

BlockParameter = str | dict[str, str]
"""How a state read names its block: a tag, a quantity, or `{"blockHash": …}` (EIP-1898)."""


class EndpointFailed(Transient):
    """The endpoint answered, but with an error or in a form that is not understood."""

    code: ClassVar[str] = "endpoint_failed"


class LogRangeTooLarge(EndpointFailed):
    """`eth_getLogs` asked about too much at once: ask about fewer blocks."""

    code: ClassVar[str] = "log_range_too_large"


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One `eth_call`. Without `gas_limit` the endpoint's own bound applies."""

    to_address: Address
    data: bytes
    from_address: Address | None = None
    gas_limit: int | None = None


@dataclass(frozen=True, slots=True)
class CallReturned:
    """The call ended normally."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CallReverted:
    """The contract said no; `data` is its revert data, possibly empty. Two are the same whatever
    words the endpoints put around it."""

    data: bytes
    message: str = field(compare=False)
    out_of_gas: bool


CallOutcome = CallReturned | CallReverted


class Endpoint:
    """Typed questions to one transport."""

    def __init__(self, transport: Transport) -> None:
        """The transport's name becomes the endpoint's."""
        self._transport = transport
        self.name = transport.name

    def chain_id(self) -> int:
        """`eth_chainId`."""
        return self._read(self._one("eth_chainId"), read_quantity)

    def head(self) -> EndpointHead:
        """Chain id, latest, safe and finalized in one round trip."""
        chain_id, latest, safe, finalized = self._ask(
            [
                RpcRequest("eth_chainId"),
                *(
                    RpcRequest("eth_getBlockByNumber", (tag, False))
                    for tag in ("latest", "safe", "finalized")
                ),
            ]
        )
        return EndpointHead(
            chain_id=self._read(chain_id, read_quantity),
            head=self._read(latest, read_block),
            safe=self._tagged(safe),
            finalized=self._tagged(finalized),
        )

    def blocks(self, numbers: Sequence[int]) -> dict[int, Block | None]:
        """This endpoint's headers by number, `None` where it has none."""
        results = self._ask_again([_block_request(number) for number in numbers], _is_error)
        return {
            number: self._block_or_none(result, number)
            for number, result in zip(numbers, results, strict=True)
        }

    def send_raw(self, raw: bytes) -> SendAnswer:
        """Send once. An error whose wording is not understood leaves the outcome open."""
        expected = to_hex32(keccak(raw))
        try:
            result = self._one("eth_sendRawTransaction", "0x" + raw.hex())
        except Transient as error:
            return Unanswered(error.message)
        if isinstance(result, RpcOk):
            try:
                answered = read_hash(result.value)
            except MalformedData as error:
                return Unanswered(f"endpoint {self.name}: {error}")
            if answered != expected:
                return Unanswered(f"endpoint {self.name} answered with another hash, {answered}")
            return Accepted(expected)
        reason = classify_send(result)
        message = f"endpoint {self.name}: {result.message}"
        if reason is SendRejection.ALREADY_KNOWN:
            return Accepted(expected)
        if reason in (SendRejection.UNKNOWN, SendRejection.RATE_LIMITED):
            return Unanswered(message)
        return Rejected(reason, message)

    def receipts(self, hashes: Sequence[Hex32], *, head_number: int) -> ReceiptsReport:
        """Receipts and, in the same round trip, the endpoint's own block at `head_number`."""
        results = self._ask(
            [
                _block_request(head_number),
                *(RpcRequest("eth_getTransactionReceipt", (item,)) for item in hashes),
            ]
        )
        receipts: dict[Hex32, Receipt | None] = {}
        failures: dict[Hex32, str] = {}
        for transaction_hash, result in zip(hashes, results[1:], strict=True):
            if isinstance(result, RpcError):
                failures[transaction_hash] = result.message
                continue
            try:
                receipts[transaction_hash] = read_receipt(
                    result.value, transaction_hash=transaction_hash
                )
            except MalformedData as error:
                failures[transaction_hash] = str(error)
        return ReceiptsReport(receipts, failures, self._block_or_none(results[0], head_number))

    def block_content(self, number: int) -> tuple[dict[str, Any], list[Any]]:
        """A block with its transactions, and all its receipts, as they came: nothing of it is
        checked but the bound, since it is there to be proven against a hash."""
        block, receipts = self._ask(
            [
                RpcRequest("eth_getBlockByNumber", (quantity(number), True)),
                RpcRequest("eth_getBlockReceipts", (quantity(number),)),
            ]
        )
        shown = self._read(block, read_object)
        if isinstance(receipts, RpcOk) and isinstance(receipts.value, list):
            return shown, receipts.value
        listed = shown.get("transactions")
        if not isinstance(listed, list) or len(listed) > BLOCK_TRANSACTIONS_MAX:
            raise self._failure(f"block {number} does not list its transactions")
        hashes = [item.get("hash") for item in listed if isinstance(item, dict)]
        each = self._ask([RpcRequest("eth_getTransactionReceipt", (item,)) for item in hashes])
        return shown, [self._read(result, read_object) for result in each]

    def account_content(
        self, address: Address, number: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A header, and an account with the nodes that lead to it, unchecked."""
        block, account = self._ask(
            [
                _block_request(number),
                RpcRequest("eth_getProof", (address, [], quantity(number))),
            ]
        )
        return self._read(block, read_object), self._read(account, read_object)

    def transaction_place(self, transaction_hash: Hex32) -> TransactionPlace | None:
        """Sender and nonce of a transaction this endpoint has, mined or waiting; `None` if not."""
        result = self._one("eth_getTransactionByHash", transaction_hash)
        place = self._place(result, transaction_hash)
        if place is None:
            return None
        assert isinstance(result, RpcOk)
        try:
            return TransactionPlace(*prove_place(result.value, transaction_hash), is_proven=True)
        except NotProven:
            return TransactionPlace(*place, is_proven=False)

    def nonce(self, address: Address, block: BlockParameter) -> int:
        """`eth_getTransactionCount`."""
        return self._read(self._one("eth_getTransactionCount", address, block), read_number)

    def native_balance(self, address: Address, block: BlockParameter) -> int:
        """`eth_getBalance`, in wei."""
        return self._read(self._one("eth_getBalance", address, block), read_quantity)

    def contract_code(self, address: Address, block: BlockParameter) -> bytes:
        """`eth_getCode`, empty for an account without code."""
        return self._read(self._one("eth_getCode", address, block), read_data)

    def fee_history(self, *, block_count: int, newest_number: int, percentile: float) -> FeeHistory:
        """`eth_feeHistory` of `block_count` blocks ending with `newest_number`."""
        parameters = (quantity(block_count), quantity(newest_number), [percentile])
        return self._read(self._one("eth_feeHistory", *parameters), read_fee_history)

    def calls(
        self, requests: Sequence[CallRequest], block: BlockParameter
    ) -> tuple[CallOutcome, ...]:
        """`eth_call` for each, in one round trip and in order."""
        results = self._ask_again(
            [RpcRequest("eth_call", (_call_parameters(item), block)) for item in requests],
            _is_failed_call,
        )
        return tuple(self._call_outcome(result) for result in results)

    def logs(
        self,
        *,
        addresses: Sequence[Address],
        topics: Sequence[Sequence[Hex32] | None],
        from_block: int,
        to_block: int,
        head_number: int,
    ) -> tuple[tuple[Log, ...], Block | None]:
        """`eth_getLogs` and, in the same round trip, the endpoint's own block at `head_number`.

        Raises LogRangeTooLarge when the endpoint wants fewer blocks or results.
        """
        query = {
            "address": list(addresses),
            "topics": [None if topic is None else list(topic) for topic in topics],
            "fromBlock": quantity(from_block),
            "toBlock": quantity(to_block),
        }
        found, at_head = self._ask(
            [RpcRequest("eth_getLogs", (query,)), _block_request(head_number)]
        )
        if isinstance(found, RpcError) and is_log_range_error(found):
            raise LogRangeTooLarge(f"endpoint {self.name}: {found.message}", endpoint=self.name)
        return self._read(found, read_logs), self._block_or_none(at_head, head_number)

    def _one(self, method: str, *parameters: Any) -> RpcResult:
        (result,) = self._ask([RpcRequest(method, parameters)])
        return result

    def _ask(self, requests: Sequence[RpcRequest]) -> list[RpcResult]:
        results = self._transport.request(requests) if requests else []
        if len(results) != len(requests):
            raise self._failure(f"{len(results)} answers to {len(requests)} requests")
        return results

    def _ask_again(
        self, requests: Sequence[RpcRequest], is_failed: Callable[[RpcResult], bool]
    ) -> list[RpcResult]:
        """Ask, and ask for the few again that failed among others that were answered: a limit that
        counts each request of a batch would else never let a large one through."""
        results = self._ask(requests)
        for _attempt in range(_ALONE_AGAIN_MAX):
            failed = [place for place, result in enumerate(results) if is_failed(result)]
            if not failed or len(failed) == len(results):
                break
            again = self._ask([requests[place] for place in failed])
            for place, result in zip(failed, again, strict=True):
                results[place] = result
        return results

    def _read(self, result: RpcResult, read: Callable[[Any], _Value]) -> _Value:
        if isinstance(result, RpcError):
            raise self._failure(result.message, rpc_code=result.code)
        try:
            return read(result.value)
        except MalformedData as error:
            raise self._failure(str(error)) from error

    def _place(self, result: RpcResult, transaction_hash: Hex32) -> tuple[Address, int] | None:
        return self._read(result, partial(read_sender_and_nonce, transaction_hash=transaction_hash))

    def _block_or_none(self, result: RpcResult, number: int) -> Block | None:
        if isinstance(result, RpcOk) and result.value is None:
            return None
        block = self._read(result, read_block)
        if block.number != number:
            raise self._failure(f"asked for block {number}, answered with block {block.number}")
        return block

    @staticmethod
    def _tagged(result: RpcResult) -> Block | None:
        """A chain without the tag answers null or an error; both only mean there is no tag."""
        if isinstance(result, RpcError) or result.value is None:
            return None
        try:
            return read_block(result.value)
        except MalformedData:
            return None

    def _call_outcome(self, result: RpcResult) -> CallOutcome:
        if isinstance(result, RpcOk):
            return CallReturned(self._read(result, read_data))
        failure = classify_call(result)
        if not _is_failed_call(result):
            return CallReverted(
                revert_data(result), result.message, failure is CallFailure.OUT_OF_GAS
            )
        raise self._failure(result.message, rpc_code=result.code)

    def _failure(self, why: str, *, rpc_code: int | None = None) -> EndpointFailed:
        return EndpointFailed(f"endpoint {self.name}: {why}", endpoint=self.name, rpc_code=rpc_code)


def _is_error(result: RpcResult) -> bool:
    return isinstance(result, RpcError)


def _is_failed_call(result: RpcResult) -> bool:
    return isinstance(result, RpcError) and classify_call(result) not in (
        CallFailure.REVERTED,
        CallFailure.OUT_OF_GAS,
    )


def _block_request(number: int) -> RpcRequest:
    return RpcRequest("eth_getBlockByNumber", (quantity(number), False))


def _call_parameters(request: CallRequest) -> dict[str, str]:
    parameters = {"to": str(request.to_address), "data": "0x" + request.data.hex()}
    if request.from_address is not None:
        parameters["from"] = request.from_address
    if request.gas_limit is not None:
        parameters["gas"] = quantity(request.gas_limit)
    return parameters
