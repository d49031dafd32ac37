"""The settler (contracts/RedemptionSettler.sol): ratchet, bitmap, per-item frames, limit, pause.

Gas is a model: a settled item, a skipped one and the batch each have a price near the measured
ones, times a factor that a fault may raise between the preview and the block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_utils.crypto import keccak

from tests.simulation.chain.abi import (
    WORD,
    EventLog,
    OutOfGas,
    Reverted,
    address_at,
    dynamic_bytes,
    number_at,
    revert,
    selector,
    topic,
    word,
    words,
)
from tests.simulation.chain.state import State
from tests.simulation.chain.tokens import ZERO, Call, Token, burn, transfer_from

SETTLED_GAS, SKIPPED_GAS, TAIL_GAS = 52_000, 22_000, 80_000
BATCH_GAS = 55_000
AMOUNT_MAX = 2**128 - 1
RING_HOURS = 25
DETAIL_BYTES_MAX = 256
ITEM_WORDS = 6
NONE, ALREADY_SETTLED, INVALID_ITEM, PRICE, LIMIT, BURN_FAILED, PAYOUT_FAILED = 0, 1, 2, 3, 4, 5, 7
OUT_OF_GAS, PAYEE_NOT_PERMITTED, BELOW_FLOOR = 9, 10, 11
INDEX_BITS = 62
LIMIT_BOUND, CEILING_BOUND, FLOOR_BOUND = 0, 1, 2
SETTLED = topic("RedemptionSettled(bytes32,address,address,uint256,uint256,uint256)")
SKIPPED = topic("RedemptionSkipped(bytes32,uint256,uint8,bytes)")
BATCH = topic("BatchSettled(bytes32,bytes32,uint256,uint256)")
_ITEMS = "(bytes32,uint256,address,address,uint256,uint256)[]"


@dataclass(frozen=True, slots=True)
class Settler:
    """A deployed settler. `naive` has neither ratchet nor bitmap: what plain transfers would be."""

    address: bytes
    share_token: bytes
    payout_token: bytes
    treasury: bytes
    burn_style: int
    item_gas_limit: int
    change_delay: int
    naive: bool = False
    restrict_payees: bool = False
    predecessor: bytes = ZERO


@dataclass(frozen=True, slots=True)
class Payment:
    """What really moved for one redemption; the checker's ground truth."""

    redemption_id: bytes
    payee: bytes
    payout: int


@dataclass(slots=True)
class Meter:
    """Gas of one call: what is left, and the factor of this moment."""

    left: int
    factor: float = 1.0

    def use(self, gas: int) -> None:
        """Take gas; OutOfGas when there is too little."""
        if gas > self.left:
            self.left = 0
            raise OutOfGas
        self.left -= gas


def deploy_settler(
    state: State,
    settler: Settler,
    *,
    roles: tuple[bytes, bytes, bytes],
    bounds: tuple[int, int, int],
) -> None:
    """What the constructor writes: owner, operator and guardian; daily limit, ceiling price and
    floor price."""
    state.put(("contract", settler.address), settler)
    for place, holder in enumerate(roles):
        state.put(("holder", settler.address, place), holder)
    for place, bound in enumerate(bounds):
        state.put(("bound", settler.address, place), bound)


def call_settler(call: Call, settler: Settler, meter: Meter, payments: list[Payment]) -> bytes:
    """Run a call of a settler; returns its answer, raises Reverted or OutOfGas."""
    head, body = call.data[:4], call.data[4:]
    if head == _SETTLE:
        return _settle(call, settler, body, meter, payments)
    if head == _PREVIEW:
        return _preview(call, settler, body, meter)
    handler = _HANDLERS.get(head)
    if handler is None:
        raise Reverted
    return handler(call, settler, body)


