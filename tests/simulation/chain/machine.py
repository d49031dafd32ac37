"""Carrying out transactions and calls on a state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import rlp  # type: ignore[import-untyped]  # the package ships no types
from eth_abi.abi import decode as abi_decode
from eth_utils.crypto import keccak

from settlement_node.chain.contracts.artifacts import load_artifact
from tests.simulation.chain.abi import EventLog, OutOfGas, Reverted, revert
from tests.simulation.chain.settler import Meter, Payment, Settler, call_settler, deploy_settler
from tests.simulation.chain.state import State
from tests.simulation.chain.tokens import ZERO, Call, Token, call_token, deploy_token
from tests.simulation.chain.transactions import Transaction

TOKEN_CALL_GAS = 35_000
CREATION_GAS = 2_500_000
PURSE = "purse"
"""A contract only the simulator has: called with an address and an amount, it sets a balance."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What a transaction did in its block."""

    transaction: Transaction
    succeeded: bool
    gas_used: int
    price: int
    logs: tuple[EventLog, ...]
    payments: tuple[Payment, ...]
    created: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An `eth_call`'s end. `error` is None for a normal return."""

    data: bytes
    error: str | None = None


def fits(state: State, transaction: Transaction, *, base_fee: int) -> bool:
    """Whether a block may hold this transaction now."""
    return (
        state.get(("nonce", transaction.sender)) == transaction.nonce
        and transaction.cap >= base_fee
        and state.get(("wei", transaction.sender))
        >= transaction.gas * transaction.cap + transaction.value
    )


def execute(
    state: State, transaction: Transaction, *, base_fee: int, timestamp: int, gas_factor: float
) -> Executed:
    """Run a transaction that fits; a revert takes its effects back and keeps its gas."""
    sender = transaction.sender
    price = min(transaction.cap, base_fee + transaction.tip)
    nonce = transaction.nonce
    state.put(("nonce", sender), nonce + 1)
    mark = state.mark()
    logs: list[EventLog] = []
    payments: list[Payment] = []
    meter = Meter(transaction.gas - transaction.intrinsic_gas, gas_factor)
    created: bytes | None = None
    try:
        if transaction.value:
            state.add(("wei", sender), -transaction.value)
            state.add(("wei", transaction.to), transaction.value)
        if transaction.to is None:
            created = _create(state, transaction, nonce)
            meter.use(CREATION_GAS)
        else:
            call = Call(state, sender, transaction.to, transaction.data, timestamp, logs)
            _enter(call, meter, payments)
        succeeded = True
    except (Reverted, OutOfGas) as ended:
        if isinstance(ended, OutOfGas):
            meter.left = 0
        state.undo(mark)
        logs, payments, created, succeeded = [], [], None, False
    gas_used = transaction.gas - meter.left
    state.add(("wei", sender), -gas_used * price)
    return Executed(transaction, succeeded, gas_used, price, tuple(logs), tuple(payments), created)


def call(
    state: State,
    *,
    sender: bytes,
    to: bytes,
    data: bytes,
    gas: int,
    timestamp: int,
    gas_factor: float,
) -> Answer:
    """`eth_call`: runs and forgets what it changed."""
    mark = state.mark()
    message = Call(state, sender, to, data, timestamp, [])
    try:
        return Answer(_enter(message, Meter(gas, gas_factor), []))
    except Reverted as refused:
        return Answer(refused.data, "execution reverted")
    except OutOfGas:
        return Answer(b"", "out of gas")
    finally:
        state.undo(mark)


def _enter(message: Call, meter: Meter, payments: list[Payment]) -> bytes:
    contract = message.state.get(("contract", message.to), None)
    if isinstance(contract, Settler):
        return call_settler(message, contract, meter, payments)
    if contract == PURSE:
        message.state.put(("wei", message.data[:20]), int.from_bytes(message.data[20:], "big"))
    if isinstance(contract, Token):
        meter.use(TOKEN_CALL_GAS)
        return call_token(message, contract)
    return b""


def contract_address(sender: bytes, nonce: int) -> bytes:
    """Where a creation puts its contract (yellow paper, CREATE)."""
    nonce_bytes = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    return bytes(keccak(rlp.encode([sender, nonce_bytes]))[-20:])


def _create(state: State, transaction: Transaction, nonce: int) -> bytes:
    """Recognise the project's own contracts by their bytecode; anything else reverts."""
    at = contract_address(transaction.sender, nonce)
    for name in ("FundToken", "TestStablecoin", "RedemptionSettler"):
        bytecode = load_artifact(name).bytecode
        if transaction.data.startswith(bytecode):
            arguments = abi_decode(_constructor_types(name), transaction.data[len(bytecode) :])
            _construct(state, name, at, arguments)
            return at
    raise OutOfGas  # unknown code: as good as the invalid opcode, which takes all gas


@cache
def _constructor_types(name: str) -> list[str]:
    """As the artifact says, so that a changed constructor is met here and not by a wrong value."""
    constructor = next(item for item in load_artifact(name).abi if item["type"] == "constructor")
    return [_type_of(entry) for entry in constructor["inputs"]]


def _type_of(entry: Any) -> str:
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    return "(" + ",".join(_type_of(member) for member in entry["components"]) + ")"


def _construct(state: State, name: str, at: bytes, arguments: tuple[object, ...]) -> None:
    if name == "FundToken":
        title, symbol, decimals, admin = arguments
        token = Token(at, True, str(title), str(symbol), int(str(decimals)))
        deploy_token(state, token, _account(admin))
    elif name == "TestStablecoin":
        title, symbol, owner = arguments
        deploy_token(state, Token(at, False, str(title), str(symbol), 6), _account(owner))
    else:
        settings, owner, operator, guardian = arguments
        assert isinstance(settings, tuple)
        share, payout, treasury, style, limit, floor, ceiling, item_gas, delay, *rest = settings
        restrict_payees, predecessor = rest
        if style != 0:
            raise Reverted  # the simulated settler knows the plain burn only
        for token in (share, payout):
            if state.get(("contract", _account(token)), None) is None:
                raise revert("NotAContract(address)", _account(token))
        if floor > ceiling:
            raise revert("FloorAboveCeiling(uint256,uint256)", floor, ceiling)
        before = state.get(("contract", _account(predecessor)), None)
        tokens = (_account(share), _account(payout))
        if _account(predecessor) != ZERO and not (
            isinstance(before, Settler) and (before.share_token, before.payout_token) == tokens
        ):
            raise revert("NotAPredecessor(address)", _account(predecessor))
        deploy_settler(
            state,
            Settler(
                at,
                _account(share),
                _account(payout),
                _account(treasury),
                style,
                item_gas,
                delay,
                restrict_payees=bool(restrict_payees),
                predecessor=_account(predecessor),
            ),
            roles=(_account(owner), _account(operator), _account(guardian)),
            bounds=(limit, ceiling, floor),
        )


def _account(text: object) -> bytes:
    return bytes.fromhex(str(text)[2:])
