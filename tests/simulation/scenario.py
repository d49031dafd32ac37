"""What a run is about: its funds, holders, rules and the faults it has, all drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.redemption import PriceTerms, RedemptionOrder
from settlement_node.store.book.funds import NewFund, add_fund
from settlement_node.store.book.settlers import add_settler
from settlement_node.store.database import Store
from settlement_node.units import Address, Shares, Wei
from tests.simulation.chain.machine import PURSE
from tests.simulation.chain.settler import Settler, deploy_settler
from tests.simulation.chain.state import State
from tests.simulation.chain.tokens import BURNER_ROLE, Token, deploy_token
from tests.simulation.faults import LIES, RARE, REGISTRY, STOPPING
from tests.simulation.signer import lane_key

CHAIN_ID = 31_339
SHARE = 10**18
DOLLAR = 10**6
NAV = 1_050_000
TERMS = PriceTerms(NAV, 6, 18, 6, 25)
"""How every fund of a run is priced, from its first step to its last."""
CEILING_PRICE = 2 * DOLLAR
FLOOR_PRICE = DOLLAR // 2
PLENTY = 10**30
UNFINAL_MAX = {2: 4, 4: 16, 16: 2_000}
"""How many transactions may be unfinal, by how many may be unmined."""


@lru_cache(maxsize=4096)
def account(name: str) -> bytes:
    """The address of a word."""
    return bytes(keccak(text=f"simulated {name}")[-20:])


def shown(address: bytes) -> Address:
    """Checksummed."""
    return Address(to_checksum_address(address))


@dataclass(frozen=True, slots=True)
class SimFund:
    """A fund's addresses, and how many holders it has."""

    fund_id: str
    share: bytes
    money: bytes
    treasury: bytes
    settler: bytes
    old_settler: bytes
    holders: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order somebody enters at a step. `paid_before` ones the old settler has paid already."""

    fund_id: str
    step: int
    order: RedemptionOrder
    paid_before: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run before anything happens."""

    steps: int
    nodes: int
    endpoints: int
    finality: FinalityPolicy
    finality_blocks: int
    fees: FeePolicy
    policy: EnginePolicy
    block_gas_limit: int
    daily_limit: int
    naive_settler: bool
    funds: tuple[SimFund, ...]
    orders: tuple[PlannedOrder, ...]
    rates: dict[str, float]


def draw(
    rng: Random, *, steps: int = 90, with_faults: bool = True, naive_settler: bool = False
) -> Scenario:
    """A scenario from random numbers."""
    blocks = rng.randint(2, 5)
    mode = rng.choice(
        (
            FinalityMode.CONFIRMATIONS,
            FinalityMode.CONFIRMATIONS,
            FinalityMode.SAFE,
            FinalityMode.FINALIZED,
        )
    )
    depth = blocks if mode is FinalityMode.CONFIRMATIONS else 0
    funds = tuple(_fund(number) for number in range(1 if rng.random() < 0.8 else 2))
    orders = _orders(rng, funds, steps)
    batch_items_max, in_flight_max = rng.randint(2, 8), rng.choice(tuple(UNFINAL_MAX))
    policy = EnginePolicy(
        batch_items_max=batch_items_max,
        in_flight_max=in_flight_max,
        unfinal_max=UNFINAL_MAX[in_flight_max],
        fee_history_blocks=4,
        replace_after_blocks=rng.randint(2, 4),
        rebroadcast_after_blocks=rng.randint(1, 2),
        cancel_after_blocks=rng.choice((0, 0, 6, 12)),
        log_page_blocks=rng.choice((5, 50, 2000)),
    )
    tight = rng.random() < 0.12
    return Scenario(
        steps=steps,
        nodes=rng.choice((1, 1, 2)),
        endpoints=rng.choice((1, 2, 2, 3, 3, 3)),
        finality=FinalityPolicy(mode, depth),
        finality_blocks=blocks,
        fees=FeePolicy(cap_ceiling_wei=Wei(rng.choice((60, 500)) * 10**9)),
        policy=policy,
        block_gas_limit=rng.choice((3_000_000, 30_000_000)),
        daily_limit=(len(orders) * 12 * DOLLAR if tight else 10**15),
        naive_settler=naive_settler,
        funds=funds,
        orders=orders,
        rates=_rates(rng) if with_faults else {},
    )


def _fund(number: int) -> SimFund:
    return SimFund(
        fund_id=f"fund-{number}",
        share=account(f"share {number}"),
        money=account("money"),
        treasury=account(f"treasury {number}"),
        settler=account(f"settler {number}"),
        old_settler=account(f"old settler {number}"),
        holders=tuple(account(f"holder {number} {n}") for n in range(8)),
    )


