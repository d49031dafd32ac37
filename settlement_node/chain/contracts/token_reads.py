"""Questions to an ERC-20: supply, balances, allowance, pause; decimals."""

from __future__ import annotations

from collections.abc import Sequence

from settlement_node.chain.contracts.settler_reads import Calls
from settlement_node.chain.contracts.tokens import (
    DECIMALS_CALL,
    PAUSED_CALL,
    TOTAL_SUPPLY_CALL,
    encode_allowance,
    encode_balance_of,
)
from settlement_node.chain.endpoints.endpoint import CallOutcome, CallRequest, CallReturned
from settlement_node.chain.views import TokenView
from settlement_node.chain.wire.words import MalformedData, read_bool, read_uint
from settlement_node.errors import Refused
from settlement_node.units import DECIMALS_MAX, Address


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
