"""The reference fund token and the test stablecoin, after `contracts/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_utils.crypto import keccak

from tests.simulation.chain.abi import (
    EventLog,
    Reverted,
    address_at,
    number_at,
    revert,
    selector,
    topic,
    word,
    words,
)
from tests.simulation.chain.state import State

ZERO = bytes(20)
ADMIN_ROLE = bytes(32)
BURNER_ROLE = bytes(keccak(text="BURNER_ROLE"))
_ROLE_NAMES = ("MINTER_ROLE", "PAUSER_ROLE", "REGISTRAR_ROLE")
ROLES = {name: bytes(keccak(text=name)) for name in _ROLE_NAMES}
TRANSFER = topic("Transfer(address,address,uint256)")
APPROVAL = topic("Approval(address,address,uint256)")
UINT256_MAX = 2**256 - 1


@dataclass(slots=True)
class Call:
    """One message call: who calls what, on which state, and the logs it leaves."""

    state: State
    sender: bytes
    to: bytes
    data: bytes
    timestamp: int
    logs: list[EventLog]


@dataclass(frozen=True, slots=True)
class Token:
    """A deployed token. `is_share` tells the fund token from the stablecoin."""

    address: bytes
    is_share: bool
    name: str
    symbol: str
    decimals: int


def deploy_token(state: State, token: Token, admin: bytes) -> None:
    """What the constructors write."""
    state.put(("contract", token.address), token)
    if token.is_share:
        for role in (ADMIN_ROLE, *ROLES.values()):
            state.put(("role", token.address, role, admin), True)
    else:
        state.put(("owner", token.address), admin)


def call_token(call: Call, token: Token) -> bytes:
    """Run a call of a token; returns its answer or raises Reverted."""
    handler = _HANDLERS.get((call.data[:4], token.is_share)) or _HANDLERS.get((call.data[:4], None))
    if handler is None:
        raise Reverted
    return handler(call, token, call.data[4:])


def move(call: Call, token: Token, source: bytes, target: bytes, value: int) -> None:
    """Transfer, mint (from zero) or burn (to zero), with the tokens' own refusals in order."""
    state, at = call.state, token.address
    if state.get(("paused", at)):
        raise revert("EnforcedPause()")
    barred = "barred" if token.is_share else "blocked"
    error = "HolderNotPermitted(address)" if token.is_share else "AccountBlocked(address)"
    if source == ZERO:
        state.add(("supply", at), value)
    else:
        if state.get((barred, at, source)):
            raise revert(error, source)
        held = state.get(("balance", at, source))
        if held < value:
            raise revert("ERC20InsufficientBalance(address,uint256,uint256)", source, held, value)
        state.put(("balance", at, source), held - value)
    if target == ZERO and token.is_share:
        state.add(("supply", at), -value)
    else:
        if token.is_share and not state.get(("permitted", at, target)):
            raise revert(error, target)
        if not token.is_share and state.get((barred, at, target)):
            raise revert(error, target)
        state.add(("balance", at, target), value)
    call.logs.append(EventLog(at, (TRANSFER, word(source), word(target)), word(value)))


def transfer_from(call: Call, token: Token, owner: bytes, target: bytes, value: int) -> None:
    """`transferFrom` by the call's sender."""
    for account, error in (
        (owner, "ERC20InvalidSender(address)"),
        (target, "ERC20InvalidReceiver(address)"),
    ):
        if account == ZERO:
            raise revert(error, ZERO)
    key = ("allowance", token.address, owner, call.sender)
    allowed = call.state.get(key)
    if allowed != UINT256_MAX:
        if allowed < value:
            raise revert(
                "ERC20InsufficientAllowance(address,uint256,uint256)", call.sender, allowed, value
            )
        call.state.put(key, allowed - value)
    move(call, token, owner, target, value)


def burn(call: Call, token: Token, holder: bytes, shares: int) -> None:
    """`burn(address,uint256)` of the fund token by a holder of BURNER_ROLE."""
    _only_role(call, token, BURNER_ROLE)
    if holder == ZERO:
        raise revert("ERC20InvalidSender(address)", ZERO)
    move(call, token, holder, ZERO, shares)


def _only_role(call: Call, token: Token, role: bytes) -> None:
    if not call.state.get(("role", token.address, role, call.sender)):
        raise revert("AccessControlUnauthorizedAccount(address,bytes32)", call.sender, role)


def _only_owner(call: Call, token: Token) -> None:
    if call.sender != call.state.get(("owner", token.address), ZERO):
        raise revert("OwnableUnauthorizedAccount(address)", call.sender)


