"""An ERC-20: its calls and the `Transfer` event as bytes, and questions to one: supply, balances,
allowance, pause, decimals."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.chain.contracts.settler_reads import Calls
from settlement_node.chain.endpoints.endpoint import CallOutcome, CallRequest, CallReturned
from settlement_node.chain.views import TokenView
from settlement_node.chain.wire.words import (
    MalformedData,
    address_word,
    read_bool,
    read_uint,
    selector,
    topic,
    topic_address,
    uint_word,
)
from settlement_node.domain.observations import Log, TransferEvent
from settlement_node.errors import Refused
from settlement_node.units import DECIMALS_MAX, Address, Hex32

TRANSFER_TOPIC = topic("Transfer(address,address,uint256)")

TOTAL_SUPPLY_CALL = selector("totalSupply()")
PAUSED_CALL = selector("paused()")
DECIMALS_CALL = selector("decimals()")
_BALANCE_OF = selector("balanceOf(address)")
_ALLOWANCE = selector("allowance(address,address)")
_TRANSFER_FROM = selector("transferFrom(address,address,uint256)")


def encode_balance_of(holder: Address) -> bytes:
    """Call data of `balanceOf(holder)`."""
    return _BALANCE_OF + address_word(holder)


def encode_allowance(*, owner: Address, spender: Address) -> bytes:
    """Call data of `allowance(owner, spender)`."""
    return _ALLOWANCE + address_word(owner) + address_word(spender)


def encode_transfer_from(*, owner: Address, recipient: Address, value_base_units: int) -> bytes:
    """Calldata of `transferFrom`; asked of a node without sending, it tells whether it would go."""
    words = address_word(owner) + address_word(recipient)
    return _TRANSFER_FROM + words + uint_word(value_base_units, field="value_base_units")


def decode_transfers(logs: Sequence[Log]) -> list[TransferEvent]:
    """The ERC-20 `Transfer` events among `logs`, in the logs' order.

    Four topics make an ERC-721 transfer, which is left out like every other event.
    """
    transfers = []
    for log in logs:
        if len(log.topics) != 3 or log.topics[0] != TRANSFER_TOPIC:
            continue
        transfers.append(
            TransferEvent(
                token_address=log.address,
                from_address=topic_address(log.topics[1]),
                to_address=topic_address(log.topics[2]),
                value_base_units=read_uint(log.data, 0),
                block_number=log.block_number,
                block_hash=log.block_hash,
                transaction_hash=log.transaction_hash,
                log_index=log.log_index,
            )
        )
    return transfers


def address_topic(address: Address) -> Hex32:
    """An address as an indexed topic."""
    return Hex32("0x" + address_word(address).hex())


def read_token(
    calls: Calls,
    token: Address,
    *,
    holders: Sequence[Address],
    allowance: tuple[Address, Address] | None,
) -> TokenView:
    """One round trip. `allowance` is (owner, spender). Refused when it is not an ERC-20."""
    wanted = list(dict.fromkeys(holders))
    requests = [CallRequest(token, TOTAL_SUPPLY_CALL), CallRequest(token, PAUSED_CALL)]
    if allowance is not None:
        owner, spender = allowance
        requests.append(CallRequest(token, encode_allowance(owner=owner, spender=spender)))
    requests += [CallRequest(token, encode_balance_of(holder)) for holder in wanted]
    outcomes = calls(requests)
    balances = outcomes[len(requests) - len(wanted) :]
    return TokenView(
        token_address=token,
        total_supply_base_units=_number(token, outcomes[0], "totalSupply()"),
        balances_base_units={
            holder: _number(token, outcome, "balanceOf(address)")
            for holder, outcome in zip(wanted, balances, strict=True)
        },
        allowance_base_units=(
            None if allowance is None else _number(token, outcomes[2], "allowance(address,address)")
        ),
        paused=_paused(outcomes[1]),
    )


def read_token_decimals(calls: Calls, token: Address) -> int:
    """Refused when it is not an ERC-20 with sensible decimals."""
    (outcome,) = calls([CallRequest(token, DECIMALS_CALL)])
    decimals = _number(token, outcome, "decimals()")
    if decimals > DECIMALS_MAX:
        raise _not_a_token(token, f"decimals() is {decimals}")
    return decimals


def _number(token: Address, outcome: CallOutcome, signature: str) -> int:
    if not isinstance(outcome, CallReturned):
        raise _not_a_token(token, f"{signature} reverts")
    try:
        return read_uint(outcome.data, 0)
    except MalformedData:
        raise _not_a_token(token, f"{signature} does not answer a number") from None


def _paused(outcome: CallOutcome) -> bool | None:
    """`None` for a token without `paused()`: it reverts, or a fallback answers something else."""
    if not isinstance(outcome, CallReturned) or len(outcome.data) != 32:
        return None
    try:
        return read_bool(outcome.data, 0)
    except MalformedData:
        return None


def _not_a_token(token: Address, why: str) -> Refused:
    return Refused(
        f"there is no ERC-20 token at {token}: {why}", reason="not_a_token", token_address=token
    )