def _settle(
    call: Call, settler: Settler, body: bytes, meter: Meter, payments: list[Payment]
) -> bytes:
    state, at = call.state, settler.address
    if call.sender != _holder(call, settler, 1):
        raise revert("NotOperator(address)", call.sender)
    if state.get(("paused", at)):
        raise revert("SettlerPaused()")
    previous, current = body[:WORD], state.get(("batch hash", at), bytes(WORD))
    if previous != current and not settler.naive:
        raise revert("BatchHashMismatch(bytes32,bytes32)", current, previous)
    items = _items(body, 1)
    following = bytes(keccak(previous + keccak(word(32) + body[number_at(body, 1) :])))
    state.put(("batch hash", at), following)
    meter.use(BATCH_GAS)
    outcomes = _run(call, settler, items, meter, payments)
    settled = sum(reason == NONE for reason, _, _ in outcomes)
    call.logs.append(
        EventLog(at, (BATCH, following, previous), words(settled, len(items) - settled))
    )
    return following


def _preview(call: Call, settler: Settler, body: bytes, meter: Meter) -> bytes:
    if call.state.get(("paused", settler.address)):
        raise revert("SettlerPaused()")
    items = _items(body, 0)
    outcomes = _run(call, settler, items, meter, [])
    shown = [
        item[:WORD] + words(reason, gas, 4 * WORD) + dynamic_bytes(detail)
        for item, (reason, gas, detail) in zip(items, outcomes, strict=True)
    ]
    offsets, place = [], len(shown) * WORD
    for one in shown:
        offsets.append(place)
        place += len(one)
    data = words(WORD, len(shown), *offsets) + b"".join(shown)
    raise Reverted(selector("PreviewResult((bytes32,uint8,uint256,bytes)[])") + data)


def _items(body: bytes, place: int) -> list[bytes]:
    start = number_at(body, place)
    count = int.from_bytes(body[start : start + WORD], "big")
    size = ITEM_WORDS * WORD
    items = [body[start + WORD + n * size : start + WORD + (n + 1) * size] for n in range(count)]
    if items and len(items[-1]) != size:
        raise Reverted
    return items


def _run(
    call: Call, settler: Settler, items: list[bytes], meter: Meter, payments: list[Payment]
) -> list[tuple[int, int, bytes]]:
    """Each item in its own frame: (skip reason, gas used, detail)."""
    if not items:
        raise revert("EmptyBatch()")
    state, at = call.state, settler.address
    window = paid_in_window(state, at, call.timestamp)
    left_at_first = left = max(state.get(("bound", at, LIMIT_BOUND)) - window, 0)
    needed = settler.item_gas_limit + settler.item_gas_limit // 63 + TAIL_GAS
    outcomes: list[tuple[int, int, bytes]] = []
    for item in items:
        if meter.left < needed:
            raise revert("GasTooLow(uint256,uint256)", meter.left, needed)
        frame_gas = int(SETTLED_GAS * meter.factor)
        mark, logs = state.mark(), len(call.logs)
        if frame_gas > settler.item_gas_limit:
            reason, detail, gas = OUT_OF_GAS, b"", settler.item_gas_limit + 3_000
        else:
            reason, detail = _frame(call, settler, item, left)
            gas = frame_gas if reason == NONE else SKIPPED_GAS
        meter.use(gas)
        outcomes.append((reason, gas, detail))
        if reason == NONE:
            payout = number_at(item, 5)
            left -= payout
            payments.append(Payment(item[:WORD], address_at(item, 3), payout))
            state.add(("paid", item[:WORD]), 1)
        else:
            state.undo(mark)
            del call.logs[logs:]
            data = words(number_at(item, 1), reason, 3 * WORD) + dynamic_bytes(detail)
            call.logs.append(EventLog(at, (SKIPPED, item[:WORD]), data))
    if left != left_at_first:
        _record(state, at, call.timestamp, window, left_at_first - left)
    return outcomes


