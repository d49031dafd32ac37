"""Trying, without sending, whether a share token lets a settler burn, and by which function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode as abi_encode

from settlement_node.chain.contracts.reverts import revert_reason
from settlement_node.chain.contracts.settler_reads import Calls
from settlement_node.chain.endpoints.endpoint import CallOutcome, CallRequest, CallReturned
from settlement_node.chain.wire.words import address_word, selector
from settlement_node.domain.observations import BurnStyle
from settlement_node.store.book.funds import NewFund
from settlement_node.store.rows import FundRow
from settlement_node.units import Address

BURNER_ROLE_CALL = selector("BURNER_ROLE()")
_HAS_ROLE = selector("hasRole(bytes32,address)")
_IS_AGENT = selector("isAgent(address)")

FUNCTIONS = {
    BurnStyle.BURN: "burn(address,uint256)",
    BurnStyle.BURN_WITH_REASON: "burn(address,uint256,string)",
    BurnStyle.BURN_WITH_DATA: "burn(address,uint256,bytes)",
    BurnStyle.BURN_FROM: "burnFrom(address,uint256)",
    BurnStyle.ADMIN_BURN: "adminBurn(address,uint256)",
    BurnStyle.ESCROW: "burn(uint256)",
}
"""What the settler calls in each style; in escrow it has the shares itself by then."""


@dataclass(frozen=True, slots=True)
class BurnTrial:
    """What came of it. `passed_for` is a holder one base unit of whose shares would be burned;
    `refusal` is the token's word to a burn of nothing, None when it would pass. `is_agent` and
    `has_role` (`BURNER_ROLE`) are None where the token has no such question. `other_style` is one
    whose function the token has while it does not seem to have the one that was tried."""

    passed_for: Address | None
    refusal: str | None
    is_agent: bool | None
    has_role: bool | None
    other_style: BurnStyle | None


def try_burn(calls: Calls, fund: FundRow | NewFund, holders: Sequence[Address] = ()) -> BurnTrial:
    """Ask at the agreed head, as the fund's settler. Two round trips."""
    token, style, settler = fund.share_token_address, fund.burn_style, fund.settler_address
    styles = list(BurnStyle)
    # In escrow the settler would first need a holder's shares, so no holder's can be tried.
    tried = [] if style is BurnStyle.ESCROW else list(holders)
    role, *outcomes = calls(
        [
            CallRequest(token, BURNER_ROLE_CALL),
            CallRequest(token, _IS_AGENT + address_word(settler)),
            *(_burn(token, each, settler, 0, settler=settler) for each in styles),
            *(_burn(token, style, holder, 1, settler=settler) for holder in tried),
        ]
    )
    is_agent, of_nothing, of_holders = outcomes[0], outcomes[1:7], outcomes[7:]
    mine = of_nothing[styles.index(style)]
    others = zip(styles, of_nothing, strict=True)
    return BurnTrial(
        passed_for=next((h for h, o in zip(tried, of_holders, strict=True) if _passed(o)), None),
        refusal=None if _passed(mine) else _words(mine),
        is_agent=_yes_or_no(is_agent),
        has_role=_has_role(calls, token, role, settler),
        other_style=(
            next((each for each, o in others if _is_there(o)), None)
            if not _is_there(mine)
            else None
        ),
    )


def _burn(
    token: Address, style: BurnStyle, account: Address, units: int, *, settler: Address
) -> CallRequest:
    signature = FUNCTIONS[style]
    types = signature[signature.index("(") + 1 : -1].split(",")
    values = {"address": account, "uint256": units, "string": "", "bytes": b""}
    arguments = abi_encode(types, [values[name] for name in types])
    return CallRequest(token, selector(signature) + arguments, settler)


def _passed(outcome: CallOutcome) -> bool:
    return isinstance(outcome, CallReturned) and (not outcome.data or any(outcome.data))


def _is_there(outcome: CallOutcome) -> bool:
    """A function that is not there reverts without a word."""
    return isinstance(outcome, CallReturned) or bool(outcome.data)


def _words(outcome: CallOutcome) -> str:
    return "false" if isinstance(outcome, CallReturned) else revert_reason(outcome.data)


def _has_role(calls: Calls, token: Address, role: CallOutcome, settler: Address) -> bool | None:
    if not isinstance(role, CallReturned) or len(role.data) != 32:
        return None
    (outcome,) = calls([CallRequest(token, _HAS_ROLE + role.data + address_word(settler))])
    return _yes_or_no(outcome)


def _yes_or_no(outcome: CallOutcome) -> bool | None:
    if not isinstance(outcome, CallReturned) or len(outcome.data) != 32:
        return None
    word = int.from_bytes(outcome.data, "big")
    return None if word > 1 else word == 1
