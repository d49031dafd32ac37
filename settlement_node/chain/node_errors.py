"""The one table that reads the wording of node error messages.

JSON-RPC gives most refusals one code (-32000), so the wording is all there is. The table knows
geth, Erigon, Nethermind, Besu, Reth, Anvil and the embedded chain, and the commonest providers in
front of them. A wording that is not in it is UNKNOWN, and the caller then treats the outcome as
unknown: guessing here could pay twice or stop a lane for nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from settlement_node.chain.transport import RpcError
from settlement_node.chain.views import SendRejection

_SEND_WORDINGS: tuple[tuple[SendRejection, str], ...] = (
    # First match wins: the narrow wordings stand before those they contain.
    (SendRejection.RATE_LIMITED, r"rate.?limit|too many requests|request limit|requests? per second"
     r"|compute units|quota|daily request count|capacity exceeded|throttl"),
    (SendRejection.ALREADY_KNOWN,
     r"already known"  # geth, reth, erigon "ALREADY_EXISTS: already known"
     r"|already imported"  # anvil
     r"|existing tx with same hash"  # erigon
     r"|\balreadyknown\b"  # nethermind
     r"|\bknown transaction"  # besu, older geth
     r"|same hash was already imported|already in (the )?mempool"),
    (SendRejection.REPLACEMENT_UNDERPRICED,
     r"replacement transaction underpriced"  # geth, reth, besu, anvil
     r"|could not replace existing tx"  # erigon
     r"|\breplacementnotallowed\b|\bownnoncealreadyused\b"  # nethermind
     r"|insufficient gas price to replace|replacement fee too low"
     r"|future transaction tries to replace pending"),
    (SendRejection.NONCE_TOO_LOW,
     r"nonce too low|nonce is too low"  # geth, reth, besu, anvil, erigon
     r"|\boldnonce\b"  # nethermind
     r"|\bnoncetoolow\b|nonce has already been used|nonce already used"),
    (SendRejection.NONCE_TOO_HIGH,
     r"nonce too high|nonce is too high|nonce gap|\bnoncegap\b|noncetoofarinfuture"
     r"|nonce is too distant|gapped nonce|gapped-nonce|in-flight transaction limit"),
    (SendRejection.WRONG_CHAIN,
     r"invalid chain ?id|wrong chain ?id|chain ?id mismatch|incorrect chain ?id"
     r"|invalid sender.*chain|\binvalidtxchainid\b|chain id.*(does not|doesn't) match"),
    (SendRejection.INSUFFICIENT_FUNDS,
     r"insufficient ?funds|insufficient balance|upfront cost exceeds|overshot"
     r"|cannot afford|does not have enough (funds|balance)"),
    (SendRejection.INTRINSIC_GAS,
     r"intrinsic gas too low|intrinsic gas exceeds gas limit|intrinsic gas cost"
     r"|insufficient gas for floor data|floor data gas|call gas cost.*exceeds the gas limit"),
    (SendRejection.GAS_LIMIT_TOO_HIGH,
     r"exceeds block gas limit|gas limit exceeds block|\bgaslimitexceeded\b|gas limit too high"
     r"|gas limit is too high|intrinsic gas too high|gas limit reached"
     r"|exceeds the (block|transaction) gas limit|transaction gas limit.*cap"),
    (SendRejection.UNDERPRICED,
     r"transaction underpriced|\bunderpriced\b|tip below minimum|tip cap.*(too low|below)"
     r"|max fee per gas less than block base fee|max fee per gas below current base fee"
     r"|fee ?cap less than block base fee|feecap.*below|\bfeetoolow\b|\bfeetoolowtocompete\b"
     r"|gas price below|fee too low|gas price too low|gas price is too low"
     r"|effective priority fee.*below|priority fee.*(too low|below)"),
    (SendRejection.MEMPOOL_FULL,
     r"txpool is full|tx ?pool is full|sub-?pool is full|pool is full|mempool is full"
     r"|pool overflow|account limit exceeded|transaction pool.*full|max.*slots"),
    (SendRejection.MALFORMED,
     r"invalid sender|invalid signature|invalid transaction v, r, s|failedtoresolvesender"
     r"|oversized data|rlp|decode|failed to deserialize|transaction type not supported"
     r"|tx type not supported|max initcode size|negative value|int256overflow|nonce has max value"
     r"|max priority fee per gas higher than max fee|tip cap.*higher than.*fee cap"
     r"|sender not an eoa|senderiscontract|exceeds the configured cap|fee cap exceeded"
     r"|invalid raw transaction|only replay-protected"),
)  # fmt: skip

_SEND_TABLE = tuple((rejection, re.compile(wording)) for rejection, wording in _SEND_WORDINGS)

_LOG_RANGE = re.compile(
    r"block range|range (is )?too (large|wide|big)|too many (results|logs|blocks)"
    r"|more than \d+ (results|logs)|(results|response) (size|exceed)|logs? limit|limit exceeded"
    r"|exceed(s|ed)? (the )?(max|maximum|range|limit)|query timeout|query returned|request timed out"
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
_RATE_LIMITED = _SEND_TABLE[0][1]
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
    for rejection, pattern in _SEND_TABLE:
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