def _frame(call: Call, settler: Settler, item: bytes, left: int) -> tuple[int, bytes]:
    """`settleOneAlone`: the reason it is skipped, with the token's words, or NONE."""
    state, at = call.state, settler.address
    index, shares, payout = number_at(item, 1), number_at(item, 4), number_at(item, 5)
    if state.get(("bit", at, index)) and not settler.naive:
        return ALREADY_SETTLED, b""
    if not _is_valid(settler, item):
        return INVALID_ITEM, b""
    investor, payee = address_at(item, 2), address_at(item, 3)
    if not _may_pay(state, settler, investor, payee):
        return PAYEE_NOT_PERMITTED, b""
    share_token: Token = state.get(("contract", settler.share_token))
    outside = _outside_band(call, settler, shares, payout, 10**share_token.decimals)
    if outside != NONE:
        return outside, b""
    if payout > left:
        return LIMIT, b""
    state.put(("bit", at, index), True)
    call.logs.append(
        EventLog(
            at,
            (SETTLED, item[:WORD], word(investor), word(payee)),
            words(index, shares, payout),
        )
    )
    inner = Call(state, at, settler.share_token, b"", call.timestamp, call.logs)
    try:
        burn(inner, share_token, investor, shares)
        state.add(("burned", item[:WORD]), 1)
    except Reverted as refused:
        return BURN_FAILED, refused.data[:DETAIL_BYTES_MAX]
    try:
        payout_token: Token = state.get(("contract", settler.payout_token))
        transfer_from(inner, payout_token, settler.treasury, payee, payout)
    except Reverted as refused:
        return PAYOUT_FAILED, refused.data[:DETAIL_BYTES_MAX]
    return NONE, b""


def _outside_band(call: Call, settler: Settler, shares: int, payout: int, whole: int) -> int:
    if payout * whole > shares * _bound(call, settler, CEILING_BOUND):
        return PRICE
    if payout < shares * _bound(call, settler, FLOOR_BOUND) // whole:
        return BELOW_FLOOR
    return NONE


def _may_pay(state: State, settler: Settler, investor: bytes, payee: bytes) -> bool:
    """`isPayeePermitted`."""
    if payee == investor or not settler.restrict_payees:
        return True
    return bool(state.get(("payee", settler.address, investor, payee)))


def _is_valid(settler: Settler, item: bytes) -> bool:
    try:
        investor, payee = address_at(item, 2), address_at(item, 3)
    except Reverted:
        return False
    strange = {ZERO, settler.address, settler.share_token, settler.payout_token}
    if investor in strange or payee in strange or payee == settler.treasury:
        return False
    if number_at(item, 1) >> INDEX_BITS:
        return False
    return all(0 < number_at(item, place) <= AMOUNT_MAX for place in (4, 5))


def paid_in_window(state: State, at: bytes, timestamp: int) -> int:
    """RollingDayLimit.paidInWindow."""
    total, last_hour = state.get(("window", at), (0, 0))
    present = timestamp // 3600
    if total == 0 or present == last_hour:
        return int(total)
    if present - last_hour >= RING_HOURS:
        return 0
    for entered in range(last_hour + 1, present + 1):
        paid, hour = state.get(("bucket", at, entered % RING_HOURS), (0, 0))
        if hour + RING_HOURS == entered:
            total -= paid
    return int(total)


def _record(state: State, at: bytes, timestamp: int, window: int, paid: int) -> None:
    present = timestamp // 3600
    key = ("bucket", at, present % RING_HOURS)
    before, hour = state.get(key, (0, 0))
    state.put(key, ((before if hour == present else 0) + paid, present))
    state.put(("window", at), (window + paid, present))


def _holder(call: Call, settler: Settler, place: int) -> bytes:
    return bytes(call.state.get(("holder", settler.address, place), ZERO))


def _only(call: Call, settler: Settler, places: tuple[int, ...], error: str) -> None:
    if call.sender not in [_holder(call, settler, place) for place in places]:
        raise revert(error, call.sender)


def _pause(call: Call, settler: Settler, _body: bytes) -> bytes:
    _only(call, settler, (0, 2), "NotOwnerOrGuardian(address)")
    if call.state.get(("paused", settler.address)):
        raise revert("SettlerPaused()")
    call.state.put(("paused", settler.address), True)
    return b""


def _unpause(call: Call, settler: Settler, _body: bytes) -> bytes:
    _only(call, settler, (0,), "NotOwner(address)")
    if not call.state.get(("paused", settler.address)):
        raise revert("SettlerNotPaused()")
    call.state.put(("paused", settler.address), False)
    return b""


def _narrow_bound(call: Call, settler: Settler, body: bytes) -> bytes:
    _only(call, settler, (0,), "NotOwner(address)")
    bound, value = number_at(body, 0), number_at(body, 1)
    current = _bound(call, settler, bound)
    if value <= current if bound == FLOOR_BOUND else value >= current:
        raise revert("NotNarrower(uint256,uint256)", value, current)
    floor = value if bound == FLOOR_BOUND else _bound(call, settler, FLOOR_BOUND)
    ceiling = value if bound == CEILING_BOUND else _bound(call, settler, CEILING_BOUND)
    if floor > ceiling:
        raise revert("FloorAboveCeiling(uint256,uint256)", floor, ceiling)
    call.state.put(("bound", settler.address, bound), value)
    return b""