def _orders(rng: Random, funds: tuple[SimFund, ...], steps: int) -> tuple[PlannedOrder, ...]:
    planned = []
    for fund in funds:
        for number in range(rng.randint(8, 20)):
            holder = rng.randrange(len(fund.holders))
            order = RedemptionOrder(
                external_id=f"{fund.fund_id}-{number}",
                investor_address=shown(fund.holders[holder]),
                payee_address=shown(account(f"payee {fund.fund_id} {holder}")),
                shares_base_units=Shares(rng.randint(1, 30) * SHARE // 2),
            )
            step = min(rng.randrange(steps), rng.randrange(steps))
            planned.append(PlannedOrder(fund.fund_id, step, order))
        if rng.random() < 0.3:
            paid = [replace(p, paid_before=True) for p in planned if p.fund_id == fund.fund_id][:2]
            planned[: len(planned)] = [
                next((q for q in paid if q.order == p.order), p) for p in planned
            ]
    return tuple(planned)


def _rates(rng: Random) -> dict[str, float]:
    """Most faults in most runs, each run with a temper of its own; the stopping ones in few, and
    every kind of lie in all."""
    temper = rng.choice((0.4, 1.0, 1.0, 1.8))
    rates = {}
    for name, kind in REGISTRY.items():
        wanted = rng.random()
        if name in STOPPING:
            present = wanted < 0.02
        elif name in RARE:
            present = wanted < 0.12
        else:
            present = wanted < 0.8 or name in LIES
        if present:
            rates[name] = min(kind.rate * temper, 0.6) if name not in RARE else kind.rate
    return rates


def genesis_state(scenario: Scenario) -> State:
    """Tokens, settlers, holders and their shares; the old settlers' past is mined later."""
    state = State({})
    lane = bytes.fromhex(lane_key().address[2:])
    state.put(("contract", account("purse")), PURSE)
    for name in ("admin", "past operator"):
        state.put(("wei", account(name)), PLENTY)
    state.put(("wei", lane), PLENTY)
    money = Token(account("money"), False, "Test Dollar", "TUSD", 6)
    deploy_token(state, money, account("admin"))
    for fund in scenario.funds:
        share = Token(fund.share, True, fund.fund_id, "EXF", 18)
        deploy_token(state, share, account("admin"))
        for settler, operator, naive in (
            (fund.settler, lane, scenario.naive_settler),
            (fund.old_settler, account("past operator"), False),
        ):
            deploy_settler(
                state,
                Settler(settler, fund.share, fund.money, fund.treasury, 0, 400_000, 172_800, naive),
                roles=(account("admin"), operator, account("admin")),
                bounds=(scenario.daily_limit, CEILING_PRICE, FLOOR_PRICE),
            )
            state.put(("role", fund.share, BURNER_ROLE, settler), True)
            state.put(("allowance", fund.money, fund.treasury, settler), 10**18)
        state.put(("wei", fund.treasury), PLENTY)
        state.put(("balance", fund.money, fund.treasury), 10**12)
        state.add(("supply", fund.money), 10**12)
        for holder in (*fund.holders, account("vault")):
            state.put(("permitted", fund.share, holder), True)
        for holder in fund.holders:
            state.put(("wei", holder), PLENTY)
            state.put(("balance", fund.share, holder), 400 * SHARE)
            state.add(("supply", fund.share), 400 * SHARE)
    state.put(("wei", account("vault")), PLENTY)
    state.seal()
    return state


def write_book(scenario: Scenario, store: Store) -> None:
    """The funds and their settlers, as an operator enters them."""
    with store.transaction(actor="operator") as tx:
        for fund in scenario.funds:
            add_fund(
                tx,
                NewFund(
                    fund_id=fund.fund_id,
                    name=fund.fund_id,
                    chain_id=CHAIN_ID,
                    share_token_address=shown(fund.share),
                    share_decimals=18,
                    payout_token_address=shown(fund.money),
                    payout_decimals=6,
                    settler_address=shown(fund.settler),
                    settler_from_block=1,
                    treasury_address=shown(fund.treasury),
                    lane_address=lane_key().address,
                    burn_style=BurnStyle.BURN,
                    fee_bps=25,
                    nav_per_share=NAV,
                    nav_decimals=6,
                ),
            )
            if any(p.paid_before and p.fund_id == fund.fund_id for p in scenario.orders):
                old = shown(fund.old_settler)
                add_settler(tx, fund.fund_id, settler_address=old, from_block=1)