def _permission(call: Call, token: Token, role: str) -> None:
    """The fund token asks for a role, the stablecoin for its owner."""
    if token.is_share:
        _only_role(call, token, ROLES[role])
    else:
        _only_owner(call, token)


def _mint(call: Call, token: Token, body: bytes) -> bytes:
    _permission(call, token, "MINTER_ROLE")
    target = address_at(body, 0)
    if target == ZERO:
        raise revert("ERC20InvalidReceiver(address)", ZERO)
    move(call, token, ZERO, target, number_at(body, 1))
    return b""


def _burn(call: Call, token: Token, body: bytes) -> bytes:
    burn(call, token, address_at(body, 0), number_at(body, 1))
    return b""


def _pause(call: Call, token: Token, _body: bytes) -> bytes:
    _permission(call, token, "PAUSER_ROLE")
    if call.state.get(("paused", token.address)):
        raise revert("EnforcedPause()")
    call.state.put(("paused", token.address), True)
    return b""


def _unpause(call: Call, token: Token, _body: bytes) -> bytes:
    _permission(call, token, "PAUSER_ROLE")
    if not call.state.get(("paused", token.address)):
        raise revert("ExpectedPause()")
    call.state.put(("paused", token.address), False)
    return b""


def _set_permitted(call: Call, token: Token, body: bytes) -> bytes:
    _only_role(call, token, ROLES["REGISTRAR_ROLE"])
    holder, permitted = address_at(body, 0), bool(number_at(body, 1))
    call.state.put(("permitted", token.address, holder), permitted)
    call.state.put(("barred", token.address, holder), not permitted)
    return b""


def _grant_role(call: Call, token: Token, body: bytes) -> bytes:
    _only_role(call, token, ADMIN_ROLE)
    call.state.put(("role", token.address, body[:32], address_at(body, 1)), True)
    return b""


def _set_blocked(call: Call, token: Token, body: bytes) -> bytes:
    _only_owner(call, token)
    call.state.put(("blocked", token.address, address_at(body, 0)), bool(number_at(body, 1)))
    return b""


def _approve(call: Call, token: Token, body: bytes) -> bytes:
    spender, value = address_at(body, 0), number_at(body, 1)
    call.state.put(("allowance", token.address, call.sender, spender), value)
    call.logs.append(
        EventLog(token.address, (APPROVAL, word(call.sender), word(spender)), word(value))
    )
    return word(1)


def _transfer(call: Call, token: Token, body: bytes) -> bytes:
    move(call, token, call.sender, address_at(body, 0), number_at(body, 1))
    return word(1)


def _transfer_from(call: Call, token: Token, body: bytes) -> bytes:
    transfer_from(call, token, address_at(body, 0), address_at(body, 1), number_at(body, 2))
    return word(1)


def _text(text: str) -> bytes:
    data = text.encode()
    return words(WORD_32, len(data)) + data + bytes(-len(data) % 32)


WORD_32 = 32
_View = Callable[[Call, Token, bytes], bytes]
_HANDLERS: dict[tuple[bytes, bool | None], _View] = {
    (selector("totalSupply()"), None): lambda c, t, b: word(c.state.get(("supply", t.address))),
    (selector("paused()"), None): lambda c, t, b: word(bool(c.state.get(("paused", t.address)))),
    (selector("decimals()"), None): lambda c, t, b: word(t.decimals),
    (selector("name()"), None): lambda c, t, b: _text(t.name),
    (selector("symbol()"), None): lambda c, t, b: _text(t.symbol),
    (selector("balanceOf(address)"), None): lambda c, t, b: word(
        c.state.get(("balance", t.address, address_at(b, 0)))
    ),
    (selector("allowance(address,address)"), None): lambda c, t, b: word(
        c.state.get(("allowance", t.address, address_at(b, 0), address_at(b, 1)))
    ),
    (selector("mint(address,uint256)"), None): _mint,
    (selector("pause()"), None): _pause,
    (selector("unpause()"), None): _unpause,
    (selector("approve(address,uint256)"), None): _approve,
    (selector("transfer(address,uint256)"), None): _transfer,
    (selector("transferFrom(address,address,uint256)"), None): _transfer_from,
    (selector("burn(address,uint256)"), True): _burn,
    (selector("setPermitted(address,bool)"), True): _set_permitted,
    (selector("grantRole(bytes32,address)"), True): _grant_role,
    (selector("setBlocked(address,bool)"), False): _set_blocked,
}
