"""The one table that reads the wording of node error messages.

JSON-RPC gives most refusals one code (-32000), so the wording is all there is. The table knows
geth, Erigon, Nethermind, Besu, Reth, Anvil and the embedded chain, and the commonest providers in
front of them. A wording that is not in it is UNKNOWN, and the caller then treats the outcome as
unknown: guessing here could pay twice or stop a lane for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from settlement_node.chain.views import SendRejection
from settlement_node.chain.wire.transport import RpcError

_SEND_WORDINGS: Mapping[SendRejection, tuple[str, ...]] = {
    # First match wins: the narrow wordings stand before those they contain.
    SendRejection.RATE_LIMITED: (
        r"rate.?limit",
        r"too many requests",
        r"request limit",
        r"requests? per second",
        r"compute units",
        r"quota",
        r"daily request count",
        r"capacity exceeded",
        r"throttl",
    ),
    SendRejection.ALREADY_KNOWN: (
        r"already known",  # geth, reth, erigon "ALREADY_EXISTS: already known"
        r"already imported",  # anvil
        r"existing tx with same hash",  # erigon
        r"\balreadyknown\b",  # nethermind
        r"\bknown transaction",  # besu, older geth
        r"already in (the )?mempool",
    ),
    SendRejection.REPLACEMENT_UNDERPRICED: (
        r"replacement transaction underpriced",  # geth, reth, besu, anvil
        r"could not replace existing tx",  # erigon
        r"\breplacementnotallowed\b",
        r"\bownnoncealreadyused\b",  # nethermind
        r"insufficient gas price to replace",
        r"replacement fee too low",
        r"future transaction tries to replace pending",
    ),
    SendRejection.NONCE_TOO_LOW: (
        r"nonce (is )?too low",  # geth, reth, besu, anvil, erigon
        r"\boldnonce\b",  # nethermind
        r"\bnoncetoolow\b",
        r"nonce (has )?already (been )?used",
    ),
    SendRejection.NONCE_TOO_HIGH: (
        r"nonce (is )?too high",
        r"nonce ?gap",
        r"noncetoofarinfuture",
        r"nonce is too distant",
        r"gapped[ -]nonce",
        r"in-flight transaction limit",
    ),
    SendRejection.WRONG_CHAIN: (
        r"(invalid|wrong|incorrect) chain ?id",
        r"chain ?id mismatch",
        r"invalid sender.*chain",
        r"\binvalidtxchainid\b",
        r"chain id.*(does not|doesn't) match",
    ),
    SendRejection.INSUFFICIENT_FUNDS: (
        r"insufficient ?(funds|balance)",
        r"upfront cost exceeds",
        r"overshot",
        r"cannot afford",
        r"does not have enough (funds|balance)",
    ),
    SendRejection.INTRINSIC_GAS: (
        r"intrinsic gas (too low|exceeds gas limit|cost)",
        r"insufficient gas for floor data",
        r"floor data gas",
        r"call gas cost.*exceeds the gas limit",
    ),
    SendRejection.GAS_LIMIT_TOO_HIGH: (
        r"gas limit exceeds block",
        r"\bgaslimitexceeded\b",
        r"gas limit (is )?too high",
        r"intrinsic gas too high",
        r"gas limit reached",
        r"exceeds (the )?(block|transaction) gas limit",
        r"transaction gas limit.*cap",
    ),
    SendRejection.UNDERPRICED: (
        r"\bunderpriced\b",
        r"tip below minimum",
        r"tip cap.*(too low|below)",
        r"max fee per gas (less than block|below current) base fee",
        r"fee ?cap less than block base fee",
        r"feecap.*below",
        r"\bfeetoolow(tocompete)?\b",
        r"gas price below",
        r"fee too low",
        r"gas price (is )?too low",
        r"priority fee.*(too low|below)",
    ),
    SendRejection.MEMPOOL_FULL: (
        r"pool is full",
        r"pool overflow",
        r"account limit exceeded",
        r"transaction pool.*full",
        r"max.*slots",
    ),
    SendRejection.FEE_ABOVE_NODE_CAP: (
        r"fee.*exceeds the configured cap",  # geth, erigon, reth
        r"fee cap exceeded",  # besu
    ),
    SendRejection.MALFORMED: (
        r"invalid sender",
        r"invalid signature",
        r"invalid transaction v, r, s",
        r"failedtoresolvesender",
        r"oversized data",
        # Of the transaction only: a proxy that could not decode its upstream's answer does
        # not know what became of the bytes.
        r"\brlp: ",
        r"\brlp parse transaction",
        r"invalid (transaction )?rlp\b",
        r"(failed to|could not|cannot) (decode|deserialize)"
        r" (raw |signed |typed )*transaction(?=[:.,]|$)",
        r"(transaction|tx) type not supported",
        r"max initcode size",
        r"negative value",
        r"int256overflow",
        r"nonce has max value",
        r"max priority fee per gas higher than max fee",
        r"tip cap.*higher than.*fee cap",
        r"sender not an eoa",
        r"senderiscontract",
        r"invalid raw transaction",
        r"only replay-protected",
    ),
}

_SEND_TABLE = {
    rejection: re.compile("|".join(wordings)) for rejection, wordings in _SEND_WORDINGS.items()
}

_LOG_RANGE = re.compile(
    r"block range|range (is )?too (large|wide|big)|too many (results|logs|blocks)"
    r"|more than \d+ (results|logs)|(results|response) (size|exceed)|logs? limit|limit exceeded"
    r"|exceed(s|ed)? (the )?(max|maximum|range|limit)|query timeout|query returned"
    r"|request timed out"
    r"|block number.*exceeds|up to a[n]? \d+|ranges? over|response is too big|eth_getlogs.*limited"
)
_BLOCK_UNKNOWN = re.compile(
    r"header not found|unknown block|block not found|block.*(does not exist|is not available)"
    r"|resource not found|missing trie node|state.*(not available|is pruned|unavailable)"
    r"|block(out)?ofrange|blockoutofrange|out of range|historical state|pruned"
    r"|header for hash|hash.*is not currently canonical|cannot query unfinalized"
)
_REVERTED = re.compile(r"revert|vm execution error|invalid opcode|stack underflow|bad jump")
_OUT_OF_GAS = re.compile(r"out ?of ?gas|gas required exceeds|intrinsic gas|outofgas|gas limit")
_RATE_LIMITED = _SEND_TABLE[SendRejection.RATE_LIMITED]
_REVERT_CODE = 3
_RATE_LIMIT_CODES = (-32005, -32007, -32016, -32029, 429)


class CallFailure(StrEnum):
    """Why an `eth_call` came back as an error."""

    REVERTED = "reverted"
    """The contract said no: an answer about the contract."""
    OUT_OF_GAS = "out_of_gas"
    """The call's gas did not suffice, whoever bounded it."""
    BLOCK_UNKNOWN = "block_unknown"
    """The endpoint does not have that block or its state: says nothing about the contract."""
    OTHER = "other"
    """Anything else: says nothing about the contract."""