def _bound(call: Call, settler: Settler, bound: int) -> int:
    return int(call.state.get(("bound", settler.address, bound)))


def _revoke_operator(call: Call, settler: Settler, _body: bytes) -> bytes:
    _only(call, settler, (0, 2), "NotOwnerOrGuardian(address)")
    if _holder(call, settler, 1) == ZERO:
        raise revert("ZeroAddress()")
    call.state.put(("holder", settler.address, 1), ZERO)
    return b""


def _set_payee_permitted(call: Call, settler: Settler, body: bytes) -> bytes:
    _only(call, settler, (0,), "NotOwner(address)")
    return _permit(call, settler, address_at(body, 0), body[WORD:])


def _permit_payee(call: Call, settler: Settler, body: bytes) -> bytes:
    return _permit(call, settler, call.sender, body)


def _permit(call: Call, settler: Settler, investor: bytes, body: bytes) -> bytes:
    payee, permitted = address_at(body, 0), bool(number_at(body, 1))
    if ZERO in (investor, payee):
        raise revert("ZeroAddress()")
    if payee == investor:
        raise revert("PayeeIsInvestor(address)", investor)
    call.state.put(("payee", settler.address, investor, payee), permitted)
    return b""


_SETTLE, _PREVIEW = selector(f"settle(bytes32,{_ITEMS})"), selector(f"preview({_ITEMS})")
_Handler = Callable[[Call, Settler, bytes], bytes]
_HANDLERS: dict[bytes, _Handler] = {
    selector("shareToken()"): lambda c, s, b: word(s.share_token),
    selector("payoutToken()"): lambda c, s, b: word(s.payout_token),
    selector("treasury()"): lambda c, s, b: word(s.treasury),
    selector("burnStyle()"): lambda c, s, b: word(s.burn_style),
    selector("itemGasLimit()"): lambda c, s, b: word(s.item_gas_limit),
    selector("changeDelay()"): lambda c, s, b: word(s.change_delay),
    selector("restrictPayees()"): lambda c, s, b: word(s.restrict_payees),
    selector("batchHash()"): lambda c, s, b: word(
        c.state.get(("batch hash", s.address), bytes(WORD))
    ),
    selector("paused()"): lambda c, s, b: word(bool(c.state.get(("paused", s.address)))),
    selector("predecessor()"): lambda c, s, b: word(s.predecessor),
    selector("dailyPayoutLimit()"): lambda c, s, b: word(_bound(c, s, LIMIT_BOUND)),
    selector("ceilingPrice()"): lambda c, s, b: word(_bound(c, s, CEILING_BOUND)),
    selector("floorPrice()"): lambda c, s, b: word(_bound(c, s, FLOOR_BOUND)),
    selector("payoutAvailable()"): lambda c, s, b: word(
        max(
            _bound(c, s, LIMIT_BOUND) - paid_in_window(c.state, s.address, c.timestamp),
            0,
        )
    ),
    selector("owner()"): lambda c, s, b: word(_holder(c, s, 0)),
    selector("operator()"): lambda c, s, b: word(_holder(c, s, 1)),
    selector("guardian()"): lambda c, s, b: word(_holder(c, s, 2)),
    selector("isSettled(uint256)"): lambda c, s, b: word(
        bool(c.state.get(("bit", s.address, number_at(b, 0))))
    ),
    selector("isPayeePermitted(address,address)"): lambda c, s, b: word(
        _may_pay(c.state, s, address_at(b, 0), address_at(b, 1))
    ),
    selector("setPayeePermitted(address,address,bool)"): _set_payee_permitted,
    selector("permitPayee(address,bool)"): _permit_payee,
    selector("pause()"): _pause,
    selector("unpause()"): _unpause,
    selector("narrowBound(uint8,uint256)"): _narrow_bound,
    selector("revokeOperator()"): _revoke_operator,
}