def classify_send(error: RpcError) -> SendRejection:
    """Read why `eth_sendRawTransaction` was refused; UNKNOWN when the wording is not in the table.

    Nethermind's `OwnNonceAlreadyUsed` names another transaction at our nonce, so it is not read
    as "already known", as some libraries do.
    """
    wording = _wording(error)
    for rejection, pattern in _SEND_TABLE.items():
        if pattern.search(wording):
            return rejection
    return SendRejection.RATE_LIMITED if error.code in _RATE_LIMIT_CODES else SendRejection.UNKNOWN


def is_log_range_error(error: RpcError) -> bool:
    """Whether `eth_getLogs` was refused for asking about too much at once: ask for less.

    A rate limit is not one, though both often come with code -32005.
    """
    wording = _wording(error)
    if _RATE_LIMITED.search(wording):
        return False
    return _LOG_RANGE.search(wording) is not None


def classify_call(error: RpcError) -> CallFailure:
    """Read why `eth_call` failed. Only REVERTED and OUT_OF_GAS say anything about the contract."""
    wording = _wording(error)
    if revert_data(error) or error.code == _REVERT_CODE:
        return CallFailure.REVERTED
    if _BLOCK_UNKNOWN.search(wording):
        return CallFailure.BLOCK_UNKNOWN
    if _OUT_OF_GAS.search(wording):
        return CallFailure.OUT_OF_GAS
    if _REVERTED.search(wording):
        return CallFailure.REVERTED
    return CallFailure.OTHER


def revert_data(error: RpcError) -> bytes:
    """The revert data of a failed `eth_call`, empty when the endpoint sent none.

    Most clients put a 0x string into `data`; some nest it in an object, some write
    `Reverted 0x…`.
    """
    return _hex_in(error.data)


def _hex_in(data: Any) -> bytes:
    if isinstance(data, dict):
        for key in ("data", "result", "output"):
            if key in data and (found := _hex_in(data[key])):
                return found
        return b""
    if not isinstance(data, str):
        return b""
    match = re.fullmatch(r"(?:Reverted )?0x((?:[0-9a-fA-F]{2})*)", data)
    return bytes.fromhex(match.group(1)) if match else b""


def _wording(error: RpcError) -> str:
    """Message and, where it is words rather than bytes, data; lower case."""
    words = error.message
    if isinstance(error.data, str) and not error.data.startswith("0x"):
        words = f"{words} {error.data}"
    return words.lower()
